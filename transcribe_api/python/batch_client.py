"""What the command line does with files: send, follow, fetch."""

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

#: Names that a service may have us write; anything else is not ours to write.
_ARTEFACT_PATTERN = re.compile(r"(chunks/)?[a-z0-9_]+\.(json|wav|srt|vtt|txt)")

#: Times that a lost connection is tried again, a second apart.
RECONNECT_ATTEMPTS = 30
#: Seconds after which Ctrl-C is heard at the latest.
POLL_SECONDS = 0.5
#: Files that are sent and followed at the same time.
CONCURRENT_FILES = 8


class ProgressDisplay(Protocol):
    """Says what happens to files: to people by bars, or to programs. Called by several threads."""

    def show_start(self, file: Path) -> None:
        """A file is going to be sent, or its job to be followed."""

    def show_accepted(self, file: Path, job: dict[str, Any]) -> None:
        """The service has taken a file, and this is its job."""

    def show_status(self, file: Path, status: dict[str, Any]) -> None:
        """This is how the job of a file is now."""

    def show_outcome(self, outcome: FileOutcome) -> None:
        """So a file ended."""


@dataclass(frozen=True, slots=True)
class FileOutcome:
    """How one file ended."""

    file: Path
    #: Where the transcript lies, or None when there is none.
    output: Path | None
    #: Why there is none.
    reason: str | None
    #: As the service tells them.
    warnings: tuple[Mapping[str, Any], ...] = ()
    job_id: str | None = None
    #: The reason is not the file's own: later it may go well.
    is_temporary: bool = False
    #: The job goes on, and nobody waits for it.
    is_detached: bool = False


class BatchClient:
    """Threads that transcribe files side by side, for as long as the program lasts."""

    def __init__(
        self,
        client: Client,
        options: Mapping[str, Any],
        display: ProgressDisplay,
        formats: Sequence[str] = (),
        *,
        is_detached: bool = False,
    ) -> None:
        """*formats*: write the transcript in these; none: write all that the job has left.

        *is_detached*: send files only, and wait for nothing.
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
        # Threads of our own: those of a pool would keep an interrupted program until they are done.
        for _ in range(CONCURRENT_FILES):
            Thread(target=self._run_thread, daemon=True).start()

    def enqueue(self, file: Path, output: Path) -> None:
        """Have a file transcribed into a directory."""
        self._pending.put((file, output))

    @property
    def open_jobs(self) -> Sequence[str]:
        """The ids of the jobs that were accepted and are not known to be over."""
        return list(self._open_jobs)

    def stop_sending(self, timeout: float) -> Sequence[Path]:
        """Send no further file, and wait for those on their way: a job must not stay unknown.

        Returns the files that were not sent within *timeout* seconds.
        """
        self._is_stopped = True
        deadline = monotonic() + timeout
        while self._sending and monotonic() < deadline:
            sleep(0.05)
        return list(self._sending)

    def next_outcome(self, timeout: float | None = None) -> FileOutcome | None:
        """How the next file ended; None when none did within *timeout* seconds.

        Raises `ServiceError` when the service refuses one of the options.
        """
        deadline = math.inf if timeout is None else monotonic() + timeout
        while (remaining := deadline - monotonic()) > 0:
            # Not all of it at once: Python may sleep on when Ctrl-C and SIGTERM come together.
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
            if self._is_option(getattr(error, "field", None)):
                raise  # it is as wrong with every other file
            is_temporary = _is_temporary(error)
            if job_id is not None and not is_temporary:
                self._open_jobs.pop(job_id, None)
            return FileOutcome(file, None, str(error), job_id=job_id, is_temporary=is_temporary)

    def _is_option(self, field: str | None) -> bool:
        return self._options.get(field or "") is not None

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
    """Show a job that was sent before until it is over, and write its results if *output* is set.

    Raises `ServiceError` for a job that is not there, and `Unreachable`.
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
    """Listen to a job until it is over, over lost connections; returns its last state."""
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
    """Write a completed job into a directory: in these formats, or all files that it has left."""
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
    """Chunks of a job whose results lay here before would seem to be of this one."""
    for file in output.glob("chunks/chunk_*.wav"):
        if f"chunks/{file.name}" not in names:
            file.unlink(missing_ok=True)
