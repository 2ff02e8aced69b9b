"""Says that memory runs short before it does: in the log, once, and among the metrics."""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from core.resources import Claim
from core.settings import settings

log = structlog.get_logger(__name__)

#: An alert is over when so large a share of the budget is free again beside what is free at its
#: begin; else one that wavers would ring again and again.
CALMER_BY = 0.05


class Alarm:
    """Of one worker, which looks at all processes of its host that have a model."""

    def __init__(self) -> None:
        #: Share of the budget that they really take.
        self.used = 0.0
        #: Alerts until now.
        self.alerts = 0
        self._rings = False

    def look(self, claims: Sequence[Claim], budget: float) -> None:
        """See how things are against ``MEMORY_ALERT_AT``. *budget*: MiB."""
        resident = sum(one.resident for one in claims if one.holds)
        self.used = resident / budget
        if self.used >= settings().memory_alert_at and not self._rings:
            self._rings = True
            self.alerts += 1
            log.warning("memory runs short", used_mb=round(resident), max_memory_mb=round(budget))
        elif self.used < settings().memory_alert_at - CALMER_BY:
            self._rings = False


#: Of this worker's main process.
alarm = Alarm()
