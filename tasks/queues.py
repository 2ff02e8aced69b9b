"""The names of the queues, and which message goes before which."""

from __future__ import annotations

from engines import catalog

#: Housekeeping has a queue of its own, so that a long line of chunks never holds up recovery.
CONTROL = "control"
PREPARE = "prepare"
MERGE = "merge"
#: So have webhooks, whose receivers may be slow.
DELIVER = "deliver"

#: Redis serves lower numbers first.
HIGHEST_PRIORITY = 0
LOWEST_PRIORITY = 9


def list_servable_queues() -> list[str]:
    """The queues that a worker on this machine can serve: what one without ``-Q`` takes from."""
    engine_queues = [spec.queue for spec in catalog.recognizers().values() if spec.is_installed()]
    diarizer_queues = [spec.queue for spec in catalog.diarizers().values() if spec.is_installed()]
    return [CONTROL, PREPARE, MERGE, DELIVER, *engine_queues, *diarizer_queues]
