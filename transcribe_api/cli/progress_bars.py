"""Progress bars, one per file: stage, chunks, seconds of audio, time left."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from transcribe_api.cli.warning_lines import fold_warnings
from transcribe_api.python.batch_client import FileOutcome

_STAGES = {
    "queued": "waiting",
    "prepare": "reading",
    "listen": "transcribing",
    "merge": "merging",
    "over": "done",
}


class ProgressBars:
    """Shows bars only on a terminal; results are printed everywhere."""

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
        self._lock = threading.Lock()
        self._bars: dict[Path, TaskID] = {}
        self._warned: set[tuple[Path, str]] = set()

    def __enter__(self) -> ProgressBars:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def show_start(self, file: Path) -> None:
        """Show a bar for a file."""
        name = escape(click.format_filename(file, shorten=True))
        self._bars[file] = self._progress.add_task(name, total=100, detail="sending")

    def show_accepted(self, file: Path, job: dict[str, Any]) -> None:
        """Print the job's warnings, such as that no worker is available."""
        self._warn(file, job.get("warnings", ()))

    def show_status(self, file: Path, status: dict[str, Any]) -> None:
        """Update the bar of a file's job."""
        self._progress.update(
            self._bars[file], completed=status["progress"], detail=escape(describe_status(status))
        )

    def show_outcome(self, outcome: FileOutcome) -> None:
        """Remove the bar, and print where the transcript is or why there is none."""
        self._progress.remove_task(self._bars.pop(outcome.file))
        file = click.format_filename(outcome.file)
        if outcome.reason is not None:
            self._print(f"{file}: {outcome.reason}", err=True)
            return
        target = outcome.output and click.format_filename(outcome.output)
        self._print(f"{file}: {target or outcome.job_id}")
        self._warn(outcome.file, outcome.warnings)

    def _warn(self, file: Path, warnings: Iterable[Mapping[str, Any]]) -> None:
        """Print each warning of a file once."""
        for line in fold_warnings(warnings):
            if (file, line) not in self._warned:
                self._warned.add((file, line))
                self._print(f"{click.format_filename(file)}: {line}", err=True)

    def _print(self, line: str, *, err: bool = False) -> None:
        """Print a whole line while no bar is shown."""
        if self._progress.disable:
            click.echo(line, err=err)
            return
        with self._lock:
            self._progress.stop()
            click.echo(line, err=err)
            self._progress.start()


def describe_status(status: dict[str, Any]) -> str:
    """Return a short description of a job's status."""
    if status["status"] in ("failed", "cancelled"):
        return str(status["status"])
    labels = [_describe_stage(status)]
    if _is_finding_speakers(status):
        labels.append(f"{status['shards_done']}/{status['shards_total']}")
    elif status["chunks_total"]:
        labels.append(f"{status['chunks_done']}/{status['chunks_total']} chunks")
        labels.append(f"{status['audio_seconds_done']:.0f}/{status['audio_seconds_total']:.0f} s")
    if status["seconds_left"]:
        labels.append(f"{status['seconds_left']:.0f} s left")
    return "  ".join(labels)


def _describe_stage(status: dict[str, Any]) -> str:
    """Return what the job does or waits for."""
    if status["queue_position"] is not None:
        return "waiting for a worker"
    if _is_finding_speakers(status):
        return "detecting speakers"
    return _STAGES.get(status["stage"], str(status["stage"]))


def _is_finding_speakers(status: dict[str, Any]) -> bool:
    return bool(
        status["stage"] == "listen"
        and status["chunks_done"] == status["chunks_total"]
        and status["shards_done"] < status["shards_total"]
    )
