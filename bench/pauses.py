"""Whether the length of pauses changes how a recording is cut: ``python -m bench.pauses``.

The same sentences with pauses of one length between them, and then of another. Chunks should differ
no more than the recordings do: a length from which on everything is cut otherwise would be a cliff.
"""

from __future__ import annotations

import sys
import tempfile
from itertools import pairwise
from pathlib import Path

from bench import made
from bench.figures import Curve, Figure, Measured, tell
from bench.table import show
from chunking.cut import AudioChunker

#: Seconds between sentences; and how often all of them are said.
PAUSES = (0.4, 0.5, 0.6, 0.8, 1.0)
PASSES = 6
#: Times that chunks may be longer or shorter than those for the next pause.
GOAL = 1.25


def main() -> int:
    """Print the table; returns 1 when there is a cliff."""
    return tell("pauses", measure())


def measure() -> Measured:
    """The largest step from one pause to the next, and the curve."""
    with tempfile.TemporaryDirectory() as folder:
        found = [_lengths(pause, Path(folder)) for pause in PAUSES]
    means = [sum(lengths) / len(lengths) for lengths in found]
    show(
        f"pauses: the same {PASSES * len(made.sentences())} sentences",
        ("pause", "chunks", "seconds of a chunk", "shortest", "longest"),
        [
            (f"{pause} s", len(one), f"{mean:.1f}", f"{min(one):.1f}", f"{max(one):.1f}")
            for pause, one, mean in zip(PAUSES, found, means, strict=True)
        ],
    )
    step = largest_step(means)
    counts = ", ".join(str(len(one)) for one in found)
    figure = Figure(
        f"chunks for pauses of {', '.join(map(str, PAUSES))} s",
        f"no cliff: ≤ {GOAL} × the neighbour",
        counts,
        step <= GOAL,
        step,
        "the largest step in length of chunk to the next pause",
    )
    curve = Curve("length of chunks over pauses", "seconds of pause", "seconds of a chunk",
                  list(zip(PAUSES, means, strict=True)))  # fmt: skip
    return Measured([figure], [curve])


def largest_step(values: list[float]) -> float:
    """Of two that are beside each other, the larger by the smaller."""
    return max(max(pair) / min(pair) for pair in pairwise(values))


def _lengths(pause: float, folder: Path) -> list[float]:
    """Seconds of each chunk."""
    recording = folder / f"{pause}.wav"
    made.write(recording, made.spoken(PASSES * made.sentences(), lambda _: pause), {})
    windows = AudioChunker().take_apart(recording, folder).windows
    return [window.end - window.start for window in windows]


if __name__ == "__main__":
    sys.exit(main())
