"""How much of the speech in a chunk has words, and where it has none.

Voice activity says where somebody seems to speak. It also calls music, applause and clatter
speech, so an interval without words need not be a fault of the engine; but whoever reads the
transcript should know where to listen.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from transcripts.intervals import merge_intervals
from transcripts.types import Interval, Note, Word
from transcripts.warning import WarningCode

#: So much speech in a row without a word is a gap (seconds). People hesitate for two at most.
MIN_GAP_SECONDS = 3.0
#: After so much silence speech begins anew (seconds).
MIN_SILENCE_SECONDS = 2.0
#: Times of one word in two hearings differ by so much (seconds).
TOLERANCE_SECONDS = 0.1
#: What the warning of a gap says.
GAP_MESSAGE = "somebody seems to speak, but no words were heard"


@dataclass(frozen=True, slots=True)
class Coverage:
    """What a chunk's words cover of its speech."""

    #: Seconds in which somebody seems to speak.
    speech: float
    #: Seconds of these in the gaps.
    uncovered: float
    #: Where no word was heard for long, from the first such speech to the last.
    gaps: tuple[Interval, ...]


def measure_coverage(words: Iterable[Word], speech: Iterable[Interval]) -> Coverage:
    """Compare words with voice activity, both in times of the recording and in any order."""
    speech = merge_intervals(speech)
    gaps = list(_find_gaps(_find_pauses(words, speech), speech))
    return Coverage(
        speech=_sum_durations(speech),
        uncovered=math.fsum(map(_sum_durations, gaps)),
        gaps=tuple(Interval(gap[0].start, gap[-1].end) for gap in gaps),
    )


def may_have_gaps(words: Iterable[Word], interval: Interval) -> bool:
    """Whether there is room for a gap; where there is none, nobody need know of the speech."""
    return any(pause.duration >= MIN_GAP_SECONDS for pause in _find_pauses(words, [interval]))


def find_unexplained_gaps(coverage: Coverage, notes: Iterable[Note]) -> list[Interval]:
    """The gaps but for those that a note of the engine's own is about."""
    notes = list(notes)
    return [gap for gap in coverage.gaps if not any(_is_about(note, gap) for note in notes)]


def build_notes(gaps: Iterable[Interval]) -> list[Note]:
    """A note for every gap."""
    code = WarningCode.SPEECH_WITHOUT_WORDS
    return [Note(gap.start, gap.end, GAP_MESSAGE, code) for gap in gaps]


def fill_gap(words: Sequence[Word], gap: Interval, new_words: Iterable[Word]) -> tuple[Word, ...]:
    """The words and those of a second hearing that lie in the gap, by start.

    What reaches beyond it is heard there already, or was cut in half.
    """
    start, end = gap.start - TOLERANCE_SECONDS, gap.end + TOLERANCE_SECONDS
    inside = [word for word in new_words if start <= word.start and word.end <= end]
    return tuple(sorted([*words, *inside], key=lambda word: word.start))


def to_json(coverage: Coverage) -> dict[str, Any]:
    """For ``whisper_results.json``."""
    return {
        "speech_seconds": round(coverage.speech, 3),
        "speech_seconds_without_words": round(coverage.uncovered, 3),
        "holes": [
            {"start": round(gap.start, 3), "end": round(gap.end, 3)} for gap in coverage.gaps
        ],
    }


def _find_pauses(words: Iterable[Word], speech: Sequence[Interval]) -> Iterator[Interval]:
    """The intervals between words, from the first speech to the last."""
    if not speech:
        return
    position = speech[0].start
    for word in sorted(words, key=lambda word: word.start):
        if word.start > position:
            yield Interval(position, word.start)
        position = max(position, word.end)
    if speech[-1].end > position:
        yield Interval(position, speech[-1].end)


def _find_gaps(pauses: Iterable[Interval], speech: Sequence[Interval]) -> Iterator[list[Interval]]:
    """The speech of each gap. Walks through pauses and speech together."""
    first = 0
    for pause in pauses:
        while first < len(speech) and speech[first].end <= pause.start:
            first += 1
        last = first
        while last < len(speech) and speech[last].start < pause.end:
            last += 1
        overlaps = [_intersect(interval, pause) for interval in speech[first:last]]
        yield from (
            run for run in _split_at_silence(overlaps) if _sum_durations(run) >= MIN_GAP_SECONDS
        )


def _split_at_silence(intervals: Iterable[Interval]) -> Iterator[list[Interval]]:
    """The intervals, told apart where nobody speaks for long."""
    run: list[Interval] = []
    for interval in intervals:
        if run and interval.start - run[-1].end >= MIN_SILENCE_SECONDS:
            yield run
            run = []
        run.append(interval)
    yield run


def _sum_durations(intervals: Iterable[Interval]) -> float:
    return math.fsum(interval.duration for interval in intervals)


def _intersect(first: Interval, second: Interval) -> Interval:
    """What two intervals share; of those that are apart, less than nothing."""
    return Interval(max(first.start, second.start), min(first.end, second.end))


def _is_about(note: Note, gap: Interval) -> bool:
    """Whether note and gap are about the same interval, for the greater part of both."""
    return 2 * _intersect(note, gap).duration > max(note.duration, gap.duration)
