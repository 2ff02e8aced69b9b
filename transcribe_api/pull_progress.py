"""The one bar that ``transcribe models pull`` shows, wherever the bytes come from."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from engines.weights.meter import Meter

#: Seconds between two looks.
_INTERVAL = 0.25


@contextmanager
def show_progress(name: str) -> Iterator[Meter]:
    """Show how far the meter is while the block lasts; nothing where nobody looks."""
    meter, console, is_over = Meter(), Console(stderr=True), Event()
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
    )
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        watcher = Thread(target=_watch, args=(name, meter, bar, is_over), daemon=True)
        if not bar.disable:
            watcher.start()
        try:
            yield meter
        finally:
            is_over.set()
            if not bar.disable:
                watcher.join()


def _watch(name: str, meter: Meter, bar: Progress, is_over: Event) -> None:
    task = bar.add_task(name, total=None)
    while not is_over.wait(_INTERVAL):
        told = f"{name} from {meter.source}" if meter.source else name
        bar.update(task, description=told, total=meter.total, completed=meter.done)
