"""What it costs to put a transcript together, for growing numbers of words."""

from __future__ import annotations

import random
import time

from bench.table import show
from transcripts import formats
from transcripts.coverage import measure
from transcripts.formats import Layout
from transcripts.renaming import carried
from transcripts.segments import segment
from transcripts.speakers import assign
from transcripts.stitch import HeardChunk, stitch
from transcripts.types import Span, Turn, Word

COUNTS = (25_000, 50_000, 100_000)
WORDS_A_CHUNK = 80


def main() -> None:
    rows = []
    first = 0.0
    for count in COUNTS:
        seconds = measured(count)
        first = first or seconds
        rows.append((count, f"{seconds:.2f} s", f"{seconds / first / (count / COUNTS[0]):.2f}"))
    show("merge: CPU seconds", ("words", "CPU", "against linear growth"), rows)


def measured(count: int) -> float:
    chunks, turns = made(count)
    before = time.process_time()
    words = stitch(chunks)
    segments = segment(assign(words, turns))
    measure(words, [Span(turn.start, turn.end) for turn in turns])
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
    main()
