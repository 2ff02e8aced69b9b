"""Server-sent events of a job: its present state first, then what happens, until it is over.

Redis is only the messenger: a listener who hears nothing for a while looks into the records, so a
lost message delays and never hangs. The id of an event says which chunks its listener has been
told by then. So whoever comes again with the last id is told the rest, by any process, and also
when Redis has lost everything in between.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import structlog

from core import awaited, parts, progress, status
from core.db import reading
from core.errors import JobGone, Unavailable
from core.states import JobStatus
from transcribe_api.hub import Listener, News, hub
from transcribe_api.ranges import Ranges
from transcribe_api.staying import Welcome, anybody

log = structlog.get_logger(__name__)

#: Seconds of silence after which a listener looks into the records, and is sent a comment at
#: least: that keeps proxies from closing the stream.
QUIET_SECONDS = 15.0
#: Milliseconds after which a browser whose stream has ended comes again; and after the last event,
#: when there is nothing to come for.
COME_AGAIN, STAY_AWAY = 3_000, 3_600_000
#: Seconds that a listener may take to receive what is sent to it.
PATIENCE = 30.0

#: Characters of an id; servers refuse headers that are much longer.
LONGEST_ID = 4000
_ID = "told:"

#: Chunks whose words are held in memory at a time.
_BLOCK = 50


def events(
    job_id: str,
    last_id: str = "",
    is_welcome: Welcome = anybody,
    key_id: uuid.UUID | None = None,
) -> Iterator[str]:
    """The stream of one job, for a listener that was told what *last_id* says.

    It ends early, within seconds, when its listener is not welcome any more. Raises `NotFound` or
    `TooManyStreams` or `TooManyStreamsOfKey` with the first item.
    """
    with hub.listening(job_id, key_id) as listener:
        # First listen, then look: what happens in between is heard twice, and told once.
        yield from _Stream(job_id, last_id, is_welcome).of(listener)


def let_go_of_who_does_not_read(environ: Mapping[str, Any]) -> None:
    """Have the server end a stream that its listener takes nothing from: it holds a thread."""
    connection = environ.get("gunicorn.socket")
    if connection is not None:
        connection.settimeout(PATIENCE)


class _Stream:
    def __init__(self, job_id: str, last_id: str, is_welcome: Welcome) -> None:
        self._job_id = job_id
        self._is_welcome = is_welcome
        self._known = _known_by(last_id)
        self._state: dict[str, Any] = {}
        self._waiter = awaited.Waiter(job_id)

    def of(self, listener: Listener) -> Iterator[str]:
        self._state = self._present()
        yield f"retry: {COME_AGAIN}\n{_event(json.dumps(self._state))}"
        yield from self._missing()
        while not self._is_over and not listener.is_lost:
            news = listener.hear(QUIET_SECONDS, self._is_welcome)
            if not self._is_welcome():
                return
            self._waiter.stay()  # who listens waits for the job, too
            yield from self._look() if news is None else self._told(news)
        if self._is_over:
            yield f"retry: {STAY_AWAY}\n\n"

    @property
    def _is_over(self) -> bool:
        return JobStatus(self._state["status"]).is_over

    def _told(self, news: News) -> Iterator[str]:
        if news.is_segment:
            if news.told["chunk"] not in self._known:
                yield self._segment(news.told["chunk"], news.text)
        elif self._is_newer(news.told):
            yield from self._become(news.told)

    def _look(self) -> Iterator[str]:
        """What the records say, as far as it was not heard; at least a sign of life."""
        yield ": still here\n\n"
        try:
            now = self._present()
        except JobGone:
            self._state = {**self._state, "status": JobStatus.CANCELLED}
        except Unavailable as error:
            log.warning("listeners wait for the records", reason=str(error))
        else:
            if self._lacks(now):
                yield from self._missing()
            if self._is_newer(now):
                yield from self._become(now)

    def _become(self, now: dict[str, Any]) -> Iterator[str]:
        # What was heard comes before the end: who knows the end listens no more.
        if JobStatus(now["status"]).is_over and self._lacks(now):
            yield from self._missing()
        self._state = now
        yield _event(json.dumps(now))

    def _is_newer(self, now: dict[str, Any]) -> bool:
        """Whether this state, which may have been overtaken, comes after the one that was told."""
        is_further = now["progress"] >= self._state["progress"]
        return now != self._state and (is_further or JobStatus(now["status"]).is_over)

    def _lacks(self, now: dict[str, Any]) -> bool:
        return len(self._known) < int(now["chunks_done"])

    def _missing(self) -> Iterator[str]:
        """What was heard in this job and this listener has not been told."""
        left = (chunk for chunk in self._stored() if chunk not in self._known)
        while block := list(islice(left, _BLOCK)):
            heard = progress.heard(self._job_id, block, keep=not self._is_over)
            for chunk, text in heard.items():
                yield self._segment(chunk, text)

    def _stored(self) -> Sequence[int]:
        try:
            with reading() as session:
                return parts.stored_chunks(session, self._job_id)
        except Unavailable as error:
            log.warning("listeners wait for the records", reason=str(error))
            return ()

    def _segment(self, chunk: int, text: str) -> str:
        self._known.add(chunk)
        return f"event: segment\nid: {_ID}{self._known.written(LONGEST_ID)}\n{_event(text)}"

    def _present(self) -> dict[str, Any]:
        with reading() as session:
            return status.snapshot(session, self._job_id)


def _known_by(last_id: str) -> Ranges:
    """The chunks that an id says were told; none if it is no id of ours."""
    return Ranges.read(last_id.removeprefix(_ID)) if last_id.startswith(_ID) else Ranges()


def _event(text: str) -> str:
    return f"data: {text}\n\n"
