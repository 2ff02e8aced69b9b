"""What it costs to put a transcript together, for growing numbers of words."""

from __future__ import annotations

import random
import sys
import time

from bench.figures import Curve, Figure, Measured, tell
from bench.table import show
from transcripts import coverage, formats
from transcripts.formats import Layout
from transcripts.renaming import carried
from transcripts.segments import segment
from transcripts.speakers import assign
from transcripts.stitch import HeardChunk, stitch
from transcripts.types import Span, Turn, Word

COUNTS = (25_000, 50_000, 100_000)
WORDS_A_CHUNK = 80
#: CPU seconds for the largest; and what counts as linear, on a machine that others use as well.
GOAL, LINEAR = 2.0, 1.25


def main() -> int:
    """Print the tables; returns 1 when it takes too long, or more than its share for more."""
    return tell("merge", measure())


def measure() -> Measured:
    """The row of the largest transcript, and the curve over all."""
    seconds = [measured(count) for count in COUNTS]
    points = list(zip(COUNTS, seconds, strict=True))
    growth = seconds[-1] / seconds[0] / (COUNTS[-1] / COUNTS[0])
    rows = [(f"{count:,}", f"{one:.2f} s") for count, one in points]
    show("merge: CPU seconds", ("words", "CPU"), rows)
    figure = Figure(
        f"merge of {COUNTS[-1]:,} words",
        f"≤ {GOAL:.0f} s, linear",
        f"{seconds[-1]:.2f} s of CPU",
        seconds[-1] <= GOAL and growth <= LINEAR,
        growth,
        "growing in proportion to the words",
    )
    ideal = [(count, seconds[0] * count / COUNTS[0]) for count in COUNTS]
    return Measured([figure], [Curve("merge over words", "words", "CPU s", points, ideal)])


def measured(count: int) -> float:
    chunks, turns = made(count)
    before = time.process_time()
    words = stitch(chunks)
    segments = segment(assign(words, turns))
    coverage.measure(words, [Span(turn.start, turn.end) for turn in turns])
    carried({0: "Ana", 1: "Ben"}, turns, turns)
    formats.srt(segments, Layout())
    formats.vtt(segments, Layout())
    formats.segments_json(segments)
    return time.process_time() - before


def made(count: int) -> tuple[list[HeardChunk], list[Turn]]:
    """A conversation of made-up words, the same every time."""
    chance = random.Random(1)  # noqa: S311
    words, now = [], 0.0
    for _ in range(count):
        length = chance.uniform(0.1, 0.5)
        words.append(Word(f"w{chance.randrange(5000)}", now, now + length, 0.9))
        now += length + (chance.uniform(0.3, 1.5) if chance.random() < 0.1 else 0.02)
    groups = [words[at : at + WORDS_A_CHUNK] for at in range(0, count, WORDS_A_CHUNK)]
    chunks = [HeardChunk(Span(group[0].start, group[-1].end), tuple(group)) for group in groups]
    turns = [Turn(group[0].start, group[-1].end, number % 2) for number, group in enumerate(groups)]
    return chunks, turns


if __name__ == "__main__":
    sys.exit(main())
