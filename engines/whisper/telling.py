"""What Whisper is told and what it tells, wherever it runs: hotwords, languages, doubts."""

from __future__ import annotations

from collections.abc import Mapping

from engines.hallucination import Verdict
from transcripts.types import Note, Span

#: Characters of a text that was left out, in the note that says so.
SHOWN = 60
#: Tags of languages whose code in Whisper is another.
_CODES = {"nb": "no", "iw": "he", "in": "id", "fil": "tl", "jv": "jw", "cmn": "zh"}


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
    told = f"words are doubtful: {verdict.reason}"
    if verdict.is_invented:
        shown = text if len(text) <= SHOWN else text[:SHOWN] + "…"
        told = f"words were left out, because {verdict.reason}: {shown}"
    return Note(place.start, place.end, told)
