"""The client of the API for asynchronous code, on asyncio or Trio."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import httpx2

from transcribe_api.client import calls, local, responses
from transcribe_api.client.calls import JOBS, Call, FieldValue
from transcribe_api.client.responses import (
    TIMEOUT,
    Event,
    EventReader,
    convert_transport_errors,
    raise_for_problem,
)

_Answer = TypeVar("_Answer")


class AsyncClient:
    """As `Client`, for ``async with`` and ``await``."""

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
        """As `Client.ask`. A file is read block by block while it is sent."""
        with call.request() as request, convert_transport_errors():
            response = await self._http.request(**request)
        raise_for_problem(response)
        return call.read(response)

    async def ping(self) -> None:
        """As `Client.ping`."""
        await self.ask(calls.ping())

    async def submit(
        self, recording: Path | str, *, idempotency_key: str | None = None, **options: FieldValue
    ) -> dict[str, Any]:
        """As `Client.submit`."""
        return await self.ask(calls.submit(recording, idempotency_key=idempotency_key, **options))

    async def status(self, job_id: str) -> dict[str, Any]:
        """As `Client.status`."""
        return await self.ask(calls.status(job_id))

    async def jobs(
        self,
        *,
        status: str | None = None,
        engine: str | None = None,
        session_id: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> dict[str, Any]:
        """As `Client.jobs`."""
        return await self.ask(
            calls.jobs(
                status=status, engine=engine, session_id=session_id, limit=limit, cursor=cursor
            )
        )

    async def cancel(self, job_id: str) -> dict[str, Any]:
        """As `Client.cancel`."""
        return await self.ask(calls.cancel(job_id))

    async def retry(
        self, job_id: str, stage: str | None = None, **options: str | int
    ) -> dict[str, Any]:
        """As `Client.retry`."""
        return await self.ask(calls.retry(job_id, stage, **options))

    async def delete(self, job_id: str) -> None:
        """As `Client.delete`."""
        await self.ask(calls.delete(job_id))

    async def result(self, job_id: str) -> dict[str, Any]:
        """As `Client.result`."""
        return await self.ask(calls.result(job_id))

    async def formatted(self, job_id: str, form: str, **layout: FieldValue) -> str:
        """As `Client.formatted`."""
        return await self.ask(calls.formatted(job_id, form, **layout))

    async def document(self, job_id: str, form: str, **layout: FieldValue) -> bytes:
        """As `Client.document`."""
        return await self.ask(calls.document(job_id, form, **layout))

    async def artefacts(self, job_id: str) -> list[str]:
        """As `Client.artefacts`."""
        return await self.ask(calls.artefacts(job_id))

    async def engines(self) -> dict[str, Any]:
        """As `Client.engines`."""
        return await self.ask(calls.engines())

    async def system_status(self) -> dict[str, Any]:
        """As `Client.system_status`."""
        return await self.ask(calls.system_status())

    async def name_speakers(
        self, transcript_id: str, names: Mapping[str | int, str | None]
    ) -> dict[str, Any]:
        """As `Client.name_speakers`."""
        return await self.ask(calls.name_speakers(transcript_id, names))

    async def change_segment(
        self, transcript_id: str, position: int, **change: FieldValue
    ) -> dict[str, Any]:
        """As `Client.change_segment`."""
        return await self.ask(calls.change_segment(transcript_id, position, **change))

    async def create_context(
        self, name: str, terms: Iterable[Mapping[str, Any]] = ()
    ) -> dict[str, Any]:
        """As `Client.create_context`."""
        return await self.ask(calls.create_context(name, terms))

    async def contexts(
        self, *, limit: int | None = None, cursor: str | None = None
    ) -> dict[str, Any]:
        """As `Client.contexts`."""
        return await self.ask(calls.contexts(limit=limit, cursor=cursor))

    async def delete_context(self, context_id: str) -> None:
        """As `Client.delete_context`."""
        await self.ask(calls.delete_context(context_id))

    async def create_session(self, name: str) -> dict[str, Any]:
        """As `Client.create_session`."""
        return await self.ask(calls.create_session(name))

    async def sessions(
        self, *, limit: int | None = None, cursor: str | None = None
    ) -> dict[str, Any]:
        """As `Client.sessions`."""
        return await self.ask(calls.sessions(limit=limit, cursor=cursor))

    async def events(self, job_id: str, after: str = "") -> AsyncIterator[Event]:
        """As `Client.events`, for ``async for``."""
        headers = {"Last-Event-ID": after} if after else {}
        path = f"{JOBS}/stream/{job_id}"
        with convert_transport_errors():
            async with self._http.sse(path, headers=headers) as source:
                if source.response.status_code >= 400:
                    await source.response.aread()
                raise_for_problem(source.response)
                reader = EventReader(after)
                async for message in source:
                    for event in reader.read(message):
                        yield event
                    if reader.is_done:
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
