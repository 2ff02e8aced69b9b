"""Progress bars, one a file: stage, chunks, seconds of audio, time left."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn

_STAGES = {
    "queued": "waiting",
    "prepare": "reading",
    "listen": "listening",
    "merge": "merging",
    "over": "done",
}


class Bars:
    """Shows nothing where there is no terminal."""

    def __init__(self, console: Console, files: Sequence[Path]) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f}%"),
            TextColumn("{task.fields[detail]}"),
            console=console,
            disable=not console.is_terminal,
        )
        self._bars: dict[Path, TaskID] = {
            file: self._progress.add_task(escape(file.name), total=100, detail="sending")
            for file in files
        }

    def __enter__(self) -> Bars:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def show(self, file: Path, told: dict[str, Any]) -> None:
        """Show the state of a file's job."""
        self._progress.update(
            self._bars[file], completed=told["progress"], detail=escape(detail(told))
        )


def detail(told: dict[str, Any]) -> str:
    """A state in a few words."""
    if told["status"] in ("failed", "cancelled"):
        return str(told["status"])
    words = [_STAGES.get(told["stage"], told["stage"])]
    if told["chunks_total"]:
        words.append(f"{told['chunks_done']}/{told['chunks_total']} chunks")
        words.append(f"{told['audio_seconds_done']:.0f}/{told['audio_seconds_total']:.0f} s")
    if told["seconds_left"]:
        words.append(f"{told['seconds_left']:.0f} s left")
    return "  ".join(words)
