"""The progress bar of ``transcribe models pull``, for all sources."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from engines.models.download_progress import DownloadMeter

#: Seconds between two updates.
_INTERVAL_SECONDS = 0.25


@contextmanager
def show_progress(name: str) -> Iterator[DownloadMeter]:
    """Show the meter's progress during the block; nothing without a terminal."""
    meter, console, stop_event = DownloadMeter(), Console(stderr=True), Event()
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
    )
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        watcher = Thread(target=_update_bar, args=(name, meter, bar, stop_event), daemon=True)
        if not bar.disable:
            watcher.start()
        try:
            yield meter
        finally:
            stop_event.set()
            if not bar.disable:
                watcher.join()


def _update_bar(name: str, meter: DownloadMeter, bar: Progress, stop_event: Event) -> None:
    task = bar.add_task(name, total=None)
    while not stop_event.wait(_INTERVAL_SECONDS):
        description = f"{name} from {meter.source}" if meter.source else name
        bar.update(
            task, description=description, total=meter.total, completed=meter.downloaded_bytes
        )
