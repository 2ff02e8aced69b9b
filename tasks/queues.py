"""The names of the queues, and which message goes before which."""

from __future__ import annotations

from core.states import Priority
from engines import catalog

#: Housekeeping has a queue of its own, so that a long line of chunks never holds up recovery.
CONTROL = "control"
PREPARE = "prepare"
MERGE = "merge"
#: So have webhooks, whose receivers may be slow.
DELIVER = "deliver"

#: Redis serves lower numbers first.
URGENT = 0
PATIENT = 9
_FIRST = {Priority.HIGH: 0, Priority.NORMAL: 3, Priority.LOW: 6}

#: Seconds into a recording at which its chunks give way to the beginnings of other recordings.
_GIVE_WAY_AT = (300.0, 1800.0)


def message_priority(priority: Priority, position: float = 0.0) -> int:
    """The broker's priority of a part that lies *position* seconds into its recording.

    The job's own priority comes first. Among jobs of one priority the early chunks go before the
    late ones of a long recording, so a short recording never waits for a ten-hour one to end.
    """
    return _FIRST[priority] + sum(position >= limit for limit in _GIVE_WAY_AT)


def servable() -> list[str]:
    """The queues that a worker on this machine can serve: what one without ``-Q`` takes from."""
    engines = [spec.queue for spec in catalog.recognizers().values() if spec.installed()]
    diarizers = [spec.queue for spec in catalog.diarizers().values() if spec.installed()]
    return [CONTROL, PREPARE, MERGE, DELIVER, *engines, *diarizers]
