"""Responses and errors of the service."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx2

_FINAL_STATUSES = frozenset({"completed", "failed", "cancelled"})

#: Seconds to connect and to wait for a response; a stream sends something every 15 s.
TIMEOUT = httpx2.Timeout(60.0, connect=10.0)


class ServiceError(Exception):
    """The service refused the request; the message is the service's own."""

    def __init__(self, message: str, *, status: int, code: str, field: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        #: The invalid field, if the error is about one.
        self.field = field


class Unreachable(Exception):
    """The service does not answer."""


@dataclass(frozen=True, slots=True)
class Event:
    """An event of a job: ``status`` with the job's state, or ``segment`` with words."""

    name: str
    data: dict[str, Any]
    #: Position to continue from after a lost connection; empty before the first segment.
    id: str = ""

    @property
    def is_last(self) -> bool:
        """Return whether the job is over; of an ended job, segments may follow its first state."""
        return self.name == "status" and is_over(self.data)


def is_over(status: dict[str, Any]) -> bool:
    """Return whether a status is the last one of its job."""
    return status["status"] in _FINAL_STATUSES


class EventReader:
    """Reads the messages of one stream.

    The first one is the present state. If that says that the job is over, the segments that are
    missing and the same state may follow: only a later state ends the stream.
    """

    def __init__(self, after: str) -> None:
        """*after*: the id of the last event that an earlier connection received."""
        self._last_id = after
        self._has_begun = False
        #: Whether nothing follows.
        self.is_done = False

    def read(self, message: httpx2.ServerSentEvent) -> Iterator[Event]:
        """Yield the event of a message; nothing for one that only says when to reconnect."""
        if not message.data:
            return
        data = message.json()
        assert isinstance(data, dict)
        name = "segment" if message.event == "segment" else "status"
        self._last_id = message.id or self._last_id
        event = Event(name, data, self._last_id)
        self.is_done = event.is_last and self._has_begun
        self._has_begun = True
        yield event


@contextmanager
def convert_transport_errors() -> Iterator[None]:
    """Convert transport errors to `Unreachable`."""
    try:
        yield
    except httpx2.TransportError as error:
        raise Unreachable(f"the service does not answer: {error}") from error


def raise_for_problem(response: httpx2.Response) -> None:
    """Raise `ServiceError` if a response, whose body was read, is an error."""
    if response.status_code < 400:
        return
    try:
        problem = response.json()
        raise ServiceError(
            problem["detail"],
            status=response.status_code,
            code=str(problem["code"]),
            field=problem.get("field"),
        )
    except (ValueError, KeyError, TypeError):
        raise ServiceError(
            f"the service responded with status {response.status_code}",
            status=response.status_code,
            code="unknown",
        ) from None


def build_headers(key: str | None) -> dict[str, str]:
    """Return the headers of every request."""
    return {"Authorization": f"Bearer {key}"} if key else {}
