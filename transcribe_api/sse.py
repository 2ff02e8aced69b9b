"""Server-sent events of a job: its present state first, then what happens, until it is over.

One Redis subscription serves all listeners of a process. Redis is only the messenger: a listener
that hears nothing for a while looks into the database, so a lost message delays and never hangs.
"""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import redis
import structlog

from core import progress, status
from core.db import reading
from core.settings import settings
from core.states import JobStatus

log = structlog.get_logger(__name__)

#: Seconds of silence after which a comment keeps proxies from closing the stream.
KEEP_ALIVE_SECONDS = 15.0
#: Seconds between looks into the database while nothing is heard.
LOOK_SECONDS = 5.0
#: Messages that a slow listener may be behind before it is let go; it can come again.
MOST_WAITING = 1000

_PATTERN = "transcription:*"


class Hub:
    """Hands every message of Redis to the listeners of its channel."""

    def __init__(self) -> None:
        self._listeners: dict[str, set[queue.Queue[tuple[str, str]]]] = {}
        self._guard = threading.Lock()
        self._thread: threading.Thread | None = None

    @contextmanager
    def listening(self, *channels: str) -> Iterator[queue.Queue[tuple[str, str]]]:
        """A queue of (channel, message) that fills as long as the block lasts."""
        mine: queue.Queue[tuple[str, str]] = queue.Queue(MOST_WAITING)
        with self._guard:
            for channel in channels:
                self._listeners.setdefault(channel, set()).add(mine)
            self._start()
        try:
            yield mine
        finally:
            with self._guard:
                for channel in channels:
                    self._leave(channel, mine)

    def _leave(self, channel: str, mine: queue.Queue[tuple[str, str]]) -> None:
        others = self._listeners[channel]
        others.discard(mine)
        if not others:
            del self._listeners[channel]

    def _start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._relay, daemon=True, name="sse-hub")
            self._thread.start()

    def _relay(self) -> None:
        while True:
            try:
                self._relay_until_cut_off()
            except (redis.RedisError, OSError) as error:
                log.warning("events are delayed", reason=type(error).__name__)
                threading.Event().wait(1.0)

    def _relay_until_cut_off(self) -> None:
        # A connection of its own, without the time limit of the others: it mostly waits.
        connection = redis.Redis.from_url(
            settings().redis, decode_responses=True, socket_timeout=None
        )
        with connection.pubsub(ignore_subscribe_messages=True) as channel:
            channel.psubscribe(_PATTERN)
            for message in channel.listen():
                self._hand_on(message["channel"], message["data"])

    def _hand_on(self, channel: str, data: str) -> None:
        with self._guard:
            listeners = tuple(self._listeners.get(channel, ()))
        for listener in listeners:
            try:
                listener.put_nowait((channel, data))
            except queue.Full:
                log.warning("a listener is too slow", channel=channel)


hub = Hub()


def events(job_id: str) -> Iterator[str]:
    """The stream of one job. Raises `NotFound` with the first item."""
    channels = progress.status_channel(job_id), progress.segments_channel(job_id)
    with hub.listening(*channels) as heard:
        # First listen, then look: what happens in between is heard twice, not missed.
        told = _present(job_id)
        yield _status_event(told)
        for segment in progress.known_segments(job_id).values():
            yield _segment_event(segment)
        quiet = 0.0
        while not _is_over(told):
            try:
                channel, message = heard.get(timeout=LOOK_SECONDS)
            except queue.Empty:
                quiet += LOOK_SECONDS
                now = _present(job_id)
                if now["status"] != told["status"]:
                    told = now
                    yield _status_event(told)
                elif quiet >= KEEP_ALIVE_SECONDS:
                    quiet = 0.0
                    yield ": still here\n\n"
                continue
            if channel == channels[0]:
                told = json.loads(message)
                yield _status_event(told)
            else:
                yield _segment_event(json.loads(message))


def _present(job_id: str) -> dict[str, Any]:
    with reading() as session:
        return status.snapshot(session, job_id)


def _is_over(told: dict[str, Any]) -> bool:
    return JobStatus(told["status"]).is_over


def _status_event(told: dict[str, Any]) -> str:
    return f"data: {json.dumps(told)}\n\n"


def _segment_event(heard: dict[str, Any]) -> str:
    return f"event: segment\nid: {heard['chunk']}\ndata: {json.dumps(heard)}\n\n"
