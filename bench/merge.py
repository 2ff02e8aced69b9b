"""What it costs to put a transcript together, for growing numbers of words.

``python -m bench.merge 25000 100000`` measures transcripts of so many words.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections.abc import Sequence

from bench.figures import Curve, Figure, Measured, tell
from bench.prepare import peak_mb
from bench.table import show
from transcripts import coverage, formats
from transcripts.formats import Layout
from transcripts.segments import segment
from transcripts.speakers.assignment import assign_speakers
from transcripts.speakers.continuity import carry_over
from transcripts.stitch import TranscribedChunk, stitch
from transcripts.types import Interval, Turn, Word

COUNTS = (25_000, 50_000, 100_000)
WORDS_A_CHUNK = 80
#: As people speak; an hour has 10 000.
WORDS_A_MINUTE = 10_000 / 60
#: CPU seconds for the largest; and what counts as linear, on a machine that others use as well.
GOAL, LINEAR = 2.0, 1.25


def main(counts: Sequence[int] = COUNTS) -> int:
    """Print the tables; returns 1 when it takes too long, or more than its share for more."""
    return tell("merge", measure(counts))


def measure(counts: Sequence[int] = COUNTS) -> Measured:
    """The row of the largest transcript, and curves of time and memory over all."""
    found = [measured(count) for count in counts]
    seconds, memory = ([one[name] for one in found] for name in ("cpu", "rss_mb"))
    growth = seconds[-1] / seconds[0] / (counts[-1] / counts[0])
    rows = [
        (f"{count:,}", f"{cpu:.2f} s", f"{mb:.0f} MB")
        for count, cpu, mb in zip(counts, seconds, memory, strict=True)
    ]
    show("merge: CPU seconds, and memory of the process", ("words", "CPU", "memory"), rows)
    figure = Figure(
        f"merge of {counts[-1]:,} words",
        f"≤ {GOAL:.0f} s, linear",
        f"{seconds[-1]:.2f} s of CPU, {memory[-1]:.0f} MB",
        seconds[-1] <= GOAL and growth <= LINEAR,
        growth,
        "growing in proportion to the words",
    )
    ideal = [(float(count), seconds[0] * count / counts[0]) for count in counts]
    points = list(zip(map(float, counts), seconds, strict=True))
    minutes = [count / WORDS_A_MINUTE for count in counts]
    return Measured(
        [figure],
        [
            Curve("merge over words", "words", "CPU s", points, ideal),
            Curve("memory of merge over duration", "minutes", "MB",
                  list(zip(minutes, memory, strict=True))),
        ],
    )  # fmt: skip


def measured(count: int) -> dict[str, float]:
    """What a process of its own took for so many words: `cpu` seconds, `rss_mb` at its most."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.merge", "one", str(count)], capture_output=True, check=True
    )
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


def work(count: int) -> None:
    """Do it in this process and print what it took."""
    chunks, turns = made(count)
    before = time.process_time()
    merged(chunks, turns)
    print(json.dumps({"cpu": time.process_time() - before, "rss_mb": peak_mb()}))


def merged(chunks: Sequence[TranscribedChunk], turns: Sequence[Turn]) -> None:
    """All that a merge does with words, but reading and writing."""
    words = stitch(chunks)
    segments = segment(assign_speakers(words, turns))
    coverage.measure_coverage(words, [Interval(turn.start, turn.end) for turn in turns])
    carry_over({0: "Ana", 1: "Ben"}, turns, turns)
    formats.srt(segments, Layout())
    formats.vtt(segments, Layout())
    formats.segments_json(segments)


def made(count: int) -> tuple[list[TranscribedChunk], list[Turn]]:
    """A conversation of made-up words, the same every time."""
    chance = random.Random(1)  # noqa: S311
    words, now = [], 0.0
    for _ in range(count):
        length = chance.uniform(0.1, 0.5)
        words.append(Word(f"w{chance.randrange(5000)}", now, now + length, 0.9))
        now += length + (chance.uniform(0.3, 1.5) if chance.random() < 0.1 else 0.02)
    groups = [words[at : at + WORDS_A_CHUNK] for at in range(0, count, WORDS_A_CHUNK)]
    chunks = [
        TranscribedChunk(Interval(group[0].start, group[-1].end), tuple(group)) for group in groups
    ]
    turns = [Turn(group[0].start, group[-1].end, number % 2) for number, group in enumerate(groups)]
    return chunks, turns


if __name__ == "__main__":
    if sys.argv[1:2] == ["one"]:
        work(int(sys.argv[2]))
    else:
        sys.exit(main([int(count) for count in sys.argv[1:]] or COUNTS))
