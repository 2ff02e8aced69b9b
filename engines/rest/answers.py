"""From ``verbose_json`` to words. Its times are seconds from the start of the file.

Services differ in what they fill in: words may stand in their segments, beside them, or nowhere,
with punctuation or without, and a segment may lack everything but its text.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.errors import EngineError
from engines.hallucination import Guess, Verdict, judge
from engines.whisper import names
from engines.whisper.telling import note
from engines.whisper.timing import fit
from transcripts.types import Heard, Span, Word


@dataclass(frozen=True, slots=True)
class Piece:
    """A segment, as the service tells it."""

    place: Span
    text: str
    words: tuple[Word, ...]
    verdict: Verdict


def heard(told: Mapping[str, Any], asked: str | None, seconds: float) -> Heard:
    """The words of a file of this length; *asked* is the language that was asked for.

    Words that seem invented are left out and doubtful ones kept: notes say which, and why. Raises
    `EngineError` for what is no ``verbose_json``.
    """
    try:
        pieces = list(_pieces(told, seconds))
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise EngineError(
            "the WhisperX service answers with something else than verbose_json"
        ) from error
    kept = [word for one in pieces if not one.verdict.is_invented for word in one.words]
    notes = (note(one.place, one.text, one.verdict) for one in pieces)
    return Heard(
        tuple(sorted(kept, key=lambda word: word.start)),
        asked or language(told),
        tuple(one for one in notes if one is not None),
    )


def language(told: Mapping[str, Any]) -> str | None:
    """The language that the service found, or None when it does not say."""
    return names.code(str(told.get("language") or ""))


def _pieces(told: Mapping[str, Any], seconds: float) -> Iterator[Piece]:
    text = str(told["text"]).strip()
    everything = {"start": 0.0, "end": seconds, "text": text}
    segments = told.get("segments") or ([everything] if text else [])
    beside = [_word(one, seconds) for one in told.get("words") or ()]
    at = 0
    for number, segment in enumerate(segments):
        begin = at
        until = segment["end"] if number + 1 < len(segments) else math.inf
        while at < len(beside) and (beside[at].start + beside[at].end) / 2 <= until:
            at += 1
        inside = [_word(one, seconds) for one in segment.get("words") or ()]
        yield _piece(segment, inside or beside[begin:at], seconds)


def _piece(segment: Mapping[str, Any], words: Sequence[Word], seconds: float) -> Piece:
    place = _place(segment, seconds)
    text = str(segment["text"]).strip()
    guess = Guess(
        text,
        place.duration,
        logprob=float(segment.get("avg_logprob") or 0.0),
        no_speech=float(segment.get("no_speech_prob") or 0.0),
    )
    return Piece(place, text, tuple(fit(text, words, place)), judge(guess))


def _word(told: Mapping[str, Any], seconds: float) -> Word:
    place = _place(told, seconds)
    sure = told.get("probability")
    return Word(
        str(told["word"]).strip(), place.start, place.end, None if sure is None else float(sure)
    )


def _place(told: Mapping[str, Any], seconds: float) -> Span:
    start = min(max(0.0, float(told["start"])), seconds)
    return Span(start, min(max(start, float(told["end"])), seconds))
