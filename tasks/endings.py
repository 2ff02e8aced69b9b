"""The end of a job: by whatever way it ends, the same follows.

Whoever ends a job calls a function of this module, and nothing else does that: its status is told,
its webhook is sent, what is left of it is taken back, and the next job is let in. Should whoever
ended it be killed before that, or Redis be down, housekeeping does it: see `core.recovery.untold`.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import structlog

from core import jobs, layout, parts, progress, recovery
from core.db import transaction
from core.errors import Conflict, TranscribeError, Unavailable
from core.jobs import InHand
from core.storage import storage
from tasks import cancelling, messages, pipeline
from tasks.purge import forget_chords

log = structlog.get_logger(__name__)


def complete(job_id: str, owner: str, **found: Any) -> None:
    """End a job well, with what *owner* merged: see `core.jobs.complete`. Safe to run twice."""
    with transaction() as session:
        if not jobs.complete(session, job_id, owner, **found):
            return
        epoch = jobs.get(session, job_id).run.epoch
    follow(job_id)
    forget_chords(job_id, epoch)


def fail(job_id: str, reason: TranscribeError) -> None:
    """End a job that cannot be done. Safe to run twice."""
    with transaction() as session:
        in_hand = jobs.in_hand(session, job_id)
        is_ended = jobs.fail(session, job_id, reason)
        is_sent = parts.any_waiting(session, job_id)
        queues, epoch = messages.queues(session, job_id), jobs.get(session, job_id).run.epoch
    if not is_ended:
        return
    # Whoever prepares or merges it is the one that says so.
    cancelling.stop(InHand(parts=in_hand.parts))
    if is_sent:
        cancelling.withdraw(job_id, queues, epoch)
    follow(job_id)


def cancel(job_id: str) -> None:
    """End a job at its caller's wish, and free the workers and the queues of it.

    Raises `Conflict` when it is over.
    """
    with transaction() as session:
        in_hand = jobs.cancel(session, job_id)
        queues, epoch = messages.queues(session, job_id), jobs.get(session, job_id).run.epoch
    cancelling.stop(in_hand)
    cancelling.withdraw(job_id, queues, epoch)
    follow(job_id)


def delete(job_id: str) -> None:
    """Remove a job with everything of it, be it running or over.

    Whoever listens hears the end; no webhook is sent, for its caller knows.
    """
    with suppress(Conflict):  # it is over
        _cancel_silently(job_id)
    storage().delete(layout.root(job_id))
    with transaction() as session:
        jobs.remove(session, job_id)
    progress.forget(job_id)
    pipeline.start_next()


def _cancel_silently(job_id: str) -> None:
    with transaction() as session:
        in_hand = jobs.cancel(session, job_id, tell_caller=False)
        queues, epoch = messages.queues(session, job_id), jobs.get(session, job_id).run.epoch
    cancelling.stop(in_hand)
    cancelling.withdraw(job_id, queues, epoch)
    progress.tell(job_id)


def follow(job_id: str) -> None:
    """See to what follows the end of a job. Call it after the commit. Safe to run twice.

    What cannot be done now, housekeeping does later.
    """
    try:
        tell(job_id)
        pipeline.deliver(job_id)
        pipeline.start_next()
    except Unavailable as error:
        log.warning("what follows an end waits", job_id=job_id, reason=str(error))


def tell(job_id: str) -> None:
    """Tell the end of a job to Redis and to whoever listens, and note that this is done."""
    if progress.tell(job_id):
        with transaction() as session:
            recovery.note_told(session, job_id)
