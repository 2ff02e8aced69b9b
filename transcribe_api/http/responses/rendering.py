"""Convert records to responses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from core import clock
from core.db.models import (
    ContextRow,
    DeliveryRow,
    SegmentRow,
    SessionRow,
    Transcript,
    TranscriptJob,
    UserResource,
)
from core.live import worker_registry
from core.settings import settings
from core.states import DeliveryState
from engines import catalog
from transcripts import formats, warning
from transcripts.formats import Layout
from transcripts.serialization import words_from_json
from transcripts.types import Segment, Turn

#: Maps a format to its media type.
MEDIA_TYPES = {
    "json": "application/json",
    "srt": "application/x-subrip; charset=utf-8",
    "vtt": "text/vtt; charset=utf-8",
    "txt": "text/plain; charset=utf-8",
    "tsv": "text/tab-separated-values; charset=utf-8",
    "rttm": "text/plain; charset=utf-8",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
}

#: Formats that use a `Layout`.
SUBTITLE_FORMATS = ("srt", "vtt")


def render_accepted(job: TranscriptJob) -> dict[str, Any]:
    """Return the response for an accepted job."""
    title = catalog.recognizer(job.engine).title
    payload: dict[str, Any] = {
        "job_id": job.job_id,
        "transcript_id": str(job.transcript_id),
        "engine": job.engine,
        "status": job.run.status,
        "message": f"{title} transcription job enqueued successfully",
    }
    if job.transcript.warnings:
        payload["warnings"] = [
            warning.to_json(transcript_warning) for transcript_warning in job.transcript.warnings
        ]
    return payload


def render_job(job: TranscriptJob) -> dict[str, Any]:
    """Return a job for a list of jobs."""
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
        "created_at": clock.format_iso(job.created_at),
        "completed_at": clock.format_iso(job.completed_at),
    }


def render_result(job: TranscriptJob, audio_url: str | None) -> dict[str, Any]:
    """Return the whole transcript."""
    transcript = job.transcript
    return {
        "job_id": job.job_id,
        "transcript_id": str(transcript.id),
        "status": job.run.status,
        "filename": transcript.filename,
        "audio_url": audio_url,
        "language": transcript.language,
        "duration": transcript.duration,
        "segments": [render_segment(row) for row in transcript.segments],
        "speaker_roles": transcript.speaker_roles,
        "speaker_role_scores": transcript.speaker_role_scores,
        "speaker_names": transcript.speaker_names,
        "warnings": [
            warning.to_json(transcript_warning) for transcript_warning in transcript.warnings
        ],
        "created_at": clock.format_iso(job.created_at),
        "completed_at": clock.format_iso(job.completed_at),
    }


def render_segment(row: SegmentRow) -> dict[str, Any]:
    """Return a segment of the transcript."""
    payload = {
        "start": row.start,
        "end": row.end,
        "text": row.text,
        "speaker_tag": row.speaker_tag,
        "confidence": row.confidence,
        "words": row.words,
    }
    return payload if row.heard_words is None else {**payload, "edited": True}


def render_document(transcript: Transcript, format_name: str, layout: Layout) -> str | bytes:
    """Return the transcript in one of the `MEDIA_TYPES` other than JSON."""
    segments = _build_segments(transcript)
    names = {int(number): name for number, name in transcript.speaker_names.items()}
    writers: dict[str, Callable[[], str | bytes]] = {
        "srt": lambda: formats.srt(segments, layout, names=names),
        "vtt": lambda: formats.vtt(segments, layout, names=names),
        "txt": lambda: formats.txt(segments, names=names),
        "tsv": lambda: formats.tsv(segments, names=names),
        "rttm": lambda: formats.rttm(_build_turns(segments), str(transcript.id)),
        "docx": lambda: formats.docx(
            segments, transcript.filename, clock.to_utc(transcript.created_at), names=names
        ),
    }
    return writers[format_name]()


def render_session(row: SessionRow) -> dict[str, Any]:
    """Return a session, as in single responses and lists."""
    return {"session_id": str(row.id), "name": row.name, **_render_times(row)}


def render_context(row: ContextRow) -> dict[str, Any]:
    """Return a context, as in single responses and lists."""
    content = {"name": row.name, "terms": row.terms, "roles": row.roles}
    return {"context_id": str(row.id), **content, **_render_times(row)}


def render_delivery(row: DeliveryRow) -> dict[str, Any]:
    """Return a webhook delivery of a job."""
    is_open = row.state in (DeliveryState.WAITING, DeliveryState.SENDING)
    return {
        "id": str(row.id),
        "event": row.event,
        "url": row.url,
        "state": row.state,
        "attempts": row.attempts,
        "last_status": row.last_status,
        "last_error": row.last_error,
        "created_at": clock.format_iso(row.created_at),
        "delivered_at": clock.format_iso(row.delivered_at),
        "next_try_at": clock.format_iso(clock.from_unix(row.next_try_at)) if is_open else None,
    }


def render_engine(name: str, *, available: bool) -> dict[str, Any]:
    """Return the entry of one engine in `/jobs/engines`."""
    payload: dict[str, Any] = {"engine": name, "available": available}
    if name == "asr":
        config = settings()
        payload |= {
            "uri": config.riva_target,
            "model": config.riva_model,
            "language": config.riva_language,
        }
    elif name == "whisper":
        payload |= {
            "available_models": list(settings().whisper_available_models),
            "model": settings().whisper_default_model,
            "models_here": _read_capabilities(name).get("models_here") or [],
        }
    elif name == "whisperx":
        capabilities = _read_capabilities(name)
        server_models = capabilities.get("models") if settings().whisperx_service_url else None
        payload |= {
            "url": settings().whisperx_service_url,
            "available_models": list(server_models or settings().whisperx_available_models),
            "health": {"status": "ok" if available else "unavailable"},
        }
        if capabilities.get("models_here") is not None:
            payload["models_here"] = capabilities["models_here"]
    else:
        spec = catalog.recognizer(name)
        payload |= {"models": list(spec.models), "languages": list(spec.languages or ())}
    return payload


def _read_capabilities(name: str) -> dict[str, Any]:
    """Return what a worker last reported about the engine."""
    return worker_registry.read_capabilities(catalog.recognizer(name).queue)


def _render_times(row: UserResource) -> dict[str, Any]:
    return {
        "created_at": clock.format_iso(row.created_at),
        "updated_at": clock.format_iso(row.updated_at),
    }


def _build_segments(transcript: Transcript) -> list[Segment]:
    """Return the segments with words; an editor may have deleted a segment's text."""
    rows = (row for row in transcript.segments if row.words)
    return [Segment(words_from_json(row.words), row.speaker_tag) for row in rows]


def _build_turns(segments: list[Segment]) -> list[Turn]:
    return [
        Turn(segment.start, segment.end, segment.speaker)
        for segment in segments
        if segment.speaker is not None
    ]
