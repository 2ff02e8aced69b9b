"""The client of the API for synchronous code."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
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


class Client:
    """A client of one API server. Use it in a ``with`` block, or close it. Threads may share it.

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
        """Send the request of a call, and return what it reads from the response."""
        with call.request() as request, convert_transport_errors():
            response = self._http.request(**request)
        raise_for_problem(response)
        return call.read(response)

    def ping(self) -> None:
        """Return when the API answers."""
        self.ask(calls.ping())

    def submit(
        self, recording: Path | str, *, idempotency_key: str | None = None, **options: FieldValue
    ) -> dict[str, Any]:
        """Upload a recording and return at once; the answer has the ``job_id``.

        *options*: fields of the form, such as ``engine`` or ``language``. *idempotency_key*: your
        name for the request; a second request with the same key creates no second job. Raises
        `OSError` when the recording cannot be read.
        """
        return self.ask(calls.submit(recording, idempotency_key=idempotency_key, **options))

    def status(self, job_id: str) -> dict[str, Any]:
        """Return the present state of a job."""
        return self.ask(calls.status(job_id))

    def jobs(
        self,
        *,
        status: str | None = None,
        engine: str | None = None,
        session_id: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> dict[str, Any]:
        """Return a page of jobs, newest first: ``jobs`` and ``next_cursor``."""
        return self.ask(
            calls.jobs(
                status=status, engine=engine, session_id=session_id, limit=limit, cursor=cursor
            )
        )

    def cancel(self, job_id: str) -> dict[str, Any]:
        """Cancel a job and return its last state."""
        return self.ask(calls.cancel(job_id))

    def retry(self, job_id: str, stage: str | None = None, **options: str | int) -> dict[str, Any]:
        """Run the failed parts of a job again, or all of a *stage*; return the job's state.

        *stage*: ``transcribe``, ``diarize`` or ``merge``. *options*: for ``diarize`` only, new
        values of ``diarizer``, ``min_speakers``, ``max_speakers``.
        """
        return self.ask(calls.retry(job_id, stage, **options))

    def delete(self, job_id: str) -> None:
        """Delete a job with all its files, whether it is running or over."""
        self.ask(calls.delete(job_id))

    def result(self, job_id: str) -> dict[str, Any]:
        """Return the transcript of a completed job."""
        return self.ask(calls.result(job_id))

    def formatted(self, job_id: str, form: str, **layout: FieldValue) -> str:
        """Return the transcript in a text format. *layout*: of subtitles, such as ``max_lines``."""
        return self.ask(calls.formatted(job_id, form, **layout))

    def document(self, job_id: str, form: str, **layout: FieldValue) -> bytes:
        """Return the transcript in any format, as the bytes of a file."""
        return self.ask(calls.document(job_id, form, **layout))

    def artefacts(self, job_id: str) -> list[str]:
        """Return the names of the files of a completed job."""
        return self.ask(calls.artefacts(job_id))

    def engines(self) -> dict[str, Any]:
        """Return every engine with its capabilities, and the ``default_engine``."""
        return self.ask(calls.engines())

    def system_status(self) -> dict[str, Any]:
        """Return the state of the whole deployment: jobs, queues, machine and workers."""
        return self.ask(calls.system_status())

    def name_speakers(
        self, transcript_id: str, names: Mapping[str | int, str | None]
    ) -> dict[str, Any]:
        """Name speakers by their numbers, and return the names that readers now see."""
        return self.ask(calls.name_speakers(transcript_id, names))

    def change_segment(
        self, transcript_id: str, position: int, **change: FieldValue
    ) -> dict[str, Any]:
        """Change the ``text`` or the ``speaker_tag`` of a segment, and return the segment.

        Send the old values as ``former`` and ``former_speaker_tag``: if another client changed
        them meanwhile, the call raises `ServiceError` with the code ``changed_meanwhile``.
        """
        return self.ask(calls.change_segment(transcript_id, position, **change))

    def create_context(self, name: str, terms: Iterable[Mapping[str, Any]] = ()) -> dict[str, Any]:
        """Create a context. Each term has a ``phrase`` and a ``boost`` from -100 to 100."""
        return self.ask(calls.create_context(name, terms))

    def contexts(self, *, limit: int | None = None, cursor: str | None = None) -> dict[str, Any]:
        """Return a page of contexts, newest first: ``contexts`` and ``next_cursor``."""
        return self.ask(calls.contexts(limit=limit, cursor=cursor))

    def delete_context(self, context_id: str) -> None:
        """Delete a context. Transcripts that used it stay."""
        self.ask(calls.delete_context(context_id))

    def create_session(self, name: str) -> dict[str, Any]:
        """Create a session, which groups jobs."""
        return self.ask(calls.create_session(name))

    def sessions(self, *, limit: int | None = None, cursor: str | None = None) -> dict[str, Any]:
        """Return a page of sessions, newest first: ``sessions`` and ``next_cursor``."""
        return self.ask(calls.sessions(limit=limit, cursor=cursor))

    def events(self, job_id: str, after: str = "") -> Iterator[Event]:
        """Yield the events of a job until the job is over or the connection ends.

        *after*: the id of the last event that an earlier connection received.
        """
        headers = {"Last-Event-ID": after} if after else {}
        with (
            convert_transport_errors(),
            self._http.sse(f"{JOBS}/stream/{job_id}", headers=headers) as source,
        ):
            if source.response.status_code >= 400:
                source.response.read()
            raise_for_problem(source.response)
            reader = EventReader(after)
            for message in source:
                yield from reader.read(message)
                if reader.is_done:
                    return

    def download(self, job_id: str, name: str, target: Path) -> None:
        """Write an artefact of a job to the file *target*, in constant memory."""
        path = f"{JOBS}/artefacts/{job_id}/{name}"
        with convert_transport_errors(), self._http.stream("GET", path) as response:
            if response.status_code >= 400:
                response.read()
            raise_for_problem(response)
            with target.open("wb") as file:
                for block in response.iter_bytes():
                    file.write(block)
