"""Waits for a job on behalf of a caller who keeps the connection open."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

from core import parts, progress, status
from core.db import reading
from core.errors import WrongKey
from core.states import JobStatus
from transcribe_api.hub import Place
from transcribe_api.staying import Welcome

#: Seconds without news after which the records are looked into all the same.
QUIET_SECONDS = 5.0


def until_over(job_id: str, is_welcome: Welcome, place: Place) -> dict[str, Any]:
    """Wait until the job is over, and give its last state. Raises as `states` does."""
    [last] = deque(states(job_id, is_welcome, place), maxlen=1)
    return last


def heard_in_order(job_id: str, is_welcome: Welcome, place: Place) -> Iterator[Sequence[str]]:
    """What was heard, as JSON, chunk by chunk in the order of the recording, until the job is over.

    As many chunks at a time as are ready; none now and then, while there is nothing new. A chunk
    that is heard early waits for those before it; what comes after a gap is not told. Raises as
    `states` does.
    """
    told = 0
    for _ in states(job_id, is_welcome, place):
        with reading() as session:
            stored = set(parts.stored_chunks(session, job_id))
        ready = _following(told, stored)
        yield list(progress.heard(job_id, ready, keep=True).values())
        told += len(ready)


def states(job_id: str, is_welcome: Welcome, place: Place) -> Iterator[dict[str, Any]]:
    """The state of the job, now and after all that is told of it, until it is over.

    Raises `JobGone`, or `WrongKey` when the caller is not welcome any more.
    """
    with place.listening(job_id) as listener:
        # First listen, then look, so that nothing is missed in between.
        while True:
            with reading() as session:
                now = status.snapshot(session, job_id)
            yield now
            if JobStatus(now["status"]).is_over:
                return
            listener.hear(QUIET_SECONDS, is_welcome)
            if not is_welcome():
                raise WrongKey("this key was revoked, or its time is over")


def _following(first: int, stored: set[int]) -> list[int]:
    """The numbers from *first* on, up to the first that is not stored."""
    last = first
    while last in stored:
        last += 1
    return list(range(first, last))
