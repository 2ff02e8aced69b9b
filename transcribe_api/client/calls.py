"""All requests to the service as values: what to send, and how to read the response."""

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
_Value = str | int | float | bool | None


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
    """Return if the service answers."""
    return Call("GET", "/healthz", _read_nothing)


def submit(
    recording: Path | str, *, idempotency_key: str | None = None, **options: _Value
) -> Call[dict[str, Any]]:
    """Send a recording; return at once with the ``job_id``. Options are the form's fields.

    *idempotency_key*: identifies the request; sending it again with the same key creates no second
    job. Raises `OSError` if the recording cannot be read.
    """
    headers = {"Idempotency-Key": idempotency_key} if idempotency_key else {}
    request_options = {"data": _encode_fields(options), "headers": headers}
    return Call("POST", f"{JOBS}/transcribe", _read_object, request_options, file=Path(recording))


def status(job_id: str) -> Call[dict[str, Any]]:
    """Return the current state of a job."""
    return Call("GET", f"{JOBS}/status/{job_id}", _read_object)


def jobs(
    *,
    status: str | None = None,
    engine: str | None = None,
    session_id: str | None = None,
    limit: int | None = None,
    cursor: str | None = None,
) -> Call[dict[str, Any]]:
    """Return a page of jobs, newest first: ``jobs``, and ``next_cursor`` for the next page."""
    filters = {"status": status, "engine": engine, "session_id": session_id}
    query = _encode_fields({**filters, "limit": limit, "cursor": cursor})
    return Call("GET", JOBS, _read_object, {"params": query})


def cancel(job_id: str) -> Call[dict[str, Any]]:
    """Cancel a job; return its last state."""
    return Call("POST", f"{JOBS}/{job_id}/cancel", _read_object)


def retry(job_id: str, stage: str | None = None, **wishes: str | int) -> Call[dict[str, Any]]:
    """Repeat what failed, or all of a *stage*; return the state of the job.

    *stage*: ``transcribe``, ``diarize`` or ``merge``. *wishes*: new options for ``diarize``:
    ``diarizer``, ``min_speakers``, ``max_speakers``.
    """
    query = _encode_fields({"stage": stage, **wishes})
    return Call("POST", f"{JOBS}/{job_id}/retry", _read_object, {"params": query})


def delete(job_id: str) -> Call[None]:
    """Delete a job and all of its data, running or finished."""
    return Call("DELETE", f"{JOBS}/{job_id}", _read_nothing)


def result(job_id: str) -> Call[dict[str, Any]]:
    """Return the transcript of a completed job."""
    return Call("GET", f"{JOBS}/result/{job_id}", _read_object)


def formatted(job_id: str, form: str, **layout: _Value) -> Call[str]:
    """Return the transcript in a text format; *layout* is for subtitles, such as ``max_lines``."""
    return Call(
        "GET", f"{JOBS}/result/{job_id}/{form}", _read_text, {"params": _encode_fields(layout)}
    )


def document(job_id: str, form: str, **layout: _Value) -> Call[bytes]:
    """Return the transcript in any format, as bytes to write to a file."""
    return Call(
        "GET", f"{JOBS}/result/{job_id}/{form}", _read_bytes, {"params": _encode_fields(layout)}
    )


def artefacts(job_id: str) -> Call[list[str]]:
    """Return the names of the artefacts of a completed job."""
    return Call("GET", f"{JOBS}/artefacts/{job_id}", _read_list("artefacts"))


def engines() -> Call[dict[str, Any]]:
    """Return every engine with its features, and the ``default_engine``."""
    return Call("GET", f"{JOBS}/engines", _read_object)


def system_status() -> Call[dict[str, Any]]:
    """Return the state of the whole service: jobs, queues, machine and workers."""
    return Call("GET", "/api/transcribe/system/status", _read_object)


def name_speakers(
    transcript_id: str, names: Mapping[str | int, str | None]
) -> Call[dict[str, Any]]:
    """Name speakers by their numbers; return the displayed names of all speakers."""
    body = {"names": {str(number): name for number, name in names.items()}}
    path = f"/api/transcribe/transcripts/{transcript_id}/speakers"
    return Call("PATCH", path, _read_object, {"json": body})


def change_segment(transcript_id: str, position: int, **change: _Value) -> Call[dict[str, Any]]:
    """Change the ``text`` or ``speaker_tag`` of a segment; return the new segment.

    Pass ``former`` and ``former_speaker_tag``, the values that you saw, to detect a concurrent
    change: the error's code is then ``changed_meanwhile``.
    """
    path = f"/api/transcribe/transcripts/{transcript_id}/segments/{position}"
    return Call("PATCH", path, _read_object, {"json": change})


def create_context(name: str, terms: Iterable[Mapping[str, Any]] = ()) -> Call[dict[str, Any]]:
    """Create a context; a term has a ``phrase`` and its ``boost`` (-100 to 100)."""
    body = {"name": name, "terms": [dict(term) for term in terms]}
    return Call("POST", _CONTEXTS, _read_object, {"json": body})


def contexts(*, limit: int | None = None, cursor: str | None = None) -> Call[dict[str, Any]]:
    """Return a page of contexts, newest first: ``contexts`` and ``next_cursor``."""
    return Call(
        "GET",
        _CONTEXTS,
        _read_object,
        {"params": _encode_fields({"limit": limit, "cursor": cursor})},
    )


def delete_context(context_id: str) -> Call[None]:
    """Delete a context; transcripts that used it remain."""
    return Call("DELETE", f"{_CONTEXTS}/{context_id}", _read_nothing)


def create_session(name: str) -> Call[dict[str, Any]]:
    """Create a session, to which jobs can belong."""
    return Call("POST", _SESSIONS, _read_object, {"json": {"name": name}})


def sessions(*, limit: int | None = None, cursor: str | None = None) -> Call[dict[str, Any]]:
    """Return a page of sessions, newest first: ``sessions`` and ``next_cursor``."""
    return Call(
        "GET",
        _SESSIONS,
        _read_object,
        {"params": _encode_fields({"limit": limit, "cursor": cursor})},
    )


def _encode_fields(values: Mapping[str, _Value]) -> dict[str, str]:
    """Return the values as strings for forms and queries, without None."""
    return {
        name: str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in values.items()
        if value is not None
    }
