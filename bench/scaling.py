"""How much sooner a recording is done over several workers: ``python -m bench.scaling``.

With PocketSphinx, against the bare engine on the whole file in one process, which is what a service
does that makes one task of one file. And with an engine that only waits (`bench/standin`), as one
does whose GPU or server does the work, against the ideal of the work divided by the workers: that
shows what the queues cost when cores are not the limit.
"""

from __future__ import annotations

import argparse
import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from bench.figures import Curve, Figure, Measured, tell
from bench.prepare import make
from bench.service import STANDIN, Run, running
from bench.table import show
from transcribe_api.processes import usable_cores

#: Minutes of the recording for PocketSphinx, and of that for the engine that waits.
MINUTES, WAITING_MINUTES = 6, 60
#: Of what a perfect division would give.
GOAL = 0.95
#: Worker processes that only wait, and seconds that each of their chunks takes.
WAITERS, CHUNK_SECONDS = (2, 4, 8), 1.0


def main(minutes: int) -> int:
    """Print the tables; returns 1 when workers bring less than they should."""
    return tell("scaling", measure(minutes))


def measure(minutes: int = MINUTES, waiters: Sequence[int] = WAITERS) -> Measured:
    """The rows and the curves, of PocketSphinx and of the engine that waits."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make(folder / "warm.mp3", 1)
        found = [_with_sphinx(folder, minutes), _waiting(folder, waiters)]
    figures, curves = zip(*found, strict=True)
    return Measured(figures, curves)


def _with_sphinx(folder: Path, minutes: int) -> tuple[Figure, Curve]:
    make(folder / "recording.mp3", minutes)
    alone = _alone(folder / "recording.mp3")
    # One more than there are cores, to show that it brings nothing.
    counts = range(1, usable_cores() + 2)
    times = [alone / _run(folder, count, engine="sphinx").seconds for count in counts]
    heads = ("worker processes", "times the bare engine", "of a perfect division")
    rows = [(n, f"{one:.2f}", f"{one / n:.2f}") for n, one in zip(counts, times, strict=True)]
    show(f"scaling: {minutes} min with PocketSphinx; the bare engine: {alone:.1f} s", heads, rows)

    cores = usable_cores()
    share = times[cores - 1] / cores
    figure = Figure(
        f"{minutes} min over {cores} workers on {cores} cores",
        f"≥ {GOAL} × {cores} times the bare engine",
        f"{times[cores - 1]:.2f} times",
        share >= GOAL,
        share,
        f"{cores} times the bare engine on the whole file",
    )
    points = list(zip(counts, times, strict=True))
    ideal = [(n, min(n, cores)) for n in counts]
    return figure, Curve("speed over workers", "worker processes", "× bare engine", points, ideal)


def _alone(recording: Path) -> float:
    """Seconds in which the engine alone hears the whole file, in a process of its own."""
    command = [sys.executable, "-m", "bench.whole", recording]
    began = time.monotonic()
    subprocess.run(command, check=True, capture_output=True)
    return time.monotonic() - began


def _waiting(folder: Path, counts: Sequence[int]) -> tuple[Figure, Curve]:
    make(folder / "recording.mp3", WAITING_MINUTES)
    settings = {"PYTHONPATH": STANDIN, "STANDIN_SECONDS": str(CHUNK_SECONDS)}
    runs = [_run(folder, count, engine="standin", **settings) for count in counts]
    work = runs[0].chunks * CHUNK_SECONDS
    ideals = [
        math.ceil(run.chunks / n) * CHUNK_SECONDS for n, run in zip(counts, runs, strict=True)
    ]
    shares = [ideal / run.seconds for ideal, run in zip(ideals, runs, strict=True)]
    rows = [
        (n, run.chunks, f"{ideal:.0f} s", f"{run.first_words:.1f} s", f"{run.seconds:.1f} s",
         f"{share:.2f}")
        for n, run, ideal, share in zip(counts, runs, ideals, shares, strict=True)
    ]  # fmt: skip
    heads = ("worker processes", "chunks", "ideal", "first words", "time", "of the ideal")
    show(f"scaling: {WAITING_MINUTES} min, an engine that waits {CHUNK_SECONDS:.0f} s a chunk",
         heads, rows)  # fmt: skip

    figure = Figure(
        f"{WAITING_MINUTES} min over {counts[0]} workers whose engine only waits",
        f"≥ {GOAL} of chunks / workers",
        f"{shares[0]:.2f}",
        shares[0] >= GOAL,
        shares[0],
        "the work divided by the workers",
    )
    points = [(n, work / run.seconds) for n, run in zip(counts, runs, strict=True)]
    ideal = [(float(n), float(n)) for n in counts]
    name = "speed over workers that wait"
    return figure, Curve(name, "worker processes", "× one worker", points, ideal)


def _run(folder: Path, workers: int, engine: str, **settings: str) -> Run:
    with running(workers=workers, **settings) as service:
        service.run(folder / "warm.mp3", engine=engine, diarizer="none")
        return service.run(folder / "recording.mp3", engine=engine, diarizer="none")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=int, default=MINUTES)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main(_arguments().minutes))
