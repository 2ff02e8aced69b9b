"""How much sooner a recording is done over several workers: ``python -m bench.scaling``.

With PocketSphinx, against the bare engine on the whole file in one process; beside it a service
that makes one task of one file (`bench/onetask`), which is ours without the cutting. Both get no
more than nine minutes, and their time counts as many times as the recording is longer:
that flatters them, since a minute of a longer recording takes the engine more.

And with an engine that only waits (`bench/standin`), as one does whose GPU or server does the work,
against the ideal of the work divided by the workers: that shows what the queues cost when cores are
not the limit, and where the seconds go.
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
from bench.service import ONE_TASK, STANDIN, Run, running
from bench.table import show
from transcribe_api.stack.processes import count_usable_cores

#: Minutes of the recording for PocketSphinx, and of that for the engine that waits.
MINUTES, WAITING_MINUTES = 6, 60
#: The most that the bare engine gets, in one go: see `bench.whole`.
ALONE_MINUTES = 9
#: Of what a perfect division would give.
GOAL = 0.95
#: Worker processes that only wait, and seconds that each of their chunks takes.
WAITERS, CHUNK_SECONDS = (2, 4, 8), 1.0


def main(minutes: int, waiting: int) -> int:
    """Print the tables; returns 1 when workers bring less than they should."""
    return tell("scaling", measure(minutes, waiting))


def measure(
    minutes: int = MINUTES, waiting: int = WAITING_MINUTES, waiters: Sequence[int] = WAITERS
) -> Measured:
    """The rows and the curves, of PocketSphinx and of the engine that waits."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make(folder / "warm.mp3", 1)
        found = [_with_sphinx(folder, minutes), _waiting(folder, waiting, waiters)]
    figures, curves = zip(*found, strict=True)
    return Measured(figures, curves)


def _with_sphinx(folder: Path, minutes: int) -> tuple[Figure, Curve]:
    begin = make(folder / "begin.mp3", min(minutes, ALONE_MINUTES))
    times_longer = make(folder / "recording.mp3", minutes) / begin
    alone = _alone(folder / "begin.mp3") * times_longer
    one_task = _one_task(folder) * times_longer
    # One more than there are cores, to show that it brings nothing.
    counts = range(1, count_usable_cores() + 2)
    runs = [_run(folder, count, engine="sphinx") for count in counts]
    times = [alone / run.seconds for run in runs]
    show(
        f"scaling: {minutes} min with PocketSphinx",
        ("how", "time", "times the bare engine", "of a perfect division"),
        [
            ("the bare engine on the whole file", f"{alone:.1f} s", "1.00", "1.00"),
            _sphinx_row("one task for the whole file", one_task, alone, 1),
            *(
                _sphinx_row(f"{n} workers, {run.chunks} chunks", run.seconds, alone, n)
                for n, run in zip(counts, runs, strict=True)
            ),
        ],
    )
    cores = count_usable_cores()
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


def _sphinx_row(how: str, seconds: float, alone: float, workers: int) -> tuple[str, ...]:
    times = alone / seconds
    return how, f"{seconds:.1f} s", f"{times:.2f}", f"{times / workers:.2f}"


def _alone(recording: Path) -> float:
    """Seconds in which the engine alone hears the whole file, in a process of its own."""
    command = [sys.executable, "-m", "bench.whole", recording]
    began = time.monotonic()
    subprocess.run(command, check=True, capture_output=True)
    return time.monotonic() - began


def _one_task(folder: Path) -> float:
    # Ten minutes in one piece take longer than a chunk may.
    environment = {"PYTHONPATH": ONE_TASK, "CHUNK_TIME_LIMIT": "6000"}
    return _run(folder, 1, "onetask", "begin.mp3", **environment).seconds


def _waiting(folder: Path, minutes: int, counts: Sequence[int]) -> tuple[Figure, Curve]:
    make(folder / "recording.mp3", minutes)
    environment = {"PYTHONPATH": STANDIN, "STANDIN_SECONDS": str(CHUNK_SECONDS)}
    runs = [_run(folder, count, engine="standin", **environment) for count in counts]
    work = runs[0].chunks * CHUNK_SECONDS
    ideals = [
        math.ceil(run.chunks / n) * CHUNK_SECONDS for n, run in zip(counts, runs, strict=True)
    ]
    shares = [ideal / run.seconds for ideal, run in zip(ideals, runs, strict=True)]
    show(
        f"scaling: {minutes} min, an engine that waits {CHUNK_SECONDS:.0f} s a chunk",
        ("worker processes", "chunks", "ideal", "time", "of the ideal",
         "until the first chunk is begun", "until the last is heard", "until the job is done"),
        [
            (n, run.chunks, f"{ideal:.0f} s", f"{run.seconds:.1f} s", f"{share:.2f}",
             *_seconds(run))
            for n, run, ideal, share in zip(counts, runs, ideals, shares, strict=True)
        ],
    )  # fmt: skip
    figure = Figure(
        f"{minutes} min over {counts[0]} workers whose engine only waits",
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


def _seconds(run: Run) -> tuple[str, ...]:
    """Where they went: to take apart, to hear, to put together."""
    first = run.first_words - CHUNK_SECONDS
    each = (first, run.last_words - first, run.seconds - run.last_words)
    return tuple(f"{seconds:.1f} s" for seconds in each)


def _run(
    folder: Path, workers: int, engine: str, name: str = "recording.mp3", **settings: str
) -> Run:
    with running(workers=workers, **settings) as service:
        service.run(folder / "warm.mp3", engine=engine, diarizer="none")
        return service.run(folder / name, engine=engine, diarizer="none")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=int, default=MINUTES)
    parser.add_argument("--waiting", type=int, default=WAITING_MINUTES, help="minutes as well")
    return parser.parse_args()


if __name__ == "__main__":
    asked = _arguments()
    sys.exit(main(asked.minutes, asked.waiting))
