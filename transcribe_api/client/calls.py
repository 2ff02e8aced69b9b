"""The calls of the API as values: each states its request and how to read the response."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

import httpx2

JOBS = "/api/transcribe/jobs"
_CONTEXTS = "/api/transcribe/contexts"
_SESSIONS = "/api/transcribe/sessions"

_Answer = TypeVar("_Answer")
#: Of a form or a query; None is not sent.
FieldValue = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Call(Generic[_Answer]):
    """A request with a single response."""

    method: str
    path: str
    read: Callable[[httpx2.Response], _Answer]
    #: Other arguments of httpx.
    request_options: Mapping[str, Any] = field(default_factory=dict)
    #: Sent with the request in constant memory, under its own name.
    file: Path | None = None

    @contextmanager
    def request(self) -> Iterator[dict[str, Any]]:
        """Yield the arguments of httpx, with the file open while it is sent."""
        if self.file is None:
            yield {"method": self.method, "url": self.path, **self.request_options}
            return
        # The name of a file may contain bytes that are not valid text.
        name = os.fsencode(self.file.name).decode("utf-8", "replace")
        with self.file.open("rb") as file:
            files = {"files": {"file": (name, file)}}
            yield {"method": self.method, "url": self.path, **self.request_options, **files}


def _read_object(response: httpx2.Response) -> dict[str, Any]:
    payload: dict[str, Any] = response.json()
    return payload


def _read_list(name: str) -> Callable[[httpx2.Response], list[Any]]:
    return lambda response: list(response.json()[name])


def _read_nothing(_: httpx2.Response) -> None:
    return None


def _read_text(response: httpx2.Response) -> str:
    return str(response.text)


def _read_bytes(response: httpx2.Response) -> bytes:
    return bytes(response.content)


def ping() -> Call[None]:
    """Build the call of `Client.ping`."""
    return Call("GET", "/healthz", _read_nothing)


def submit(
    recording: Path | str, *, idempotency_key: str | None = None, **options: FieldValue
) -> Call[dict[str, Any]]:
    """Build the call of `Client.submit`."""
    headers = {"Idempotency-Key": idempotency_key} if idempotency_key else {}
    request_options = {"data": _encode_fields(options), "headers": headers}
    return Call("POST", f"{JOBS}/transcribe", _read_object, request_options, file=Path(recording))


def status(job_id: str) -> Call[dict[str, Any]]:
    """Build the call of `Client.status`."""
    return Call("GET", f"{JOBS}/status/{job_id}", _read_object)


def jobs(
    *,
    status: str | None = None,
    engine: str | None = None,
    session_id: str | None = None,
    limit: int | None = None,
    cursor: str | None = None,
) -> Call[dict[str, Any]]:
    """Build the call of `Client.jobs`."""
    filters = {"status": status, "engine": engine, "session_id": session_id}
    query = _encode_fields({**filters, "limit": limit, "cursor": cursor})
    return Call("GET", JOBS, _read_object, {"params": query})


def cancel(job_id: str) -> Call[dict[str, Any]]:
    """Build the call of `Client.cancel`."""
    return Call("POST", f"{JOBS}/{job_id}/cancel", _read_object)


def retry(job_id: str, stage: str | None = None, **options: str | int) -> Call[dict[str, Any]]:
    """Build the call of `Client.retry`."""
    query = _encode_fields({"stage": stage, **options})
    return Call("POST", f"{JOBS}/{job_id}/retry", _read_object, {"params": query})


def delete(job_id: str) -> Call[None]:
    """Build the call of `Client.delete`."""
    return Call("DELETE", f"{JOBS}/{job_id}", _read_nothing)


def result(job_id: str) -> Call[dict[str, Any]]:
    """Build the call of `Client.result`."""
    return Call("GET", f"{JOBS}/result/{job_id}", _read_object)


def formatted(job_id: str, form: str, **layout: FieldValue) -> Call[str]:
    """Build the call of `Client.formatted`."""
    return Call(
        "GET", f"{JOBS}/result/{job_id}/{form}", _read_text, {"params": _encode_fields(layout)}
    )


def document(job_id: str, form: str, **layout: FieldValue) -> Call[bytes]:
    """Build the call of `Client.document`."""
    return Call(
        "GET", f"{JOBS}/result/{job_id}/{form}", _read_bytes, {"params": _encode_fields(layout)}
    )


def artefacts(job_id: str) -> Call[list[str]]:
    """Build the call of `Client.artefacts`."""
    return Call("GET", f"{JOBS}/artefacts/{job_id}", _read_list("artefacts"))


def engines() -> Call[dict[str, Any]]:
    """Build the call of `Client.engines`."""
    return Call("GET", f"{JOBS}/engines", _read_object)


def system_status() -> Call[dict[str, Any]]:
    """Build the call of `Client.system_status`."""
    return Call("GET", "/api/transcribe/system/status", _read_object)


def name_speakers(
    transcript_id: str, names: Mapping[str | int, str | None]
) -> Call[dict[str, Any]]:
    """Build the call of `Client.name_speakers`."""
    body = {"names": {str(number): name for number, name in names.items()}}
    path = f"/api/transcribe/transcripts/{transcript_id}/speakers"
    return Call("PATCH", path, _read_object, {"json": body})


def change_segment(transcript_id: str, position: int, **change: FieldValue) -> Call[dict[str, Any]]:
    """Build the call of `Client.change_segment`."""
    path = f"/api/transcribe/transcripts/{transcript_id}/segments/{position}"
    return Call("PATCH", path, _read_object, {"json": change})


def create_context(name: str, terms: Iterable[Mapping[str, Any]] = ()) -> Call[dict[str, Any]]:
    """Build the call of `Client.create_context`."""
    body = {"name": name, "terms": [dict(term) for term in terms]}
    return Call("POST", _CONTEXTS, _read_object, {"json": body})


def contexts(*, limit: int | None = None, cursor: str | None = None) -> Call[dict[str, Any]]:
    """Build the call of `Client.contexts`."""
    return Call(
        "GET",
        _CONTEXTS,
        _read_object,
        {"params": _encode_fields({"limit": limit, "cursor": cursor})},
    )


def delete_context(context_id: str) -> Call[None]:
    """Build the call of `Client.delete_context`."""
    return Call("DELETE", f"{_CONTEXTS}/{context_id}", _read_nothing)


def create_session(name: str) -> Call[dict[str, Any]]:
    """Build the call of `Client.create_session`."""
    return Call("POST", _SESSIONS, _read_object, {"json": {"name": name}})


def sessions(*, limit: int | None = None, cursor: str | None = None) -> Call[dict[str, Any]]:
    """Build the call of `Client.sessions`."""
    return Call(
        "GET",
        _SESSIONS,
        _read_object,
        {"params": _encode_fields({"limit": limit, "cursor": cursor})},
    )


def _encode_fields(values: Mapping[str, FieldValue]) -> dict[str, str]:
    """Return the values as strings for forms and queries, without None."""
    return {
        name: str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in values.items()
        if value is not None
    }
