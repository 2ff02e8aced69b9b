"""What Redis tells of jobs, handed to everybody in this process who listens to one of them."""

from __future__ import annotations

import json
import queue
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import redis
import structlog

from core import progress
from core.errors import RateLimited, Transient
from core.settings import settings
from transcribe_api.staying import ASK_EVERY, Welcome, anybody

log = structlog.get_logger(__name__)

#: News that a listener may be behind before it is let go; it can come again.
MOST_WAITING = 1000
#: Seconds between tries to reach a Redis that does not answer.
PAUSE_SECONDS = 5.0

#: Requests that a process has threads for, beside those of its listeners.
REQUESTS = 64

#: Seconds after which a key that has too many listeners may try again.
COME_AGAIN = 5.0

#: What a message must hold.
_STATE, _SEGMENT = {"status", "progress", "chunks_done"}, {"chunk"}


class TooManyStreamsOfKey(RateLimited):
    """This key has as many listeners in this process as one may have."""

    code = "too_many_streams"


class TooManyStreams(Transient):
    """This process has as many listeners as it may."""

    code = "too_many_streams"


@dataclass(frozen=True, slots=True)
class News:
    """Something that was told of a job."""

    #: Whether it is what was heard in a chunk, and not the state of the job.
    is_segment: bool
    told: dict[str, Any]
    #: The same as JSON.
    text: str


class Listener:
    """Somebody who hears the news of one job."""

    def __init__(self) -> None:
        self._waiting: queue.Queue[News | None] = queue.Queue(MOST_WAITING)
        #: Whether it was so slow that it has missed news.
        self.is_lost = False

    def hear(self, seconds: float, is_welcome: Welcome = anybody) -> News | None:
        """The next news, or None: after so long without any, when some may have been missed, or
        when whoever listens is not *welcome* any more.
        """
        until = time.monotonic() + seconds
        while is_welcome() and (left := until - time.monotonic()) > 0:
            with suppress(queue.Empty):
                return self._waiting.get(timeout=min(left, ASK_EVERY))
        return None

    def tell(self, news: News | None) -> None:
        try:
            self._waiting.put_nowait(news)
        except queue.Full:
            self.is_lost = True


@dataclass(frozen=True, slots=True)
class Place:
    """Room for one listener."""

    hub: Hub

    @contextmanager
    def listening(self, job_id: str) -> Iterator[Listener]:
        """The listener, who hears of the job as long as the block lasts."""
        listener = Listener()
        self.hub.enter(job_id, listener)
        try:
            yield listener
        finally:
            self.hub.leave(job_id, listener)


class Hub:
    """One Redis subscription for all listeners of the process."""

    def __init__(self) -> None:
        self._listeners: dict[str, set[Listener]] = {}
        self._count = 0
        self._of_keys: Counter[uuid.UUID] = Counter()
        self._most: int | None = None
        self._guard = threading.Lock()
        self._thread: threading.Thread | None = None

    @property
    def count(self) -> int:
        """Listeners of this process."""
        return self._count

    def leave_threads_free(self, threads: int) -> None:
        """Take no more listeners than leave half of few threads, or `REQUESTS` of many, to others.

        For a server that gives each listener a thread.
        """
        self._most = max(threads - REQUESTS, threads // 2, 1)

    @property
    def _room(self) -> int:
        return min(settings().max_streams, self._most or settings().max_streams)

    @contextmanager
    def listening(self, job_id: str, key_id: uuid.UUID | None = None) -> Iterator[Listener]:
        """Somebody who hears of the job as long as the block lasts.

        *key_id*: of the key that they have. Raises `TooManyStreams` or `TooManyStreamsOfKey`.
        """
        with self.place(key_id) as place, place.listening(job_id) as listener:
            yield listener

    @contextmanager
    def place(self, key_id: uuid.UUID | None = None) -> Iterator[Place]:
        """Room for a listener, taken before it is known which job there will be to listen to.

        Raises as `listening` does.
        """
        self._take_place(key_id)
        try:
            yield Place(self)
        finally:
            self._give_place(key_id)

    def enter(self, job_id: str, listener: Listener) -> None:
        """Have a listener, who has a place, hear of a job."""
        with self._guard:
            self._listeners.setdefault(job_id, set()).add(listener)
            if self._thread is None:
                self._thread = threading.Thread(target=self._relay, daemon=True, name="hub")
                self._thread.start()

    def leave(self, job_id: str, listener: Listener) -> None:
        """The listener hears no more."""
        with self._guard:
            others = self._listeners[job_id]
            others.discard(listener)
            if not others:
                del self._listeners[job_id]

    def _take_place(self, key_id: uuid.UUID | None) -> None:
        with self._guard:
            self._refuse_greedy(key_id)
            if self._count >= self._room:
                raise TooManyStreams(
                    f"{self._count} listeners are connected, and no more are let in; try again, "
                    "or ask for the status"
                )
            self._count += 1
            if key_id is not None:
                self._of_keys[key_id] += 1

    def _give_place(self, key_id: uuid.UUID | None) -> None:
        with self._guard:
            self._count -= 1
            if key_id is not None:
                self._of_keys[key_id] -= 1
                self._of_keys += Counter()  # forgets those without any

    def _refuse_greedy(self, key_id: uuid.UUID | None) -> None:
        most = settings().max_streams_per_key
        if key_id is not None and most and self._of_keys[key_id] >= most:
            raise TooManyStreamsOfKey(
                f"{most} listeners of this key are connected, and no more are let in; end some, "
                "or ask for the status",
                retry_in=COME_AGAIN,
            )

    def _relay(self) -> None:
        while True:
            try:
                self._relay_until_cut_off()
            except (redis.RedisError, OSError) as error:
                if self._may_end():
                    return
                log.warning("events are delayed", reason=type(error).__name__)
                self._stir()
                time.sleep(PAUSE_SECONDS)

    def _may_end(self) -> bool:
        """Whether nobody listens; then the next who comes starts anew."""
        with self._guard:
            if self._listeners:
                return False
            self._thread = None
            return True

    def _relay_until_cut_off(self) -> None:
        # A connection of its own, without the time limit of the others: it mostly waits.
        connection = redis.Redis.from_url(
            settings().redis, decode_responses=True, socket_timeout=None
        )
        channels = progress.status_channel("*"), progress.segments_channel("*")
        with connection, connection.pubsub() as subscription:
            subscription.psubscribe(*channels)
            for message in subscription.listen():
                if message["type"] == "pmessage":
                    self._hand_on(message["channel"], message["data"])
                elif message["data"] == len(channels):
                    self._stir()  # subscribed, perhaps anew: what was told before is not known

    def _hand_on(self, channel: str, text: str) -> None:
        job_id = channel.rpartition(":")[2]
        with self._guard:
            listeners = tuple(self._listeners.get(job_id, ()))
        news = _news(channel == progress.segments_channel(job_id), text) if listeners else None
        if news is not None:
            for listener in listeners:
                listener.tell(news)

    def _stir(self) -> None:
        """Have everybody look for what they may have missed."""
        with self._guard:
            listeners = [one for some in self._listeners.values() for one in some]
        for listener in listeners:
            listener.tell(None)


def _news(is_segment: bool, text: str) -> News | None:
    """What a message says; None if it is not one of ours: operators may publish there by hand."""
    try:
        told = json.loads(text)
    except ValueError:
        return None
    if not isinstance(told, dict) or not told.keys() >= (_SEGMENT if is_segment else _STATE):
        return None
    return News(is_segment, told, json.dumps(told))


hub = Hub()
