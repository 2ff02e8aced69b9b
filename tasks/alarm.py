"""Says that memory runs short before it does: in the log, once, and among the metrics."""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from core.resources import Claim

log = structlog.get_logger(__name__)

#: Shares of the budget: an alert begins at the first, and is over below the second.
ALERT_AT = 0.85
CALM_BELOW = 0.80


class Alarm:
    """Of one worker, which looks at all processes of its host that have a model."""

    def __init__(self) -> None:
        #: Share of the budget that they really take.
        self.used = 0.0
        #: Alerts until now.
        self.alerts = 0
        self._rings = False

    def look(self, claims: Sequence[Claim], budget: float) -> None:
        """See how things are. *budget*: MiB."""
        resident = sum(one.resident for one in claims if one.holds)
        self.used = resident / budget
        if self.used >= ALERT_AT and not self._rings:
            self._rings = True
            self.alerts += 1
            log.warning("memory runs short", used_mb=round(resident), max_memory_mb=round(budget))
        elif self.used < CALM_BELOW:
            self._rings = False


#: Of this worker's main process.
alarm = Alarm()
