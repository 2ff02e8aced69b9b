"""Says that memory runs short before it does: in the log, once, and among the metrics."""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from core.memory.leases import MemoryClaim
from core.settings import settings

log = structlog.get_logger(__name__)

#: An alert is over when so large a share of the budget is free again beside what is free at its
#: begin; else one that wavers would ring again and again.
HYSTERESIS = 0.05


class MemoryAlert:
    """Of one worker, which looks at all processes of its host that have a model."""

    def __init__(self) -> None:
        #: Share of the budget that they really take.
        self.used_share = 0.0
        #: Alerts until now.
        self.alert_count = 0
        self._is_active = False

    def update(self, claims: Sequence[MemoryClaim], budget: float) -> None:
        """See how things are against ``MEMORY_ALERT_AT``. *budget*: MiB."""
        resident = sum(claim.resident for claim in claims if claim.holds)
        self.used_share = resident / budget
        if self.used_share >= settings().memory_alert_at and not self._is_active:
            self._is_active = True
            self.alert_count += 1
            log.warning("memory runs short", used_mb=round(resident), max_memory_mb=round(budget))
        elif self.used_share < settings().memory_alert_at - HYSTERESIS:
            self._is_active = False


#: Of this worker's main process.
worker_alert = MemoryAlert()
