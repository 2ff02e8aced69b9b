"""Parse words from ``verbose_json``. Its times are seconds from the start of the file.

Services differ in the fields that they fill: words may be in the segments, beside them, or missing,
with or without punctuation. A segment may lack everything but its text.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.errors import EngineError
from engines.whisper_model import language_names
from engines.whisper_model.hallucination import Guess, Verdict, judge
from engines.whisper_model.vocabulary import build_note
from engines.whisper_model.word_timing import fit_words
from transcripts.types import Interval, Transcription, Word


@dataclass(frozen=True, slots=True)
class ServiceSegment:
    """A segment of the service's response."""

    interval: Interval
    text: str
    words: tuple[Word, ...]
    verdict: Verdict


def build_transcription(
    payload: Mapping[str, Any], requested_language: str | None, seconds: float
) -> Transcription:
    """Return the words of a file of *seconds*; *requested_language* is the job's language.

    Words that are probably hallucinated are dropped and doubtful ones kept, each with a note.
    Raises `EngineError` if the payload is not ``verbose_json``.
    """
    try:
        segments = list(_parse_segments(payload, seconds))
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise EngineError("the WhisperX service did not return verbose_json") from error
    words = [
        word for segment in segments if not segment.verdict.is_invented for word in segment.words
    ]
    notes = (build_note(segment.interval, segment.text, segment.verdict) for segment in segments)
    return Transcription(
        tuple(sorted(words, key=lambda word: word.start)),
        requested_language or read_language(payload),
        tuple(note for note in notes if note is not None),
    )


def read_language(payload: Mapping[str, Any]) -> str | None:
    """Return the language that the service detected, or None if it reports none."""
    return language_names.find_code(str(payload.get("language") or ""))


def _parse_segments(payload: Mapping[str, Any], seconds: float) -> Iterator[ServiceSegment]:
    text = str(payload["text"]).strip()
    whole = {"start": 0.0, "end": seconds, "text": text}
    segments = payload.get("segments") or ([whole] if text else [])
    loose_words = [_parse_word(raw_word, seconds) for raw_word in payload.get("words") or ()]
    index = 0
    for number, segment in enumerate(segments):
        first = index
        until = segment["end"] if number + 1 < len(segments) else math.inf
        while (
            index < len(loose_words)
            and (loose_words[index].start + loose_words[index].end) / 2 <= until
        ):
            index += 1
        inside = [_parse_word(raw_word, seconds) for raw_word in segment.get("words") or ()]
        yield _parse_segment(segment, inside or loose_words[first:index], seconds)


def _parse_segment(
    segment: Mapping[str, Any], words: Sequence[Word], seconds: float
) -> ServiceSegment:
    interval = _parse_interval(segment, seconds)
    text = str(segment["text"]).strip()
    guess = Guess(
        text,
        interval.duration,
        logprob=float(segment.get("avg_logprob") or 0.0),
        no_speech=float(segment.get("no_speech_prob") or 0.0),
    )
    return ServiceSegment(interval, text, tuple(fit_words(text, words, interval)), judge(guess))


def _parse_word(raw_word: Mapping[str, Any], seconds: float) -> Word:
    interval = _parse_interval(raw_word, seconds)
    probability = raw_word.get("probability")
    return Word(
        str(raw_word["word"]).strip(),
        interval.start,
        interval.end,
        None if probability is None else float(probability),
    )


def _parse_interval(payload: Mapping[str, Any], seconds: float) -> Interval:
    start = min(max(0.0, float(payload["start"])), seconds)
    return Interval(start, min(max(start, float(payload["end"])), seconds))
