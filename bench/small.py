"""A guard for every change: ``python -m bench --small``, less than two minutes.

Nothing here looks at the clock: counts, which are the same on every machine, and ratios of
processor seconds, each the best of several, with bounds that are far from what is usual. So it is
red when something grows that should not, and not when the machine is slow or busy.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from bench import costs, merge, pauses, prepare
from bench.figures import Figure, Measured, together

#: Words of two transcripts; and how much more processor time a word of the longer may take.
WORDS, LINEAR = (10_000, 40_000), 1.6
#: Minutes of two recordings; times the processor time of decoding alone; MB that the longer may
#: take more.
MINUTES, PREPARE, ROOM_MB = (2, 12), 2.2, 32
#: How often processor seconds are taken.
TRIES = 3
#: Minutes of the two jobs whose chunks are counted, and seconds in which nothing is done.
JOBS, IDLE = (2, 8), 5.0
#: What a chunk may cost beside its engine: statements to the database, commands of Redis, objects.
#: Ten statements are usual, the beginnings of four transactions among them; leases that are renewed
#: while it lasts come on top.
MOST = {"statements": 12.0, "redis commands": 40.0, "objects": 2.5}


def measure() -> Measured:
    """All rows of the guard."""
    return together([_merge(), _prepare(), _counts(), pauses.measure()])


def _merge() -> Measured:
    few, many = (min(merge.measured(count)["cpu"] for _ in range(TRIES)) for count in WORDS)
    growth = many / few / (WORDS[1] / WORDS[0])
    figure = Figure(
        f"merge of {WORDS[1]:,} words",
        f"≤ {LINEAR} × as much a word",
        f"{growth:.2f} ×",
        growth <= LINEAR,
        growth,
        f"a word of {WORDS[0]:,}, CPU seconds",
    )
    return Measured([figure])


def _prepare() -> Measured:
    with tempfile.TemporaryDirectory() as folder:
        short, long = (Path(folder) / f"{minutes}.mp3" for minutes in MINUTES)
        for path, minutes in zip((short, long), MINUTES, strict=True):
            prepare.make(path, minutes)
        brief = prepare.measured("apart", short)
        alone = [prepare.measured("alone", long) for _ in range(TRIES)]
        apart = [prepare.measured("apart", long) for _ in range(TRIES)]
    ratio = min(one["cpu"] for one in apart) / min(one["cpu"] for one in alone)
    more = min(one["rss_mb"] for one in apart) - brief["rss_mb"]
    return Measured(
        [
            Figure(
                f"prepare of {MINUTES[1]} min",
                f"≤ {PREPARE} × decoding",
                f"{ratio:.2f} ×",
                ratio <= PREPARE,
                ratio,
                "CPU seconds of decoding alone",
            ),
            Figure(
                f"memory of prepare, {MINUTES[1]} min",
                f"≤ {ROOM_MB} MB more",
                f"{more:+.0f} MB",
                more <= ROOM_MB,
                1 + more / brief["rss_mb"],
                f"{MINUTES[0]} min, {brief['rss_mb']:.0f} MB",
            ),
        ]
    )


def _counts() -> Measured:
    chunk = costs.counted(JOBS, IDLE).costs["chunk"]
    return Measured(
        [
            Figure(
                f"{name} of a chunk",
                f"≤ {most:g}",
                f"{chunk[name]:.1f}",
                chunk[name] <= most,
                chunk[name] / most,
                "the most that there may be",
            )
            for name, most in MOST.items()
        ]
    )
