"""What Whisper is told and what it tells, wherever it runs: hotwords, languages, doubts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from engines.hallucination import Verdict
from transcripts.types import Note, Span
from transcripts.warning import WarningCode

#: Characters of a text that was left out, in the note that says so.
SHOWN = 60
#: Tags of languages whose code in Whisper is another.
_CODES = {"nb": "no", "iw": "he", "in": "id", "fil": "tl", "jv": "jw", "cmn": "zh"}


@dataclass(frozen=True, slots=True)
class Remark:
    """What should be known of all words that are heard, wherever they lie."""

    code: WarningCode
    text: str


def code(language: str) -> str:
    """Whisper's code of a language tag, be there such a language or not."""
    first = language.lower().replace("_", "-").partition("-")[0]
    return _CODES.get(first, first)


def terms(phrases: Mapping[str, float]) -> list[str]:
    """The phrases to expect, the strongest first: Whisper has no measure of strength."""
    wanted = sorted((-boost, phrase) for phrase, boost in phrases.items() if boost > 0)
    return [phrase for _, phrase in wanted]


def hotwords(phrases: Mapping[str, float]) -> str | None:
    """The same in one line, as services take them."""
    return ", ".join(terms(phrases)) or None


def note(place: Span, text: str, verdict: Verdict) -> Note | None:
    """What to say of a piece of text that there are doubts about."""
    if not verdict.signs:
        return None
    if not verdict.is_invented:
        doubts = f"words are doubtful: {verdict.reason}"
        return Note(place.start, place.end, doubts, WarningCode.WORDS_DOUBTFUL)
    shown = text if len(text) <= SHOWN else text[:SHOWN] + "…"
    left_out = f"words were left out, because {verdict.reason}: {shown}"
    return Note(place.start, place.end, left_out, WarningCode.WORDS_LEFT_OUT)
