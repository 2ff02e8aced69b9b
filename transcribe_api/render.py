"""From records to answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from core import clock, serving
from core.models import (
    ContextRow,
    DeliveryRow,
    Named,
    SegmentRow,
    SessionRow,
    Transcript,
    TranscriptJob,
)
from core.settings import settings
from core.states import DeliveryState
from engines import catalog
from transcripts import formats, warning
from transcripts.formats import Layout
from transcripts.stored import words_from_json
from transcripts.types import Segment, Turn

#: Format -> media type.
FORMATS = {
    "json": "application/json",
    "srt": "application/x-subrip; charset=utf-8",
    "vtt": "text/vtt; charset=utf-8",
    "txt": "text/plain; charset=utf-8",
    "tsv": "text/tab-separated-values; charset=utf-8",
    "rttm": "text/plain; charset=utf-8",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
}

#: Those of them that a `Layout` breaks into lines.
SUBTITLES = ("srt", "vtt")


def accepted(job: TranscriptJob) -> dict[str, Any]:
    """The answer to a job that was taken."""
    title = catalog.recognizer(job.engine).title
    told: dict[str, Any] = {
        "job_id": job.job_id,
        "transcript_id": str(job.transcript_id),
        "engine": job.engine,
        "status": job.run.status,
        "message": f"{title} transcription job enqueued successfully",
    }
    if job.transcript.warnings:
        told["warnings"] = [warning.to_json(one) for one in job.transcript.warnings]
    return told


def job(job: TranscriptJob) -> dict[str, Any]:
    """A job in a list of jobs."""
    transcript = job.transcript
    return {
        "job_id": job.job_id,
        "transcript_id": str(transcript.id),
        "status": job.run.status,
        "engine": job.engine,
        "filename": transcript.filename,
        "language": transcript.language,
        "duration": transcript.duration,
        "priority": job.run.priority,
        "session_id": None if transcript.session_id is None else str(transcript.session_id),
        "error": job.error_details,
        "created_at": clock.iso(job.created_at),
        "completed_at": clock.iso(job.completed_at),
    }


def result(job: TranscriptJob, audio_url: str | None) -> dict[str, Any]:
    """The whole transcript."""
    transcript = job.transcript
    return {
        "job_id": job.job_id,
        "transcript_id": str(transcript.id),
        "status": job.run.status,
        "filename": transcript.filename,
        "audio_url": audio_url,
        "language": transcript.language,
        "duration": transcript.duration,
        "segments": [segment(row) for row in transcript.segments],
        "speaker_roles": transcript.speaker_roles,
        "speaker_role_scores": transcript.speaker_role_scores,
        "speaker_names": transcript.speaker_names,
        "warnings": [warning.to_json(one) for one in transcript.warnings],
        "created_at": clock.iso(job.created_at),
        "completed_at": clock.iso(job.completed_at),
    }


def segment(row: SegmentRow) -> dict[str, Any]:
    """What one speaker says in a row."""
    told = {
        "start": row.start,
        "end": row.end,
        "text": row.text,
        "speaker_tag": row.speaker_tag,
        "confidence": row.confidence,
        "words": row.words,
    }
    return told if row.heard_words is None else {**told, "edited": True}


def document(transcript: Transcript, form: str, layout: Layout) -> str | bytes:
    """The transcript in one of the `FORMATS` other than JSON."""
    segments = _segments(transcript)
    names = {int(number): name for number, name in transcript.speaker_names.items()}
    write: dict[str, Callable[[], str | bytes]] = {
        "srt": lambda: formats.srt(segments, layout, names=names),
        "vtt": lambda: formats.vtt(segments, layout, names=names),
        "txt": lambda: formats.txt(segments, names=names),
        "tsv": lambda: formats.tsv(segments, names=names),
        "rttm": lambda: formats.rttm(_turns(segments), str(transcript.id)),
        "docx": lambda: formats.docx(
            segments, transcript.filename, clock.utc(transcript.created_at), names=names
        ),
    }
    return write[form]()


def session(row: SessionRow) -> dict[str, Any]:
    """A session, as it is told of alone and in lists."""
    return {"session_id": str(row.id), "name": row.name, **_times(row)}


def context(row: ContextRow) -> dict[str, Any]:
    """A context, as it is told of alone and in lists."""
    said = {"name": row.name, "terms": row.terms, "roles": row.roles}
    return {"context_id": str(row.id), **said, **_times(row)}


def delivery(row: DeliveryRow) -> dict[str, Any]:
    """A webhook of a job."""
    is_open = row.state in (DeliveryState.WAITING, DeliveryState.SENDING)
    return {
        "id": str(row.id),
        "event": row.event,
        "url": row.url,
        "state": row.state,
        "attempts": row.attempts,
        "last_status": row.last_status,
        "last_error": row.last_error,
        "created_at": clock.iso(row.created_at),
        "delivered_at": clock.iso(row.delivered_at),
        "next_try_at": clock.iso(clock.moment(row.next_try_at)) if is_open else None,
    }


def engine(name: str, *, available: bool) -> dict[str, Any]:
    """What `/jobs/engines` tells of one engine."""
    told: dict[str, Any] = {"engine": name, "available": available}
    if name == "asr":
        now = settings()
        told |= {"uri": now.riva_target, "model": now.riva_model, "language": now.riva_language}
    elif name == "whisper":
        told |= {
            "available_models": list(settings().whisper_available_models),
            "model": settings().whisper_default_model,
            "models_here": _offer(name).get("models_here") or [],
        }
    elif name == "whisperx":
        offer = _offer(name)
        offered = offer.get("models") if settings().whisperx_service_url else None
        told |= {
            "url": settings().whisperx_service_url,
            "available_models": list(offered or settings().whisperx_available_models),
            "health": {"status": "ok" if available else "unavailable"},
        }
        if offer.get("models_here") is not None:
            told["models_here"] = offer["models_here"]
    else:
        spec = catalog.recognizer(name)
        told |= {"models": list(spec.models), "languages": list(spec.languages or ())}
    return told


def _offer(name: str) -> dict[str, Any]:
    """What a worker last said of the engine."""
    return serving.described(catalog.recognizer(name).queue)


def _times(row: Named) -> dict[str, Any]:
    return {"created_at": clock.iso(row.created_at), "updated_at": clock.iso(row.updated_at)}


def _segments(transcript: Transcript) -> list[Segment]:
    """Those in which something was said: a text may have been taken away."""
    rows = (row for row in transcript.segments if row.words)
    return [Segment(words_from_json(row.words), row.speaker_tag) for row in rows]


def _turns(segments: list[Segment]) -> list[Turn]:
    return [
        Turn(segment.start, segment.end, segment.speaker)
        for segment in segments
        if segment.speaker is not None
    ]
