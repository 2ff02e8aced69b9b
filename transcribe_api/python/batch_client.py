"""Batch transcription of the command line: submit files, follow jobs, fetch results."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from time import monotonic, sleep
from typing import Any, Protocol

from transcribe_api.client import Client, ServiceError, Unreachable, is_over

#: Names of artefacts that a service may make us write; others are skipped.
_ARTEFACT_PATTERN = re.compile(r"(chunks/)?[a-z0-9_]+\.(json|wav|srt|vtt|txt)")

#: Errors of an option that another file may not have.
_FILE_DEPENDENT_CODES = frozenset({"no_such_track"})
#: Attempts to restore a lost connection, one second apart.
RECONNECT_ATTEMPTS = 30
#: Maximum seconds until Ctrl-C takes effect.
POLL_SECONDS = 0.5
#: Files that are sent and followed concurrently.
CONCURRENT_FILES = 8


class ProgressDisplay(Protocol):
    """Shows the progress of files, as bars or for programs. Several threads call it."""

    def show_start(self, file: Path) -> None:
        """Show that a file will be sent, or its job followed."""

    def show_accepted(self, file: Path, job: dict[str, Any]) -> None:
        """Show that the service has accepted a file, with its job."""

    def show_status(self, file: Path, status: dict[str, Any]) -> None:
        """Show the status of a file's job."""

    def show_outcome(self, outcome: FileOutcome) -> None:
        """Show the outcome of a file."""


@dataclass(frozen=True, slots=True)
class FileOutcome:
    """The outcome of one file."""

    file: Path
    #: Folder of the transcript, or None if there is none.
    output: Path | None
    #: Why there is no transcript.
    reason: str | None
    #: As returned by the service.
    warnings: tuple[Mapping[str, Any], ...] = ()
    job_id: str | None = None
    #: The cause is not the file: a later attempt may succeed.
    is_temporary: bool = False
    #: The job continues, and nobody waits for it.
    is_detached: bool = False


class BatchClient:
    """Threads that transcribe files concurrently, as long as the program runs."""

    def __init__(
        self,
        client: Client,
        options: Mapping[str, Any],
        display: ProgressDisplay,
        formats: Sequence[str] = (),
        *,
        is_detached: bool = False,
    ) -> None:
        """Write the transcript in *formats*; if empty, write all artefacts of the job.

        *is_detached*: only send files, and wait for nothing.
        """
        self._client = client
        self._options = options
        self._display = display
        self._formats = formats
        self._is_detached = is_detached
        self._open_jobs: dict[str, Path] = {}
        self._sending: set[Path] = set()
        self._is_stopped = False
        self._pending: SimpleQueue[tuple[Path, Path]] = SimpleQueue()
        self._outcomes: SimpleQueue[FileOutcome | BaseException] = SimpleQueue()
        # Daemon threads: those of a pool would keep an interrupted program running until they
        # finish.
        for _ in range(CONCURRENT_FILES):
            Thread(target=self._run_thread, daemon=True).start()

    def enqueue(self, file: Path, output: Path) -> None:
        """Queue a file for transcription into a directory."""
        self._pending.put((file, output))

    @property
    def open_jobs(self) -> Sequence[str]:
        """Return the ids of accepted jobs that are not known to be over."""
        return list(self._open_jobs)

    def stop_sending(self, timeout: float) -> Sequence[Path]:
        """Send no more files, and wait for those being sent, so that their jobs become known.

        Return the files that were not sent within *timeout* seconds.
        """
        self._is_stopped = True
        deadline = monotonic() + timeout
        while self._sending and monotonic() < deadline:
            sleep(0.05)
        return list(self._sending)

    def next_outcome(self, timeout: float | None = None) -> FileOutcome | None:
        """Return the outcome of the next file; None if there is none within *timeout* seconds.

        Raises `ServiceError` if the service refuses one of the options.
        """
        deadline = math.inf if timeout is None else monotonic() + timeout
        while (remaining := deadline - monotonic()) > 0:
            # In short steps: Python may continue to sleep if Ctrl-C and SIGTERM arrive together.
            with suppress(Empty):
                outcome = self._outcomes.get(timeout=min(remaining, POLL_SECONDS))
                if isinstance(outcome, BaseException):
                    raise outcome
                return outcome
        return None

    def _run_thread(self) -> None:
        while True:
            file, output = self._pending.get()
            if self._is_stopped:
                return
            try:
                self._outcomes.put(self._transcribe_file(file, output))
            except BaseException as error:
                self._outcomes.put(error)

    def _transcribe_file(self, file: Path, output: Path) -> FileOutcome:
        job_id = None
        try:
            job = self._submit(file)
            job_id = str(job["job_id"])
            self._display.show_accepted(file, job)
            if self._is_detached:
                return FileOutcome(file, None, None, job_id=job_id, is_detached=True)
            final_status = follow_status(
                self._client, job_id, lambda status: self._display.show_status(file, status)
            )
            if final_status["status"] != "completed":
                self._open_jobs.pop(job_id)
                return FileOutcome(file, None, final_status["message"], job_id=job_id)
            fetch_results(self._client, job_id, output, self._formats)
            self._open_jobs.pop(job_id)
            return FileOutcome(file, output, None, tuple(final_status["warnings"]), job_id)
        except (ServiceError, Unreachable, OSError) as error:
            if self._is_wrong_option(error):
                raise  # it would fail for every other file, too
            is_temporary = _is_temporary(error)
            if job_id is not None and not is_temporary:
                self._open_jobs.pop(job_id, None)
            return FileOutcome(file, None, str(error), job_id=job_id, is_temporary=is_temporary)

    def _is_wrong_option(self, error: Exception) -> bool:
        """Return whether the API refuses an option, whatever the file is."""
        field = getattr(error, "field", None) or ""
        depends_on_file = getattr(error, "code", None) in _FILE_DEPENDENT_CODES
        return self._options.get(field) is not None and not depends_on_file

    def _submit(self, file: Path) -> dict[str, Any]:
        self._sending.add(file)
        try:
            job = self._client.submit(file, **self._options)
            self._open_jobs[str(job["job_id"])] = file
        finally:
            self._sending.discard(file)
        return job


def follow_job(
    client: Client,
    job_id: str,
    output: Path | None,
    display: ProgressDisplay,
    formats: Sequence[str] = (),
) -> FileOutcome:
    """Show a job until it is over, and write its results if *output* is set.

    Raises `ServiceError` if the job does not exist, and `Unreachable`.
    """
    file = Path(client.status(job_id)["filename"])
    display.show_start(file)
    final_status = follow_status(client, job_id, lambda status: display.show_status(file, status))
    reason, warnings = None, tuple(final_status["warnings"])
    if final_status["status"] != "completed":
        reason = final_status["message"]
    elif output is not None:
        fetch_results(client, job_id, output, formats)
    outcome = FileOutcome(file, output, reason, warnings, job_id)
    display.show_outcome(outcome)
    return outcome


def _is_temporary(error: Exception) -> bool:
    if isinstance(error, ServiceError):
        return error.status in (401, 403, 429) or error.status >= 500
    return isinstance(error, Unreachable)


def follow_status(
    client: Client, job_id: str, on_status: Callable[[dict[str, Any]], None]
) -> dict[str, Any]:
    """Follow a job until it is over, reconnecting if necessary; return its last state."""
    for attempt in range(RECONNECT_ATTEMPTS):
        try:
            for status in _iterate_statuses(client, job_id):
                on_status(status)
                if is_over(status):
                    return status
        except Unreachable:
            if attempt == RECONNECT_ATTEMPTS - 1:
                raise
        sleep(1.0)
    return client.status(job_id)


def _iterate_statuses(client: Client, job_id: str) -> Iterator[dict[str, Any]]:
    for event in client.events(job_id):
        if event.name == "status":
            yield event.data


def fetch_results(client: Client, job_id: str, output: Path, formats: Sequence[str] = ()) -> None:
    """Write a completed job into a directory, in *formats* or as all of its artefacts."""
    output.mkdir(parents=True, exist_ok=True)
    for format_name in formats:
        (output / f"transcription.{format_name}").write_bytes(client.document(job_id, format_name))
    if not formats:
        _fetch_artefacts(client, job_id, output)


def _fetch_artefacts(client: Client, job_id: str, output: Path) -> None:
    names = {name for name in client.artefacts(job_id) if _ARTEFACT_PATTERN.fullmatch(name)}
    for name in sorted(names):
        target = output / name
        target.parent.mkdir(exist_ok=True)
        client.download(job_id, name, target)
    _remove_former_chunks(output, names)


def _remove_former_chunks(output: Path, names: Collection[str]) -> None:
    """Remove chunks of an earlier job's results, which would seem to belong to this one."""
    for file in output.glob("chunks/chunk_*.wav"):
        if f"chunks/{file.name}" not in names:
            file.unlink(missing_ok=True)
