"""Server-sent events of a job: its current state, then its events, until it is over.

Redis only delivers messages. A listener without messages for a while checks the database, so a lost
message causes a delay and no hang. The id of an event lists the chunks sent so far. So a client
that reconnects with its last id gets the rest, from any process, even if Redis lost all messages in
between.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import structlog

from core.db.transactions import read_session
from core.errors import JobNotFound, Unavailable
from core.jobs import parts
from core.live import waiting_callers
from core.states import JobStatus
from tasks.reporting import job_status, progress
from tasks.reporting.job_state import JobState
from transcribe_api.http.auth.access_recheck import AccessCheck, allow_anybody
from transcribe_api.http.events.event_broker import (
    ChunkTranscribed,
    JobEvent,
    Listener,
    job_events,
)
from transcribe_api.http.events.ranges import Ranges

log = structlog.get_logger(__name__)

#: Seconds without events after which the database is checked and at least a comment is sent, which
#: keeps proxies from closing the stream.
QUIET_SECONDS = 15.0
#: Milliseconds after which a browser reconnects: after an interrupted stream, and after the last
#: event, when there is nothing more to get.
RECONNECT_MILLISECONDS, STAY_AWAY_MILLISECONDS = 3_000, 3_600_000
#: Seconds that a listener may take to receive what is sent.
SEND_TIMEOUT_SECONDS = 30.0

#: Characters of an id; servers reject headers that are much longer.
MAX_ID_LENGTH = 4000
_ID_PREFIX = "told:"

#: Chunks whose words are in memory at a time.
_CHUNKS_PER_BLOCK = 50


def stream_events(
    job_id: str,
    last_id: str = "",
    has_access: AccessCheck = allow_anybody,
    key_id: uuid.UUID | None = None,
) -> Iterator[str]:
    """Yield the stream of one job, for a client that has received the events up to *last_id*.

    It ends within seconds when the client loses access. Raises `NotFound`, `TooManyStreams` or
    `TooManyKeyStreams` with the first item.
    """
    with job_events.listen(job_id, key_id) as listener:
        # Subscribe before reading: an event in between is received twice, but sent once.
        yield from _Stream(job_id, last_id, has_access).iterate(listener)


def limit_send_time(environ: Mapping[str, Any]) -> None:
    """End the stream if its client receives nothing, since it occupies a thread."""
    connection = environ.get("gunicorn.socket")
    if connection is not None:
        connection.settimeout(SEND_TIMEOUT_SECONDS)


class _Stream:
    def __init__(self, job_id: str, last_id: str, has_access: AccessCheck) -> None:
        self._job_id = job_id
        self._has_access = has_access
        self._sent_chunks = _parse_event_id(last_id)
        self._state = self._read_state()
        self._waiter = waiting_callers.WaitingCaller(job_id)

    def iterate(self, listener: Listener) -> Iterator[str]:
        yield f"retry: {RECONNECT_MILLISECONDS}\n{_format_event(self._state.to_text())}"
        known_count = len(self._sent_chunks)
        yield from self._render_missing()
        if self._is_over and len(self._sent_chunks) > known_count:
            # Clients read until a state says that the job is over: nothing follows that one.
            yield _format_event(self._state.to_text())
        while not self._is_over and not listener.has_missed_events:
            event = listener.wait_for_event(QUIET_SECONDS, self._has_access)
            if not self._has_access():
                return
            self._waiter.renew()  # a listener counts as waiting
            yield from self._check_records() if event is None else self._render_event(event)
        if self._is_over:
            yield f"retry: {STAY_AWAY_MILLISECONDS}\n\n"

    @property
    def _is_over(self) -> bool:
        return self._state.status.is_over

    def _render_event(self, event: JobEvent) -> Iterator[str]:
        if isinstance(event, ChunkTranscribed):
            if event.chunk not in self._sent_chunks:
                yield self._render_segment(event.chunk, event.text)
        elif self._is_newer(event):
            yield from self._change_state(event)

    def _check_records(self) -> Iterator[str]:
        """Yield missed events from the database, or at least a comment."""
        yield ": still here\n\n"
        try:
            state = self._read_state()
        except JobNotFound:
            self._state = self._state.model_copy(update={"status": JobStatus.CANCELLED})
        except Unavailable as error:
            log.warning("listeners wait for the records", reason=str(error))
        else:
            if self._lacks_chunks(state):
                yield from self._render_missing()
            if self._is_newer(state):
                yield from self._change_state(state)

    def _change_state(self, state: JobState) -> Iterator[str]:
        # Send all segments before the last state, since clients disconnect after it.
        if state.status.is_over and self._lacks_chunks(state):
            yield from self._render_missing()
        self._state = state
        yield _format_event(state.to_text())

    def _is_newer(self, state: JobState) -> bool:
        """Return whether a state, which may arrive late, is newer than the last one sent."""
        is_further = state.progress >= self._state.progress
        return state != self._state and (is_further or state.status.is_over)

    def _lacks_chunks(self, state: JobState) -> bool:
        return len(self._sent_chunks) < state.chunks_done

    def _render_missing(self) -> Iterator[str]:
        """Yield the stored segments that this client has not received."""
        missing = (chunk for chunk in self._list_stored_chunks() if chunk not in self._sent_chunks)
        while block := list(islice(missing, _CHUNKS_PER_BLOCK)):
            transcriptions = progress.read_transcriptions(
                self._job_id, block, keep=not self._is_over
            )
            for chunk, text in transcriptions.items():
                yield self._render_segment(chunk, text)

    def _list_stored_chunks(self) -> Sequence[int]:
        try:
            with read_session() as session:
                return parts.list_stored_chunks(session, self._job_id)
        except Unavailable as error:
            log.warning("listeners wait for the records", reason=str(error))
            return ()

    def _render_segment(self, chunk: int, text: str) -> str:
        self._sent_chunks.add(chunk)
        event_id = f"{_ID_PREFIX}{self._sent_chunks.render(MAX_ID_LENGTH)}"
        return f"event: segment\nid: {event_id}\n{_format_event(text)}"

    def _read_state(self) -> JobState:
        with read_session() as session:
            return job_status.describe_job(session, self._job_id)


def _parse_event_id(last_id: str) -> Ranges:
    """Return the chunks that an id lists; empty if it is not an id of this service."""
    return (
        Ranges.parse(last_id.removeprefix(_ID_PREFIX))
        if last_id.startswith(_ID_PREFIX)
        else Ranges()
    )


def _format_event(text: str) -> str:
    return f"data: {text}\n\n"
