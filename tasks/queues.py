"""Names of the queues, and limits of the priorities."""

from __future__ import annotations

from engines import catalog

#: Housekeeping has its own queue, so that a long queue of chunks never delays recovery.
CONTROL = "control"
PREPARE = "prepare"
MERGE = "merge"
#: Webhooks too have their own queue, since their receivers may be slow.
DELIVER = "deliver"

#: Redis serves lower numbers first.
HIGHEST_PRIORITY = 0
LOWEST_PRIORITY = 9


def list_servable_queues() -> list[str]:
    """Return the queues that this machine can serve; a worker without ``-Q`` consumes them."""
    engine_queues = [spec.queue for spec in catalog.recognizers().values() if spec.is_installed()]
    diarizer_queues = [spec.queue for spec in catalog.diarizers().values() if spec.is_installed()]
    return [CONTROL, PREPARE, MERGE, DELIVER, *engine_queues, *diarizer_queues]
