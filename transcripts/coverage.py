"""How much of the speech in a chunk has words, and where it has none.

Voice activity says where somebody seems to speak. It also calls music, applause and clatter
speech, so a stretch without words need not be a fault of the engine; but whoever reads the
transcript should know where to listen.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from transcripts.types import Note, Span, Word
from transcripts.warning import WarningCode

#: So much speech in a row without a word is a hole (seconds). People hesitate for two at most.
HOLE = 3.0
#: After so much silence speech begins anew (seconds).
SILENCE = 2.0
#: Times of one word in two hearings differ by so much (seconds).
SLACK = 0.1
#: What the warning of a hole says.
NOTED = "somebody seems to speak, but no words were heard"


@dataclass(frozen=True, slots=True)
class Coverage:
    """What a chunk's words cover of its speech."""

    #: Seconds in which somebody seems to speak.
    speech: float
    #: Seconds of these in the holes.
    unheard: float
    #: Where no word was heard for long, from the first such speech to the last.
    holes: tuple[Span, ...]


def measure(words: Iterable[Word], speech: Iterable[Span]) -> Coverage:
    """Compare words with voice activity, both in times of the recording and in any order."""
    speech = union(speech)
    holes = list(_holes(_pauses(words, speech), speech))
    return Coverage(
        speech=_seconds(speech),
        unheard=math.fsum(map(_seconds, holes)),
        holes=tuple(Span(hole[0].start, hole[-1].end) for hole in holes),
    )


def may_have_holes(words: Iterable[Word], place: Span) -> bool:
    """Whether there is room for a hole; where there is none, nobody need know of the speech."""
    return any(pause.duration >= HOLE for pause in _pauses(words, [place]))


def unexplained(coverage: Coverage, notes: Iterable[Note]) -> list[Span]:
    """The holes but for those that a note of the engine's own is about."""
    notes = list(notes)
    return [hole for hole in coverage.holes if not any(_is_about(note, hole) for note in notes)]


def told(holes: Iterable[Span]) -> list[Note]:
    """A note for every hole."""
    code = WarningCode.SPEECH_WITHOUT_WORDS
    return [Note(hole.start, hole.end, NOTED, code) for hole in holes]


def filled(words: Sequence[Word], hole: Span, heard: Iterable[Word]) -> tuple[Word, ...]:
    """The words and those of a second hearing that lie in the hole, by start.

    What reaches beyond it is heard there already, or was cut in half.
    """
    start, end = hole.start - SLACK, hole.end + SLACK
    inside = [word for word in heard if start <= word.start and word.end <= end]
    return tuple(sorted([*words, *inside], key=lambda word: word.start))


def union(spans: Iterable[Span]) -> list[Span]:
    """The same time, in order, each of it once: windows that overlap tell of it twice."""
    whole: list[Span] = []
    for span in sorted(spans, key=lambda span: span.start):
        if whole and span.start <= whole[-1].end:
            whole[-1] = Span(whole[-1].start, max(whole[-1].end, span.end))
        else:
            whole.append(span)
    return whole


def to_json(coverage: Coverage) -> dict[str, Any]:
    """For ``whisper_results.json``."""
    return {
        "speech_seconds": round(coverage.speech, 3),
        "speech_seconds_without_words": round(coverage.unheard, 3),
        "holes": [
            {"start": round(hole.start, 3), "end": round(hole.end, 3)} for hole in coverage.holes
        ],
    }


def _pauses(words: Iterable[Word], speech: Sequence[Span]) -> Iterator[Span]:
    """The stretches between words, from the first speech to the last."""
    if not speech:
        return
    now = speech[0].start
    for word in sorted(words, key=lambda word: word.start):
        if word.start > now:
            yield Span(now, word.start)
        now = max(now, word.end)
    if speech[-1].end > now:
        yield Span(now, speech[-1].end)


def _holes(pauses: Iterable[Span], speech: Sequence[Span]) -> Iterator[list[Span]]:
    """The speech of each hole. Walks through pauses and speech together."""
    first = 0
    for pause in pauses:
        while first < len(speech) and speech[first].end <= pause.start:
            first += 1
        last = first
        while last < len(speech) and speech[last].start < pause.end:
            last += 1
        inside = [_common(span, pause) for span in speech[first:last]]
        yield from (run for run in _runs(inside) if _seconds(run) >= HOLE)


def _runs(spans: Iterable[Span]) -> Iterator[list[Span]]:
    """The spans, told apart where nobody speaks for long."""
    run: list[Span] = []
    for span in spans:
        if run and span.start - run[-1].end >= SILENCE:
            yield run
            run = []
        run.append(span)
    yield run


def _seconds(spans: Iterable[Span]) -> float:
    return math.fsum(span.duration for span in spans)


def _common(one: Span, other: Span) -> Span:
    """What two spans share; of those that are apart, less than nothing."""
    return Span(max(one.start, other.start), min(one.end, other.end))


def _is_about(note: Note, hole: Span) -> bool:
    """Whether note and hole are about the same stretch, for the greater part of both."""
    return 2 * _common(note, hole).duration > max(note.duration, hole.duration)
