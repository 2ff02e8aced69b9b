"""Results: the transcript of a completed job in every format, and its files."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, jsonify, request, url_for
from flask.typing import ResponseReturnValue
from itsdangerous import BadSignature, URLSafeTimedSerializer
from pydantic import ValidationError

from chunking.decode import file_header
from core import clock
from core.access import secrets
from core.db.models import TranscriptJob
from core.errors import Conflict, InvalidInput, NotFound
from core.jobs import lifecycle
from core.settings import settings
from core.states import JobStatus
from core.storage import layout, storage
from transcribe_api.database import db
from transcribe_api.http.auth import guard
from transcribe_api.http.requests import json_bodies, parsing
from transcribe_api.http.responses import files, rendering
from transcribe_api.http.route_docs import Answer, document_route
from transcribe_api.schemas.results import Artefacts, LayoutQuery, RangeHeaders, Result
from transcripts.formats import Layout

bp = Blueprint("results", __name__, url_prefix="/api/transcribe/jobs")

#: Seconds for which a link to the recording is valid.
AUDIO_URL_SECONDS = 3600

_DOCUMENT_MEDIA_TYPES = tuple(media.partition(";")[0] for media in rendering.MEDIA_TYPES.values())
_ARTEFACT_MEDIA_TYPES = (*dict.fromkeys(layout.ARTEFACTS.values()), files.DEFAULT_MEDIA_TYPE)
_RECORDING_MEDIA_TYPES = (*file_header.MEDIA_TYPES, files.DEFAULT_MEDIA_TYPE)
_FILE_HEADERS = ("Content-Disposition", "Accept-Ranges", "ETag")


def _file_answers(media: tuple[str, ...]) -> tuple[Answer, ...]:
    return (
        Answer(200, media=media, headers=_FILE_HEADERS),
        Answer(206, media=media, headers=(*_FILE_HEADERS, "Content-Range")),
        Answer(304, headers=("ETag",)),
    )


@bp.get("/result/<job_id>")
@document_route(Answer(200, Result), refusals=(409,))
def show(job_id: str) -> ResponseReturnValue:
    """Return the whole transcript, once the job is completed."""
    job = _find_completed_job(job_id)
    return jsonify(rendering.render_result(job, _build_audio_url(job)))


@bp.get("/result/<job_id>/<format>")
@document_route(
    Answer(200, Result, media=_DOCUMENT_MEDIA_TYPES), query=LayoutQuery, refusals=(409,)
)
def download(job_id: str, format: str) -> ResponseReturnValue:
    """Return the transcript in one format; the query sets the layout of subtitles."""
    if format not in rendering.MEDIA_TYPES:
        allowed = ", ".join(rendering.MEDIA_TYPES)
        raise InvalidInput(f"format: {format!r} is unknown; allowed: {allowed}", field="format")
    subtitle_layout = _parse_layout(request.args, format)
    job = _find_completed_job(job_id)
    if format == "json":
        return jsonify(rendering.render_result(job, _build_audio_url(job)))
    document = rendering.render_document(job.transcript, format, subtitle_layout)
    response = Response(document, content_type=rendering.MEDIA_TYPES[format])
    if isinstance(document, bytes):  # browsers cannot display it
        response.headers.set(
            "Content-Disposition", "attachment", filename=f"transcription.{format}"
        )
    return response


@bp.get("/artefacts/<job_id>")
@document_route(Answer(200, Artefacts), refusals=(409,))
def list_artefacts(job_id: str) -> ResponseReturnValue:
    """List the names of the job's artefacts in storage."""
    prefix = layout.job_prefix(_find_completed_job(job_id).job_id)
    names = [key.removeprefix(prefix) for key in storage().list_keys(prefix)]
    return jsonify({"artefacts": [name for name in names if layout.is_artefact(name)]})


@bp.get("/artefacts/<job_id>/<path:name>")
@document_route(
    *_file_answers(_ARTEFACT_MEDIA_TYPES), headers=RangeHeaders, refusals=(409, 412, 416)
)
def artefact(job_id: str, name: str) -> ResponseReturnValue:
    """Return one artefact, as it is in storage."""
    job = _find_completed_job(job_id)
    if not layout.is_artefact(name):
        raise NotFound(f"there is no artefact {name}")
    media_type = layout.ARTEFACTS.get(name, files.DEFAULT_MEDIA_TYPE)
    return files.serve_file(layout.artefact(job.job_id, name), media_type, _format_version(job))


@bp.get("/audio/<token>")
@document_route(
    *_file_answers(_RECORDING_MEDIA_TYPES),
    headers=RangeHeaders,
    refusals=(412, 416, 503),
    public=True,
)
def audio(token: str) -> ResponseReturnValue:
    """Return the recording for a link in a result. Only used if the storage has no own links."""
    try:
        job_id = _build_signer().loads(token, max_age=AUDIO_URL_SECONDS)
    except BadSignature:
        raise NotFound("this link is not valid, or has expired") from None
    response = files.serve_recording(layout.source(job_id), job_id)
    # Owners of the link may embed the recording in their own player.
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    return response


def _format_version(job: TranscriptJob) -> str:
    """Return a version that changes when the job is repeated."""
    return f"{job.job_id} {clock.format_iso(job.completed_at)}"


def _parse_layout(query: Any, format: str) -> Layout:
    if query and format not in rendering.SUBTITLE_FORMATS:
        field, allowed = next(iter(query)), " and ".join(rendering.SUBTITLE_FORMATS)
        raise InvalidInput(f"{field}: only for {allowed}, not for {format}", field=field)
    try:
        return Layout(**LayoutQuery(**query.to_dict()).model_dump())
    except ValidationError as error:
        raise json_bodies.explain_validation_error(error) from None


def _find_completed_job(job_id: str) -> TranscriptJob:
    job = lifecycle.get_job(
        db.session(), parsing.parse_job_id(job_id), owner_id=guard.caller().visible_owner
    )
    status = JobStatus(job.run.status)
    if status is not JobStatus.COMPLETED:
        raise Conflict(f"there is no result: the job is {status}", job_status=str(status))
    return job


def _build_audio_url(job: TranscriptJob) -> str | None:
    key = job.transcript.audio_key
    if key is None:  # removed when its retention ended
        return None
    storage_url = storage().presign_url(key, seconds=AUDIO_URL_SECONDS)
    return storage_url or _base_url() + url_for(
        "results.audio", token=_build_signer().dumps(job.job_id)
    )


def _base_url() -> str:
    """Return the public address; without PUBLIC_URL, the already checked host of this request."""
    return settings().public_url or request.host_url.rstrip("/")


def _build_signer() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(secrets.get_secret("links"), salt="audio")
