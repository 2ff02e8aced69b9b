"""What Whisper is told and what it tells, wherever it runs: hotwords, languages, doubts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from engines.whisper_model.hallucination import Verdict
from transcripts.types import Interval, Note
from transcripts.warning import WarningCode

#: Characters of a text that was left out, in the note that says so.
MAX_SHOWN_CHARACTERS = 60
#: Tags of languages whose code in Whisper is another.
_CODES = {"nb": "no", "iw": "he", "in": "id", "fil": "tl", "jv": "jw", "cmn": "zh"}


@dataclass(frozen=True, slots=True)
class Remark:
    """What should be known of all words that are heard, wherever they lie."""

    code: WarningCode
    text: str


def to_whisper_code(language: str) -> str:
    """Whisper's code of a language tag, be there such a language or not."""
    first = language.lower().replace("_", "-").partition("-")[0]
    return _CODES.get(first, first)


def rank_terms(phrases: Mapping[str, float]) -> list[str]:
    """The phrases to expect, the strongest first: Whisper has no measure of strength."""
    ranked = sorted((-boost, phrase) for phrase, boost in phrases.items() if boost > 0)
    return [phrase for _, phrase in ranked]


def format_hotwords(phrases: Mapping[str, float]) -> str | None:
    """The same in one line, as services take them."""
    return ", ".join(rank_terms(phrases)) or None


def build_note(interval: Interval, text: str, verdict: Verdict) -> Note | None:
    """What to say of a piece of text that there are doubts about."""
    if not verdict.signs:
        return None
    if not verdict.is_invented:
        doubts = f"words are doubtful: {verdict.reason}"
        return Note(interval.start, interval.end, doubts, WarningCode.WORDS_DOUBTFUL)
    excerpt = text if len(text) <= MAX_SHOWN_CHARACTERS else text[:MAX_SHOWN_CHARACTERS] + "…"
    left_out = f"words were left out, because {verdict.reason}: {excerpt}"
    return Note(interval.start, interval.end, left_out, WarningCode.WORDS_LEFT_OUT)
