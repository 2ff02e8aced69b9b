"""The asynchronous client, for asyncio or Trio."""

from __future__ import annotations

from collections.abc import AsyncIterator
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


class AsyncClient(ClientMethods):
    """As `Client`, for ``async with``: methods are coroutines and asynchronous iterators."""

    def __init__(
        self, url: str, *, key: str | None = None, timeout: httpx2.Timeout = TIMEOUT
    ) -> None:
        self._http = httpx2.AsyncClient(
            base_url=url,
            headers=responses.build_headers(key or local.read_token(url)),
            timeout=timeout,
        )

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def ask(self, call: Call[_Answer]) -> _Answer:
        """Send a call and return its response. A file is sent block by block."""
        with call.request() as request, convert_transport_errors():
            response = await self._http.request(**request)
        raise_for_problem(response)
        return call.read(response)

    async def events(self, job_id: str, after: str = "") -> AsyncIterator[Event]:
        """As `Client.events`, for ``async for``."""
        headers = {"Last-Event-ID": after} if after else {}
        path = f"{JOBS}/stream/{job_id}"
        with convert_transport_errors():
            async with self._http.sse(path, headers=headers) as source:
                if source.response.status_code >= 400:
                    await source.response.aread()
                raise_for_problem(source.response)
                async for message in source:
                    event = responses.parse_event(message, after)
                    after = event.id
                    yield event
                    if event.is_last:
                        return

    async def download(self, job_id: str, name: str, target: Path) -> None:
        """As `Client.download`."""
        path = f"{JOBS}/artefacts/{job_id}/{name}"
        with convert_transport_errors():
            async with self._http.stream("GET", path) as response:
                if response.status_code >= 400:
                    await response.aread()
                raise_for_problem(response)
                with target.open("wb") as file:
                    async for block in response.aiter_bytes():
                        file.write(block)
