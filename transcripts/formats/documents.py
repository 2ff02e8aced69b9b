"""The two JSON documents: ``segments`` of the REST API and ``final_transcription.json``."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from transcripts.formats.timestamps import round_seconds
from transcripts.serialization import space_to_json
from transcripts.speakers.assignment import label
from transcripts.types import Segment, Word


def segments_json(segments: Sequence[Segment]) -> list[dict[str, Any]]:
    """Return ``segments`` of ``GET /jobs/result``; unknown values are null."""
    return [
        {
            "start": round_seconds(segment.start),
            "end": round_seconds(segment.end),
            "text": segment.text,
            "speaker_tag": segment.speaker,
            "confidence": _round_confidence(segment.confidence),
            "words": [_word_to_json(word) for word in segment.words],
        }
        for segment in segments
    ]


def final_transcription(
    file_path: str,
    total_duration: float,
    segments: Sequence[Segment],
    speakers: Mapping[int, str] | None = None,
) -> dict[str, Any]:
    """Return ``final_transcription.json`` with the speakers who have segments.

    *speakers* are names by speaker number; SPEAKER_00 is used if there is none. ``speaker_id`` is
    null if the speaker is not known.
    """
    present = sorted({segment.speaker for segment in segments if segment.speaker is not None})
    return {
        "file_path": file_path,
        "total_duration": round_seconds(total_duration),
        "speakers": list(dict.fromkeys(label(speaker, speakers) for speaker in present)),
        "segments": [
            {
                "speaker_id": None if segment.speaker is None else label(segment.speaker, speakers),
                "start_time": round_seconds(segment.start),
                "end_time": round_seconds(segment.end),
                "text": segment.text,
                "confidence": _round_confidence(segment.confidence),
            }
            for segment in segments
        ],
    }


def _word_to_json(word: Word) -> dict[str, Any]:
    return {
        "word": word.text,
        "start": round_seconds(word.start),
        "end": round_seconds(word.end),
        "confidence": _round_confidence(word.confidence),
        "speaker_tag": word.speaker,
        **space_to_json(word),
    }


def _round_confidence(value: float | None) -> float | None:
    """Return the confidence rounded to three places; None for NaN."""
    return round(value, 3) if value is not None and math.isfinite(value) else None
