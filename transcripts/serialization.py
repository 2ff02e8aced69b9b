"""JSON forms of transcriptions and diarizations that one step writes and another reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from transcripts.spacing import join_words
from transcripts.types import (
    ChannelInterval,
    ChunkResult,
    Diarization,
    Interval,
    Note,
    Transcription,
    Turn,
    Word,
)
from transcripts.warning import WarningCode


def words_to_json(words: Iterable[Word]) -> list[dict[str, Any]]:
    """Return the words as JSON, with times in whole milliseconds: equal words give equal bytes."""
    return [{**_word_to_json(word), **space_to_json(word)} for word in words]


def _word_to_json(word: Word) -> dict[str, Any]:
    return {
        "word": word.text,
        "start": round(word.start, 3),
        "end": round(word.end, 3),
        "confidence": None if word.confidence is None else round(word.confidence, 4),
    }


def space_to_json(word: Word) -> dict[str, Any]:
    """Return ``space_before`` only where it differs from the rule of the script, which is rare."""
    return {} if word.space_before is None else {"space_before": word.space_before}


def words_from_json(payload: Iterable[Mapping[str, Any]]) -> tuple[Word, ...]:
    """Read what `words_to_json` wrote, or the words of a finished segment."""
    return tuple(
        Word(
            text=word["word"],
            start=word["start"],
            end=word["end"],
            confidence=word["confidence"],
            speaker=word.get("speaker_tag"),
            space_before=word.get("space_before"),
        )
        for word in payload
    )


def notes_to_json(notes: Iterable[Note]) -> list[dict[str, Any]]:
    return [
        {
            "start": round(note.start, 3),
            "end": round(note.end, 3),
            "text": note.text,
            "code": str(note.code),
        }
        for note in notes
    ]


def notes_from_json(payload: Iterable[Mapping[str, Any]]) -> tuple[Note, ...]:
    """Read what `notes_to_json` wrote; version 0.1 wrote no codes."""
    return tuple(
        Note(note["start"], note["end"], note["text"], WarningCode(note.get("code", "other")))
        for note in payload
    )


def intervals_to_json(intervals: Iterable[Interval]) -> list[list[float]]:
    """Return each as [start, end] without keys, since there are thousands."""
    return [[round(interval.start, 3), round(interval.end, 3)] for interval in intervals]


def intervals_from_json(payload: Iterable[Sequence[float]]) -> tuple[Interval, ...]:
    """Read what `intervals_to_json` wrote."""
    return tuple(Interval(start, end) for start, end in payload)


def chunk_to_json(result: ChunkResult) -> dict[str, Any]:
    """The words of a chunk as they are stored, and as callers get them while the job runs."""
    interval, transcription = result.interval, result.transcription
    return {
        "channel": interval.channel,
        "start": round(interval.start, 3),
        "end": round(interval.end, 3),
        "language": transcription.language,
        "text": join_words(transcription.words),
        "words": words_to_json(transcription.words),
        "notes": notes_to_json(transcription.notes),
    }


def chunk_from_json(payload: Mapping[str, Any]) -> ChunkResult:
    """Read what `chunk_to_json` wrote; version 0.1 wrote no notes at first."""
    return ChunkResult(
        ChannelInterval(payload["start"], payload["end"], payload.get("channel")),
        Transcription(
            words=words_from_json(payload["words"]),
            language=payload["language"],
            notes=notes_from_json(payload.get("notes", ())),
        ),
    )


def diarization_to_json(diarization: Diarization) -> dict[str, Any]:
    return {
        "turns": [
            {"start": round(turn.start, 3), "end": round(turn.end, 3), "speaker": turn.speaker}
            for turn in diarization.turns
        ],
        "embeddings": {
            str(speaker): [round(value, 6) for value in vector]
            for speaker, vector in sorted(diarization.embeddings.items())
        },
    }


def diarization_from_json(payload: Mapping[str, Any]) -> Diarization:
    """Read what `diarization_to_json` wrote."""
    return Diarization(
        turns=tuple(Turn(**turn) for turn in payload["turns"]),
        embeddings={
            int(speaker): tuple(vector) for speaker, vector in payload["embeddings"].items()
        },
    )
