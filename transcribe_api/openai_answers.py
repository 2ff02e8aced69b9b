"""Transcripts in the shapes that clients of OpenAI's audio API read."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Collection, Sequence
from typing import Any

from core.models import SegmentRow, Transcript
from transcribe_api import render
from transcripts.formats import Layout
from transcripts.spacing import join

#: Format -> media type.
MEDIA = {
    "json": "application/json",
    "text": "text/plain; charset=utf-8",
    "srt": render.FORMATS["srt"],
    "vtt": render.FORMATS["vtt"],
    "verbose_json": "application/json",
    "diarized_json": "application/json",
}
DIARIZED = "diarized_json"
GRANULARITIES = ("segment", "word")

#: Speakers beyond these are numbered.
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#: What a confidence of nothing is taken for.
_LEAST = 1e-6


def answer(transcript: Transcript, form: str, granularities: Collection[str]) -> Any:
    """The transcript in one of the forms of `MEDIA`: a text, or a value for JSON."""
    make: dict[str, Callable[[], Any]] = {
        "json": lambda: {"text": text(transcript), "usage": usage(transcript)},
        "text": lambda: text(transcript) + "\n",
        "srt": lambda: render.document(transcript, "srt", Layout(speaker_labels=False)),
        "vtt": lambda: render.document(transcript, "vtt", Layout(speaker_labels=False)),
        "verbose_json": lambda: _verbose(transcript, granularities),
        "diarized_json": lambda: _diarized(transcript),
    }
    return make[form]()


def text(transcript: Transcript) -> str:
    """All that was said, on one line."""
    return join(row.text for row in transcript.segments)


def usage(transcript: Transcript) -> dict[str, Any]:
    """Seconds of the recording, which is what we count."""
    return {"type": "duration", "seconds": transcript.duration or 0.0}


def speaker_segments(transcript: Transcript) -> list[dict[str, Any]]:
    """Who said what, in the order of time."""
    return [
        {
            "type": "transcript.text.segment",
            "id": f"seg_{row.position:04d}",
            "start": row.start,
            "end": row.end,
            "text": row.text,
            "speaker": _speaker(row, transcript.speaker_names),
        }
        for row in transcript.segments
    ]


def _diarized(transcript: Transcript) -> dict[str, Any]:
    return {
        "task": "transcribe",
        "duration": transcript.duration or 0.0,
        "text": text(transcript),
        "segments": speaker_segments(transcript),
        "usage": usage(transcript),
    }


def _verbose(transcript: Transcript, granularities: Collection[str]) -> dict[str, Any]:
    told: dict[str, Any] = {
        "task": "transcribe",
        "language": (transcript.language or "").partition("-")[0],
        "duration": transcript.duration or 0.0,
        "text": text(transcript),
        "usage": usage(transcript),
    }
    if "segment" in granularities:
        told["segments"] = [_segment(row) for row in transcript.segments]
    if "word" in granularities:
        told["words"] = _words(transcript.segments)
    return told


def _segment(row: SegmentRow) -> dict[str, Any]:
    """What engines do not tell is what it is for a segment without a doubt."""
    return {
        "id": row.position,
        "seek": 0,
        "start": row.start,
        "end": row.end,
        "text": row.text,
        "tokens": [],
        "temperature": 0.0,
        "avg_logprob": _log_probability(row.confidence),
        "compression_ratio": _compression(row.text),
        "no_speech_prob": 0.0,
    }


def _words(segments: Sequence[SegmentRow]) -> list[dict[str, Any]]:
    return [
        {"word": word["word"], "start": word["start"], "end": word["end"]}
        for row in segments
        for word in row.words
    ]


def _log_probability(confidence: float | None) -> float:
    return 0.0 if confidence is None else math.log(max(confidence, _LEAST))


def _compression(said: str) -> float:
    """As Whisper measures it: text that repeats itself compresses well."""
    data = said.encode()
    return len(data) / len(zlib.compress(data)) if data else 0.0


def _speaker(row: SegmentRow, names: dict[str, str]) -> str:
    """The name that was given, or a capital letter."""
    number = row.speaker_tag
    if number is None:
        return "unknown"
    return names.get(str(number)) or (
        _LETTERS[number] if number < len(_LETTERS) else f"S{number + 1}"
    )
