"""Distribute Redis messages about jobs to all listeners in this process."""

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

import redis
import structlog

from core.errors import RateLimited, Transient
from core.settings import settings
from tasks.reporting import progress
from tasks.reporting.job_state import JobState
from transcribe_api.http.auth.access_recheck import RECHECK_SECONDS, AccessCheck, allow_anybody

log = structlog.get_logger(__name__)

#: Events that a listener may be behind before it is disconnected; it can reconnect.
MAX_QUEUED = 1000
#: Seconds between attempts to reach a Redis that does not answer.
PAUSE_SECONDS = 5.0

#: Threads of a process that are reserved for other requests than listeners.
RESERVED_THREADS = 64

#: Seconds after which a key with too many listeners may try again.
RETRY_AFTER_SECONDS = 5.0


class TooManyKeyStreams(RateLimited):
    """This key has the maximum number of listeners in this process."""

    code = "too_many_streams"


class TooManyStreams(Transient):
    """This process has the maximum number of listeners."""

    code = "too_many_streams"


@dataclass(frozen=True, slots=True)
class ChunkTranscribed:
    """The words of a chunk, published as soon as they are stored."""

    #: Position of the chunk, counted from 0.
    chunk: int
    #: JSON of a `ChunkTranscription`.
    text: str


#: What is published about a job: its new state, or the words of a chunk.
JobEvent = JobState | ChunkTranscribed


class Listener:
    """Receives the events of one job."""

    def __init__(self) -> None:
        self._events: queue.Queue[JobEvent | None] = queue.Queue(MAX_QUEUED)
        #: Whether it was so slow that it missed events.
        self.has_missed_events = False

    def wait_for_event(
        self, seconds: float, has_access: AccessCheck = allow_anybody
    ) -> JobEvent | None:
        """Return the next event, or None.

        None: no event within *seconds*, events may have been missed, or *has_access* returns False.
        """
        deadline = time.monotonic() + seconds
        while has_access() and (remaining := deadline - time.monotonic()) > 0:
            with suppress(queue.Empty):
                return self._events.get(timeout=min(remaining, RECHECK_SECONDS))
        return None

    def deliver(self, event: JobEvent | None) -> None:
        try:
            self._events.put_nowait(event)
        except queue.Full:
            self.has_missed_events = True


@dataclass(frozen=True, slots=True)
class ListenerSlot:
    """A place for one of the listeners that this process allows."""

    broker: EventBroker

    @contextmanager
    def listen(self, job_id: str) -> Iterator[Listener]:
        """Yield a listener, which receives the job's events during the block."""
        listener = Listener()
        self.broker.add_listener(job_id, listener)
        try:
            yield listener
        finally:
            self.broker.remove_listener(job_id, listener)


class EventBroker:
    """One Redis subscription for all listeners of the process."""

    def __init__(self) -> None:
        self._listeners: dict[str, set[Listener]] = {}
        self._listener_count = 0
        self._counts_by_key: Counter[uuid.UUID] = Counter()
        self._thread_limit: int | None = None
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    @property
    def listener_count(self) -> int:
        """Return the number of listeners of this process."""
        return self._listener_count

    def reserve_threads(self, threads: int) -> None:
        """Limit listeners so that half of few threads, or `RESERVED_THREADS` of many, stay free.

        For a server that gives each listener a thread.
        """
        self._thread_limit = max(threads - RESERVED_THREADS, threads // 2, 1)

    @property
    def _limit(self) -> int:
        return min(settings().max_streams, self._thread_limit or settings().max_streams)

    @contextmanager
    def listen(self, job_id: str, key_id: uuid.UUID | None = None) -> Iterator[Listener]:
        """Yield a listener, which receives the job's events during the block.

        *key_id*: id of the caller's key. Raises `TooManyStreams` or `TooManyKeyStreams`.
        """
        with self.reserve_slot(key_id) as slot, slot.listen(job_id) as listener:
            yield listener

    @contextmanager
    def reserve_slot(self, key_id: uuid.UUID | None = None) -> Iterator[ListenerSlot]:
        """Yield a slot for a listener, reserved before the job to listen to is known.

        Raises as `listen` does.
        """
        self._acquire_slot(key_id)
        try:
            yield ListenerSlot(self)
        finally:
            self._release_slot(key_id)

    def add_listener(self, job_id: str, listener: Listener) -> None:
        """Add a listener, which has a slot, to a job."""
        with self._lock:
            self._listeners.setdefault(job_id, set()).add(listener)
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._relay, daemon=True, name="event-broker"
                )
                self._thread.start()

    def remove_listener(self, job_id: str, listener: Listener) -> None:
        """Remove a listener."""
        with self._lock:
            listeners = self._listeners[job_id]
            listeners.discard(listener)
            if not listeners:
                del self._listeners[job_id]

    def _acquire_slot(self, key_id: uuid.UUID | None) -> None:
        with self._lock:
            self._check_key_limit(key_id)
            if self._listener_count >= self._limit:
                raise TooManyStreams(
                    f"{self._listener_count} listeners are connected, which is the limit; try "
                    "again later, or request the status"
                )
            self._listener_count += 1
            if key_id is not None:
                self._counts_by_key[key_id] += 1

    def _release_slot(self, key_id: uuid.UUID | None) -> None:
        with self._lock:
            self._listener_count -= 1
            if key_id is not None:
                self._counts_by_key[key_id] -= 1
                self._counts_by_key += Counter()  # removes keys without listeners

    def _check_key_limit(self, key_id: uuid.UUID | None) -> None:
        limit = settings().max_streams_per_key
        if key_id is not None and limit and self._counts_by_key[key_id] >= limit:
            raise TooManyKeyStreams(
                f"{limit} listeners of this key are connected, which is the limit; close some, "
                "or request the status",
                retry_in=RETRY_AFTER_SECONDS,
            )

    def _relay(self) -> None:
        while True:
            try:
                self._relay_until_disconnected()
            except (redis.RedisError, OSError) as error:
                if self._may_stop():
                    return
                log.warning("events are delayed", reason=type(error).__name__)
                self._wake_listeners()
                time.sleep(PAUSE_SECONDS)

    def _may_stop(self) -> bool:
        """Return whether there are no listeners; the next one then starts a new thread."""
        with self._lock:
            if self._listeners:
                return False
            self._thread = None
            return True

    def _relay_until_disconnected(self) -> None:
        # A separate connection without the usual timeout, since it mostly waits.
        connection = redis.Redis.from_url(
            settings().redis, decode_responses=True, socket_timeout=None
        )
        channels = progress.status_channel("*"), progress.segments_channel("*")
        with connection, connection.pubsub() as subscription:
            subscription.psubscribe(*channels)
            for message in subscription.listen():
                if message["type"] == "pmessage":
                    self._dispatch(message["channel"], message["data"])
                elif message["data"] == len(channels):
                    # Subscribed, perhaps again: earlier messages may have been missed.
                    self._wake_listeners()

    def _dispatch(self, channel: str, text: str) -> None:
        job_id = channel.rpartition(":")[2]
        with self._lock:
            listeners = tuple(self._listeners.get(job_id, ()))
        event = (
            _parse_event(channel == progress.segments_channel(job_id), text) if listeners else None
        )
        if event is not None:
            for listener in listeners:
                listener.deliver(event)

    def _wake_listeners(self) -> None:
        """Make all listeners check for missed events."""
        with self._lock:
            listeners = [member for group in self._listeners.values() for member in group]
        for listener in listeners:
            listener.deliver(None)


def _parse_event(is_segment: bool, text: str) -> JobEvent | None:
    """Return the event in a message; None if it is not ours: operators may publish by hand."""
    with suppress(ValueError):
        return _parse_transcription(text) if is_segment else JobState.model_validate_json(text)
    return None


def _parse_transcription(text: str) -> ChunkTranscribed | None:
    payload = json.loads(text)
    if not isinstance(payload, dict) or not isinstance(payload.get("chunk"), int):
        return None
    return ChunkTranscribed(payload["chunk"], json.dumps(payload))


job_events = EventBroker()
