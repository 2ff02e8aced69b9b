"""Progress bars, one a file: stage, chunks, seconds of audio, time left."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from transcribe_api.transcribing import Outcome
from transcribe_api.warning_lines import fold

_STAGES = {
    "queued": "waiting",
    "prepare": "reading",
    "listen": "listening",
    "merge": "merging",
    "over": "done",
}


class Bars:
    """Shows no bars where there is no terminal; how files ended is printed everywhere."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f}%"),
            TextColumn("{task.fields[detail]}"),
            console=console,
            disable=not console.is_terminal,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._guard = threading.Lock()
        self._bars: dict[Path, TaskID] = {}
        self._warned: set[tuple[Path, str]] = set()

    def __enter__(self) -> Bars:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def begin(self, file: Path) -> None:
        """Show a bar for a file."""
        name = escape(click.format_filename(file, shorten=True))
        self._bars[file] = self._progress.add_task(name, total=100, detail="sending")

    def accept(self, file: Path, job: dict[str, Any]) -> None:
        """Say what the job waits for, if nobody can work on it yet."""
        self._warn(file, job.get("warnings", ()))

    def state(self, file: Path, told: dict[str, Any]) -> None:
        """Show the state of a file's job."""
        self._progress.update(
            self._bars[file], completed=told["progress"], detail=escape(detail(told))
        )

    def end(self, outcome: Outcome) -> None:
        """Take the bar away, and say where the transcript lies or why there is none."""
        self._progress.remove_task(self._bars.pop(outcome.file))
        file = click.format_filename(outcome.file)
        if outcome.reason is not None:
            self._print(f"{file}: {outcome.reason}", err=True)
            return
        where = outcome.output and click.format_filename(outcome.output)
        self._print(f"{file}: {where or outcome.job_id}")
        self._warn(outcome.file, outcome.warnings)

    def _warn(self, file: Path, warnings: Iterable[Mapping[str, Any]]) -> None:
        """Print each line about a file once."""
        for line in fold(warnings):
            if (file, line) not in self._warned:
                self._warned.add((file, line))
                self._print(f"{click.format_filename(file)}: {line}", err=True)

    def _print(self, line: str, *, err: bool = False) -> None:
        """Print a whole line, to wherever that goes, with no bar beside it."""
        if self._progress.disable:
            click.echo(line, err=err)
            return
        with self._guard:
            self._progress.stop()
            click.echo(line, err=err)
            self._progress.start()


def detail(told: dict[str, Any]) -> str:
    """A state in a few words."""
    if told["status"] in ("failed", "cancelled"):
        return str(told["status"])
    words = [_name_stage(told)]
    if _waits_for_speakers(told):
        words.append(f"{told['shards_done']}/{told['shards_total']}")
    elif told["chunks_total"]:
        words.append(f"{told['chunks_done']}/{told['chunks_total']} chunks")
        words.append(f"{told['audio_seconds_done']:.0f}/{told['audio_seconds_total']:.0f} s")
    if told["seconds_left"]:
        words.append(f"{told['seconds_left']:.0f} s left")
    return "  ".join(words)


def _name_stage(told: dict[str, Any]) -> str:
    """What the job is waiting for."""
    if told["queue_position"] is not None:
        return "waiting for a worker"
    if _waits_for_speakers(told):
        return "finding speakers"
    return _STAGES.get(told["stage"], str(told["stage"]))


def _waits_for_speakers(told: dict[str, Any]) -> bool:
    return (
        told["stage"] == "listen"
        and told["chunks_done"] == told["chunks_total"]
        and told["shards_done"] < told["shards_total"]
    )
