"""Transcripts in the response formats of OpenAI's audio API."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Collection, Sequence
from typing import Any

from core.db.models import SegmentRow, Transcript
from transcribe_api.http.responses import rendering
from transcripts.formats import Layout
from transcripts.spacing import join_texts

#: Maps a format to its media type.
MEDIA_TYPES = {
    "json": "application/json",
    "text": "text/plain; charset=utf-8",
    "srt": rendering.MEDIA_TYPES["srt"],
    "vtt": rendering.MEDIA_TYPES["vtt"],
    "verbose_json": "application/json",
    "diarized_json": "application/json",
}
DIARIZED = "diarized_json"
GRANULARITIES = ("segment", "word")

#: Names of the first speakers; further ones are numbered.
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#: Lower limit of a confidence before its logarithm.
_MIN_CONFIDENCE = 1e-6


def render_transcript(
    transcript: Transcript, response_format: str, granularities: Collection[str]
) -> Any:
    """Return the transcript in a format of `MEDIA_TYPES`: a text, or a value for JSON."""
    renderers: dict[str, Callable[[], Any]] = {
        "json": lambda: {"text": join_text(transcript), "usage": render_usage(transcript)},
        "text": lambda: join_text(transcript) + "\n",
        "srt": lambda: rendering.render_document(transcript, "srt", Layout(speaker_labels=False)),
        "vtt": lambda: rendering.render_document(transcript, "vtt", Layout(speaker_labels=False)),
        "verbose_json": lambda: _render_verbose(transcript, granularities),
        "diarized_json": lambda: _render_diarized(transcript),
    }
    return renderers[response_format]()


def join_text(transcript: Transcript) -> str:
    """Return the whole text on one line."""
    return join_texts(row.text for row in transcript.segments)


def render_usage(transcript: Transcript) -> dict[str, Any]:
    """Return the usage in seconds of the recording, the unit of this service."""
    return {"type": "duration", "seconds": transcript.duration or 0.0}


def render_speaker_segments(transcript: Transcript) -> list[dict[str, Any]]:
    """Return the segments with speakers, by start."""
    return [
        {
            "type": "transcript.text.segment",
            "id": f"seg_{row.position:04d}",
            "start": row.start,
            "end": row.end,
            "text": row.text,
            "speaker": _name_speaker(row, transcript.speaker_names),
        }
        for row in transcript.segments
    ]


def _render_diarized(transcript: Transcript) -> dict[str, Any]:
    return {
        "task": "transcribe",
        "duration": transcript.duration or 0.0,
        "text": join_text(transcript),
        "segments": render_speaker_segments(transcript),
        "usage": render_usage(transcript),
    }


def _render_verbose(transcript: Transcript, granularities: Collection[str]) -> dict[str, Any]:
    payload: dict[str, Any] = {
        "task": "transcribe",
        "language": (transcript.language or "").partition("-")[0],
        "duration": transcript.duration or 0.0,
        "text": join_text(transcript),
        "usage": render_usage(transcript),
    }
    if "segment" in granularities:
        payload["segments"] = [_render_segment(row) for row in transcript.segments]
    if "word" in granularities:
        payload["words"] = _render_words(transcript.segments)
    return payload


def _render_segment(row: SegmentRow) -> dict[str, Any]:
    """Return a segment; fields that engines do not report have the values of a certain segment."""
    return {
        "id": row.position,
        "seek": 0,
        "start": row.start,
        "end": row.end,
        "text": row.text,
        "tokens": [],
        "temperature": 0.0,
        "avg_logprob": _log_probability(row.confidence),
        "compression_ratio": _compression_ratio(row.text),
        "no_speech_prob": 0.0,
    }


def _render_words(segments: Sequence[SegmentRow]) -> list[dict[str, Any]]:
    return [
        {"word": word["word"], "start": word["start"], "end": word["end"]}
        for row in segments
        for word in row.words
    ]


def _log_probability(confidence: float | None) -> float:
    return 0.0 if confidence is None else math.log(max(confidence, _MIN_CONFIDENCE))


def _compression_ratio(segment_text: str) -> float:
    """Return Whisper's measure: repetitive text has a high ratio."""
    encoded = segment_text.encode()
    return len(encoded) / len(zlib.compress(encoded)) if encoded else 0.0


def _name_speaker(row: SegmentRow, names: dict[str, str]) -> str:
    """Return the speaker's name, or a capital letter."""
    number = row.speaker_tag
    if number is None:
        return "unknown"
    return names.get(str(number)) or (
        _LETTERS[number] if number < len(_LETTERS) else f"S{number + 1}"
    )
