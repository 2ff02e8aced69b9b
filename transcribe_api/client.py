"""A client of the service, with no dependency on it but HTTP."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx2

_BASE = "/api/transcribe/jobs"
_OVER = frozenset({"completed", "failed", "cancelled"})

#: Seconds to connect and to wait for an answer; a stream sends something every 15 s.
TIMEOUT = httpx2.Timeout(60.0, connect=10.0)


class ServiceError(Exception):
    """The service refused; the message is its own sentence."""

    def __init__(self, message: str, *, status: int, code: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class Unreachable(Exception):
    """The service does not answer."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened: ``status`` with the job's state, or ``segment`` with words."""

    name: str
    data: dict[str, Any]
    #: What to go on after, when the connection is lost; empty before the first segment.
    id: str = ""


class Client:
    """Talks to one service. Use it in a ``with`` block, or close it.

    Every method raises `ServiceError` or `Unreachable`.
    """

    def __init__(
        self, url: str, *, key: str | None = None, timeout: httpx2.Timeout = TIMEOUT
    ) -> None:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._http = httpx2.Client(base_url=url, headers=headers, timeout=timeout)

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def ping(self) -> None:
        """Do nothing if the service answers."""
        self._json("GET", "/healthz")

    def submit(self, recording: Path, **options: str | int | bool | None) -> dict[str, Any]:
        """Send a recording; returns at once with the ``job_id``. Options are the form's fields."""
        form = {name: _text(value) for name, value in options.items() if value is not None}
        # A name of a file may hold bytes that are no text.
        name = os.fsencode(recording.name).decode("utf-8", "replace")
        with recording.open("rb") as file:
            return self._json(
                "POST", f"{_BASE}/transcribe", data=form, files={"file": (name, file)}
            )

    def status(self, job_id: str) -> dict[str, Any]:
        """The present state of a job."""
        return self._json("GET", f"{_BASE}/status/{job_id}")

    def events(self, job_id: str, after: str = "") -> Iterator[Event]:
        """What happens to a job, until the connection ends or the job is over.

        *after*: the id of the last event that was heard on an earlier connection.
        """
        headers = {"Last-Event-ID": after} if after else {}
        with _reachable(), self._http.sse(f"{_BASE}/stream/{job_id}", headers=headers) as source:
            _refuse_problem(source.response)
            for message in source:
                data = message.json()
                assert isinstance(data, dict)
                name = "segment" if message.event == "segment" else "status"
                after = message.id or after
                event = Event(name, data, after)
                yield event
                if event.name == "status" and is_over(data):
                    return

    def retry(self, job_id: str, stage: str | None = None, **wishes: str | int) -> dict[str, Any]:
        """Have what failed done again, or all of a *stage*; returns the state of the job.

        *stage*: ``transcribe``, ``diarize`` or ``merge``. *wishes*: for ``diarize``, what is asked
        for anew: ``diarizer``, ``min_speakers``, ``max_speakers``.
        """
        query = wishes if stage is None else {"stage": stage, **wishes}
        return self._json("POST", f"{_BASE}/{job_id}/retry", params=query)

    def result(self, job_id: str) -> dict[str, Any]:
        """The transcript of a completed job."""
        return self._json("GET", f"{_BASE}/result/{job_id}")

    def formatted(self, job_id: str, form: str) -> str:
        """The transcript in a text format."""
        with _reachable():
            response = self._http.get(f"{_BASE}/result/{job_id}/{form}")
        _refuse_problem(response)
        return str(response.text)

    def artefacts(self, job_id: str) -> list[str]:
        """The names of the files that a completed job has left."""
        names = self._json("GET", f"{_BASE}/artefacts/{job_id}")["artefacts"]
        return [str(name) for name in names]

    def download(self, job_id: str, name: str, target: Path) -> None:
        """Write one of those files to *target*, in constant memory."""
        with (
            _reachable(),
            self._http.stream("GET", f"{_BASE}/artefacts/{job_id}/{name}") as response,
        ):
            if response.status_code >= 400:
                response.read()
            _refuse_problem(response)
            with target.open("wb") as file:
                for block in response.iter_bytes():
                    file.write(block)

    def _json(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        with _reachable():
            response = self._http.request(method, path, **options)
        _refuse_problem(response)
        answer: dict[str, Any] = response.json()
        return answer


def is_over(status: dict[str, Any]) -> bool:
    """Whether a status is the last one of its job."""
    return status["status"] in _OVER


def _text(value: str | int | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


@contextmanager
def _reachable() -> Iterator[None]:
    try:
        yield
    except httpx2.TransportError as error:
        raise Unreachable(f"the service does not answer: {error}") from error


def _refuse_problem(response: httpx2.Response) -> None:
    if response.status_code < 400:
        return
    try:
        response.read()
        problem = response.json()
        raise ServiceError(
            problem["detail"], status=response.status_code, code=str(problem["code"])
        )
    except (ValueError, KeyError, TypeError):
        raise ServiceError(
            f"the service answered {response.status_code}",
            status=response.status_code,
            code="unknown",
        ) from None
