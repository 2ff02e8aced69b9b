"""How soon the first words of a long recording can be read: ``python -m bench.latency``.

The engine takes no time (`bench/standin`), so what is measured is all that comes before the first
chunk can be heard, and after: upload, decode, voice activity, cut, queues, event stream.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench.figures import Figure, Measured, tell
from bench.prepare import make, measured
from bench.service import STANDIN, Service, running

#: Minutes of the recordings; the goal holds for the first of them.
MINUTES = (60,)
#: Seconds until the first words, beside the engine's own.
GOAL = 5.0


def main(lengths: Sequence[int] = MINUTES) -> int:
    """Print the table; returns 1 when the first words come later than they may."""
    return tell("first words", measure(lengths))


def measure(lengths: Sequence[int] = MINUTES) -> Measured:
    """The figures for the table."""
    with tempfile.TemporaryDirectory() as folder, running(PYTHONPATH=STANDIN) as service:
        warm = Path(folder) / "warm.mp3"
        make(warm, 1)
        service.run(warm, engine="standin", diarizer="none")
        return Measured([_row(minutes, Path(folder), service) for minutes in lengths])


def _row(minutes: int, folder: Path, service: Service) -> Figure:
    recording = folder / f"{minutes}.mp3"
    make(recording, minutes)
    run = service.run(recording, engine="standin", diarizer="none")
    alone = measured("alone", recording)["cpu"]
    return Figure(
        f"submission to first words, {minutes} min",
        f"≤ {GOAL:.0f} s beside the engine",
        f"{run.first_words:.1f} s",
        run.first_words <= GOAL,
        run.first_words / alone,
        "the time to decode the file alone",
    )


if __name__ == "__main__":
    sys.exit(main([int(minutes) for minutes in sys.argv[1:]] or MINUTES))
