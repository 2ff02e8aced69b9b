"""What the command line does with files: send, follow, fetch."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from time import sleep
from typing import Any

from transcribe_api.client import Client, ServiceError, Unreachable, is_over

#: Names that a service may have us write; anything else is not ours to write.
_ARTEFACT = re.compile(r"(chunks/)?[a-z0-9_]+\.(json|wav|srt|vtt|txt)")

#: Times that a lost connection is tried again, a second apart.
PATIENCE = 30
#: Files that are sent and followed at the same time.
AT_ONCE = 8

#: Called with the file and what is known of its job.
Listener = Callable[[Path, dict[str, Any]], None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one file ended."""

    file: Path
    #: Where the transcript lies, or None when there is none.
    output: Path | None
    #: Why there is none.
    reason: str | None
    warnings: tuple[str, ...] = ()


def transcribe(
    client: Client,
    files: Mapping[Path, Path],
    options: Mapping[str, str | int | bool | None],
    listener: Listener,
) -> Sequence[Outcome]:
    """Transcribe files side by side, each into its directory. An interrupt ends it at once."""
    outcomes: dict[Path, Future[Outcome]] = {file: Future() for file in files}
    waiting: SimpleQueue[Path | None] = SimpleQueue()

    def work() -> None:
        for file in iter(waiting.get, None):
            try:
                outcomes[file].set_result(_one(client, options, listener, file, files[file]))
            except BaseException as error:
                outcomes[file].set_exception(error)

    threads = min(AT_ONCE, len(files))
    for file in (*files, *[None] * threads):
        waiting.put(file)
    # Threads of our own: those of a pool would keep an interrupted program until they are done.
    for _ in range(threads):
        Thread(target=work, daemon=True).start()
    return [outcome.result() for outcome in outcomes.values()]


def _one(
    client: Client,
    options: Mapping[str, str | int | bool | None],
    listener: Listener,
    file: Path,
    output: Path,
) -> Outcome:
    try:
        job_id = client.submit(file, **options)["job_id"]
        last = _follow(client, job_id, lambda told: listener(file, told))
        if last["status"] != "completed":
            return Outcome(file, None, last["message"])
        fetch(client, job_id, output)
        return Outcome(file, output, None, tuple(last["warnings"]))
    except (ServiceError, Unreachable, OSError) as error:
        return Outcome(file, None, str(error))


def _follow(client: Client, job_id: str, tell: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
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


def fetch(client: Client, job_id: str, output: Path) -> None:
    """Write the files of a completed job into a directory."""
    output.mkdir(parents=True, exist_ok=True)
    for name in client.artefacts(job_id):
        if not _ARTEFACT.fullmatch(name):
            continue
        target = output / name
        target.parent.mkdir(exist_ok=True)
        client.download(job_id, name, target)
