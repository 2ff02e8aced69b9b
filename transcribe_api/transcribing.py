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
_ARTEFACT = re.compile(r"(chunks/)?[a-z0-9_]+\.(json|wav|srt|vtt|txt)")

#: Times that a lost connection is tried again, a second apart.
PATIENCE = 30
#: Seconds after which Ctrl-C is heard at the latest.
LOOK_EVERY = 0.5
#: Files that are sent and followed at the same time.
AT_ONCE = 8


class Show(Protocol):
    """Says what happens to files: to people by bars, or to programs. Called by several threads."""

    def begin(self, file: Path) -> None:
        """A file is going to be sent, or its job to be followed."""

    def accept(self, file: Path, job: dict[str, Any]) -> None:
        """The service has taken a file, and this is its job."""

    def state(self, file: Path, told: dict[str, Any]) -> None:
        """This is how the job of a file is now."""

    def end(self, outcome: Outcome) -> None:
        """So a file ended."""


@dataclass(frozen=True, slots=True)
class Outcome:
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
    may_pass: bool = False
    #: The job goes on, and nobody waits for it.
    is_detached: bool = False


class Crew:
    """Threads that transcribe files side by side, for as long as the program lasts."""

    def __init__(
        self,
        client: Client,
        options: Mapping[str, Any],
        show: Show,
        formats: Sequence[str] = (),
        *,
        is_detached: bool = False,
    ) -> None:
        """*formats*: write the transcript in these; none: write all that the job has left.

        *is_detached*: send files only, and wait for nothing.
        """
        self._client = client
        self._options = options
        self._show = show
        self._formats = formats
        self._is_detached = is_detached
        self._open: dict[str, Path] = {}
        self._sending: set[Path] = set()
        self._is_stopped = False
        self._waiting: SimpleQueue[tuple[Path, Path]] = SimpleQueue()
        self._ended: SimpleQueue[Outcome | BaseException] = SimpleQueue()
        # Threads of our own: those of a pool would keep an interrupted program until they are done.
        for _ in range(AT_ONCE):
            Thread(target=self._work, daemon=True).start()

    def take(self, file: Path, output: Path) -> None:
        """Have a file transcribed into a directory."""
        self._waiting.put((file, output))

    @property
    def open_jobs(self) -> Sequence[str]:
        """The ids of the jobs that were accepted and are not known to be over."""
        return list(self._open)

    def stop_sending(self, timeout: float) -> Sequence[Path]:
        """Send no further file, and wait for those on their way: a job must not stay unknown.

        Returns the files that were not sent within *timeout* seconds.
        """
        self._is_stopped = True
        until = monotonic() + timeout
        while self._sending and monotonic() < until:
            sleep(0.05)
        return list(self._sending)

    def next(self, timeout: float | None = None) -> Outcome | None:
        """How the next file ended; None when none did within *timeout* seconds.

        Raises `ServiceError` when the service refuses one of the options.
        """
        until = math.inf if timeout is None else monotonic() + timeout
        while (left := until - monotonic()) > 0:
            # Not all of it at once: Python may sleep on when Ctrl-C and SIGTERM come together.
            with suppress(Empty):
                ended = self._ended.get(timeout=min(left, LOOK_EVERY))
                if isinstance(ended, BaseException):
                    raise ended
                return ended
        return None

    def _work(self) -> None:
        while True:
            file, output = self._waiting.get()
            if self._is_stopped:
                return
            try:
                self._ended.put(self._one(file, output))
            except BaseException as error:
                self._ended.put(error)

    def _one(self, file: Path, output: Path) -> Outcome:
        job_id = None
        try:
            job = self._submit(file)
            job_id = str(job["job_id"])
            self._show.accept(file, job)
            if self._is_detached:
                return Outcome(file, None, None, job_id=job_id, is_detached=True)
            last = follow(self._client, job_id, lambda told: self._show.state(file, told))
            if last["status"] != "completed":
                self._open.pop(job_id)
                return Outcome(file, None, last["message"], job_id=job_id)
            fetch(self._client, job_id, output, self._formats)
            self._open.pop(job_id)
            return Outcome(file, output, None, tuple(last["warnings"]), job_id)
        except (ServiceError, Unreachable, OSError) as error:
            if self._is_option(getattr(error, "field", None)):
                raise  # it is as wrong with every other file
            may_pass = _may_pass(error)
            if job_id is not None and not may_pass:
                self._open.pop(job_id, None)
            return Outcome(file, None, str(error), job_id=job_id, may_pass=may_pass)

    def _is_option(self, field: str | None) -> bool:
        return self._options.get(field or "") is not None

    def _submit(self, file: Path) -> dict[str, Any]:
        self._sending.add(file)
        try:
            job = self._client.submit(file, **self._options)
            self._open[str(job["job_id"])] = file
        finally:
            self._sending.discard(file)
        return job


def follow_job(
    client: Client, job_id: str, output: Path | None, show: Show, formats: Sequence[str] = ()
) -> Outcome:
    """Show a job that was sent before until it is over, and write its results if *output* is set.

    Raises `ServiceError` for a job that is not there, and `Unreachable`.
    """
    file = Path(client.status(job_id)["filename"])
    show.begin(file)
    last = follow(client, job_id, lambda told: show.state(file, told))
    reason, warnings = None, tuple(last["warnings"])
    if last["status"] != "completed":
        reason = last["message"]
    elif output is not None:
        fetch(client, job_id, output, formats)
    outcome = Outcome(file, output, reason, warnings, job_id)
    show.end(outcome)
    return outcome


def _may_pass(error: Exception) -> bool:
    if isinstance(error, ServiceError):
        return error.status in (401, 403, 429) or error.status >= 500
    return isinstance(error, Unreachable)


def follow(client: Client, job_id: str, tell: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """Listen to a job until it is over, over lost connections; returns its last state."""
    for wait in range(PATIENCE):
        try:
            for told in _states(client, job_id):
                tell(told)
                if is_over(told):
                    return told
        except Unreachable:
            if wait == PATIENCE - 1:
                raise
        sleep(1.0)
    return client.status(job_id)


def _states(client: Client, job_id: str) -> Iterator[dict[str, Any]]:
    for event in client.events(job_id):
        if event.name == "status":
            yield event.data


def fetch(client: Client, job_id: str, output: Path, formats: Sequence[str] = ()) -> None:
    """Write a completed job into a directory: in these formats, or all files that it has left."""
    output.mkdir(parents=True, exist_ok=True)
    for form in formats:
        (output / f"transcription.{form}").write_bytes(client.document(job_id, form))
    if not formats:
        _fetch_artefacts(client, job_id, output)


def _fetch_artefacts(client: Client, job_id: str, output: Path) -> None:
    names = {name for name in client.artefacts(job_id) if _ARTEFACT.fullmatch(name)}
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
