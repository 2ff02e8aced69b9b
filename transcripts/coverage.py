"""Measure how much of the speech in a chunk has words, and where words are missing.

Voice activity detection marks intervals that seem to contain speech. It also marks music, applause
and clatter, so an interval without words is not always an error of the engine. The reader of the
transcript still needs to know which intervals to check.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from transcripts.intervals import merge_intervals
from transcripts.types import Interval, Note, Word
from transcripts.warning import WarningCode

#: Speech without a word for this long is a gap (seconds). Hesitations last two seconds at most.
MIN_GAP_SECONDS = 3.0
#: Silence of this length separates two runs of speech (seconds).
MIN_SILENCE_SECONDS = 2.0
#: Two transcriptions of one word differ in their times by up to this much (seconds).
TOLERANCE_SECONDS = 0.1
#: Text of the warning about a gap.
GAP_MESSAGE = "the audio seems to contain speech, but no words were transcribed"


@dataclass(frozen=True, slots=True)
class Coverage:
    """How much of a chunk's speech has words."""

    #: Seconds that seem to contain speech.
    speech: float
    #: Seconds of speech that lie in the gaps.
    uncovered: float
    #: Long intervals without a word, each from its first speech to its last.
    gaps: tuple[Interval, ...]


def measure_coverage(words: Iterable[Word], speech: Iterable[Interval]) -> Coverage:
    """Compare words with voice activity; both in recording time (seconds), in any order."""
    speech = merge_intervals(speech)
    gaps = list(_find_gaps(_find_pauses(words, speech), speech))
    return Coverage(
        speech=_sum_durations(speech),
        uncovered=math.fsum(map(_sum_durations, gaps)),
        gaps=tuple(Interval(gap[0].start, gap[-1].end) for gap in gaps),
    )


def may_have_gaps(words: Iterable[Word], interval: Interval) -> bool:
    """Return whether a gap fits between the words. If not, voice activity need not be detected."""
    return any(pause.duration >= MIN_GAP_SECONDS for pause in _find_pauses(words, [interval]))


def find_unexplained_gaps(coverage: Coverage, notes: Iterable[Note]) -> list[Interval]:
    """Return the gaps that no note of the engine explains."""
    notes = list(notes)
    return [gap for gap in coverage.gaps if not any(_is_about(note, gap) for note in notes)]


def build_notes(gaps: Iterable[Interval]) -> list[Note]:
    """Return one note for every gap."""
    code = WarningCode.SPEECH_WITHOUT_WORDS
    return [Note(gap.start, gap.end, GAP_MESSAGE, code) for gap in gaps]


def fill_gap(words: Sequence[Word], gap: Interval, new_words: Iterable[Word]) -> tuple[Word, ...]:
    """Return *words* plus those of *new_words* that lie inside the gap, ordered by start.

    New words that reach beyond the gap are dropped: *words* has them already, or they were cut in
    half.
    """
    start, end = gap.start - TOLERANCE_SECONDS, gap.end + TOLERANCE_SECONDS
    inside = [word for word in new_words if start <= word.start and word.end <= end]
    return tuple(sorted([*words, *inside], key=lambda word: word.start))


def to_json(coverage: Coverage) -> dict[str, Any]:
    """Return the coverage as JSON for ``whisper_results.json``."""
    return {
        "speech_seconds": round(coverage.speech, 3),
        "speech_seconds_without_words": round(coverage.uncovered, 3),
        "holes": [
            {"start": round(gap.start, 3), "end": round(gap.end, 3)} for gap in coverage.gaps
        ],
    }


def _find_pauses(words: Iterable[Word], speech: Sequence[Interval]) -> Iterator[Interval]:
    """Yield the intervals without words, from the first speech to the last."""
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
    """Yield the speech intervals of each gap, in one pass over pauses and speech."""
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
    """Yield runs of intervals, separated where silence lasts for `MIN_SILENCE_SECONDS` or more."""
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
    """Return the overlap of two intervals; its duration is negative if they are apart."""
    return Interval(max(first.start, second.start), min(first.end, second.end))


def _is_about(note: Note, gap: Interval) -> bool:
    """Return whether note and gap overlap in more than half of the longer one."""
    return 2 * _intersect(note, gap).duration > max(note.duration, gap.duration)
