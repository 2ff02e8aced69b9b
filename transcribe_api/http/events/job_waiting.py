"""Wait for a job on behalf of a caller that keeps the connection open."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence

from core.db.transactions import read_session
from core.errors import InvalidApiKey
from core.jobs import parts
from tasks.reporting import job_status, progress
from tasks.reporting.job_state import JobState
from transcribe_api.http.auth.access_recheck import AccessCheck
from transcribe_api.http.events.event_broker import ListenerSlot

#: Seconds without an event after which the database is checked anyway.
QUIET_SECONDS = 5.0


def wait_until_over(job_id: str, has_access: AccessCheck, slot: ListenerSlot) -> JobState:
    """Wait until the job is over, and return its last state. Raises as `follow_states` does."""
    [final_state] = deque(follow_states(job_id, has_access, slot), maxlen=1)
    return final_state


def follow_transcriptions(
    job_id: str, has_access: AccessCheck, slot: ListenerSlot
) -> Iterator[Sequence[str]]:
    """Yield transcriptions as JSON, by chunk in recording order, until the job is over.

    Each item has all chunks that are ready; it may be empty. A chunk transcribed early waits for
    those before it; chunks after a failed one are not sent. Raises as `follow_states` does.
    """
    sent_count = 0
    for _ in follow_states(job_id, has_access, slot):
        with read_session() as session:
            stored_chunks = set(parts.list_stored_chunks(session, job_id))
        ready_chunks = _list_ready_chunks(sent_count, stored_chunks)
        yield list(progress.read_transcriptions(job_id, ready_chunks, keep=True).values())
        sent_count += len(ready_chunks)


def follow_states(job_id: str, has_access: AccessCheck, slot: ListenerSlot) -> Iterator[JobState]:
    """Yield the state of the job, now and after each event, until it is over.

    Raises `JobNotFound`, or `InvalidApiKey` when the caller has lost access.
    """
    with slot.listen(job_id) as listener:
        # Subscribe before reading, so that no event is missed in between.
        while True:
            with read_session() as session:
                state = job_status.describe_job(session, job_id)
            yield state
            if state.status.is_over:
                return
            listener.wait_for_event(QUIET_SECONDS, has_access)
            if not has_access():
                raise InvalidApiKey("this key was revoked, or has expired")


def _list_ready_chunks(first: int, stored_chunks: set[int]) -> list[int]:
    """Return the numbers from *first* on, up to the first one that is not stored."""
    end = first
    while end in stored_chunks:
        end += 1
    return list(range(first, end))
