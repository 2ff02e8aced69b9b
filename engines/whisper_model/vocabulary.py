"""Inputs and outputs common to all Whisper engines: hotwords, languages, notes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from engines.whisper_model.hallucination import Verdict
from transcripts.types import Interval, Note
from transcripts.warning import WarningCode

#: Characters of dropped text that a note quotes.
MAX_SHOWN_CHARACTERS = 60
#: Language tags whose code in Whisper differs.
_CODES = {"nb": "no", "iw": "he", "in": "id", "fil": "tl", "jv": "jw", "cmn": "zh"}


@dataclass(frozen=True, slots=True)
class Remark:
    """Information about all transcribed words, at any time."""

    code: WarningCode
    text: str


def to_whisper_code(language: str) -> str:
    """Return Whisper's code of a language tag, even if it does not exist."""
    first = language.lower().replace("_", "-").partition("-")[0]
    return _CODES.get(first, first)


def rank_terms(phrases: Mapping[str, float]) -> list[str]:
    """Return the expected phrases, strongest first, since Whisper has no weights."""
    ranked = sorted((-boost, phrase) for phrase, boost in phrases.items() if boost > 0)
    return [phrase for _, phrase in ranked]


def format_hotwords(phrases: Mapping[str, float]) -> str | None:
    """Return the expected phrases in one line, as services accept them."""
    return ", ".join(rank_terms(phrases)) or None


def build_note(interval: Interval, text: str, verdict: Verdict) -> Note | None:
    """Return the note on a doubtful piece of text, or None."""
    if not verdict.signs:
        return None
    if not verdict.is_invented:
        doubts = f"words are doubtful: {verdict.reason}"
        return Note(interval.start, interval.end, doubts, WarningCode.WORDS_DOUBTFUL)
    excerpt = text if len(text) <= MAX_SHOWN_CHARACTERS else text[:MAX_SHOWN_CHARACTERS] + "…"
    left_out = f"words were dropped because {verdict.reason}: {excerpt}"
    return Note(interval.start, interval.end, left_out, WarningCode.WORDS_LEFT_OUT)
