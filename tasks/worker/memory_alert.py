"""Alert before memory runs out: once in the log, and in the metrics."""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from core.memory.leases import MemoryClaim
from core.settings import settings

log = structlog.get_logger(__name__)

#: An alert ends when this share of the budget is free again, in addition to the share that was free
#: at its begin. Otherwise a fluctuating value would cause repeated alerts.
HYSTERESIS = 0.05


class MemoryAlert:
    """The alert of one worker; it covers all processes with a model on its host."""

    def __init__(self) -> None:
        #: Share of the budget that these processes really use.
        self.used_share = 0.0
        #: Number of alerts so far.
        self.alert_count = 0
        self._is_active = False

    def update(self, claims: Sequence[MemoryClaim], budget: float) -> None:
        """Compare the used memory with ``MEMORY_ALERT_AT``. *budget*: MiB."""
        resident = sum(claim.resident for claim in claims if claim.holds)
        self.used_share = resident / budget
        if self.used_share >= settings().memory_alert_at and not self._is_active:
            self._is_active = True
            self.alert_count += 1
            log.warning("memory runs short", used_mb=round(resident), max_memory_mb=round(budget))
        elif self.used_share < settings().memory_alert_at - HYSTERESIS:
            self._is_active = False


#: The alert of this worker's main process.
worker_alert = MemoryAlert()
