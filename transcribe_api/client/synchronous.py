"""The synchronous client."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import httpx2

from transcribe_api.client import local, responses
from transcribe_api.client.calls import JOBS, Call
from transcribe_api.client.methods import ClientMethods
from transcribe_api.client.responses import (
    TIMEOUT,
    Event,
    convert_transport_errors,
    raise_for_problem,
)

_Answer = TypeVar("_Answer")


class Client(ClientMethods):
    """Client of one service. Use it in a ``with`` block, or close it. Threads may share it.

    Every method raises `ServiceError` or `Unreachable`.
    """

    def __init__(
        self, url: str, *, key: str | None = None, timeout: httpx2.Timeout = TIMEOUT
    ) -> None:
        self._http = httpx2.Client(
            base_url=url,
            headers=responses.build_headers(key or local.read_token(url)),
            timeout=timeout,
        )

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def ask(self, call: Call[_Answer]) -> _Answer:
        """Send a call and return its response."""
        with call.request() as request, convert_transport_errors():
            response = self._http.request(**request)
        raise_for_problem(response)
        return call.read(response)

    def events(self, job_id: str, after: str = "") -> Iterator[Event]:
        """Yield the events of a job, until the connection ends or the job is over.

        *after*: the id of the last event received on an earlier connection.
        """
        headers = {"Last-Event-ID": after} if after else {}
        with (
            convert_transport_errors(),
            self._http.sse(f"{JOBS}/stream/{job_id}", headers=headers) as source,
        ):
            if source.response.status_code >= 400:
                source.response.read()
            raise_for_problem(source.response)
            for message in source:
                event = responses.parse_event(message, after)
                after = event.id
                yield event
                if event.is_last:
                    return

    def download(self, job_id: str, name: str, target: Path) -> None:
        """Write one of the artefacts of a job to *target*, in constant memory."""
        path = f"{JOBS}/artefacts/{job_id}/{name}"
        with convert_transport_errors(), self._http.stream("GET", path) as response:
            if response.status_code >= 400:
                response.read()
            raise_for_problem(response)
            with target.open("wb") as file:
                for block in response.iter_bytes():
                    file.write(block)
