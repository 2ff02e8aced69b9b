"""Results: the transcript of a finished job, in every form, and the files behind it."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, jsonify, request, url_for
from flask.typing import ResponseReturnValue
from itsdangerous import BadSignature, URLSafeTimedSerializer
from pydantic import ValidationError

from chunking import sniff
from core import clock, jobs, layout, secrets
from core.errors import Conflict, InvalidInput, NotFound
from core.models import TranscriptJob
from core.settings import settings
from core.states import JobStatus
from core.storage import storage
from transcribe_api import access, bodies, files, parse, render
from transcribe_api.database import db
from transcribe_api.documented import Answer, documented
from transcribe_api.schemas.results import Artefacts, LayoutQuery, RangeHeaders, Result
from transcripts.formats import Layout

bp = Blueprint("results", __name__, url_prefix="/api/transcribe/jobs")

#: Seconds for which a link to the recording works.
AUDIO_URL_SECONDS = 3600

_DOCUMENTS = tuple(media.partition(";")[0] for media in render.FORMATS.values())
_FILES = (*dict.fromkeys(layout.ARTEFACTS.values()), files.ANY_BYTES)
_PLAYABLE = (*sniff.MEDIA_TYPES, files.ANY_BYTES)
_OF_FILES = ("Content-Disposition", "Accept-Ranges", "ETag")


def _whole_or_part(media: tuple[str, ...]) -> tuple[Answer, ...]:
    return (
        Answer(200, media=media, headers=_OF_FILES),
        Answer(206, media=media, headers=(*_OF_FILES, "Content-Range")),
        Answer(304, headers=("ETag",)),
    )


@bp.get("/result/<job_id>")
@documented(Answer(200, Result), refusals=(409,))
def show(job_id: str) -> ResponseReturnValue:
    """The whole transcript, once the job is completed."""
    job = _completed(job_id)
    return jsonify(render.result(job, _audio_url(job)))


@bp.get("/result/<job_id>/<format>")
@documented(Answer(200, Result, media=_DOCUMENTS), query=LayoutQuery, refusals=(409,))
def download(job_id: str, format: str) -> ResponseReturnValue:
    """The transcript in one format; subtitles in the layout that the query asks for."""
    if format not in render.FORMATS:
        allowed = ", ".join(render.FORMATS)
        raise InvalidInput(f"format: {format!r} is not known; allowed: {allowed}", field="format")
    layout_ = _layout(request.args, format)
    job = _completed(job_id)
    if format == "json":
        return jsonify(render.result(job, _audio_url(job)))
    document = render.document(job.transcript, format, layout_)
    response = Response(document, content_type=render.FORMATS[format])
    if isinstance(document, bytes):  # no browser shows it
        response.headers.set(
            "Content-Disposition", "attachment", filename=f"transcription.{format}"
        )
    return response


@bp.get("/artefacts/<job_id>")
@documented(Answer(200, Artefacts), refusals=(409,))
def list_artefacts(job_id: str) -> ResponseReturnValue:
    """The names of the files that the job has left in storage."""
    root = layout.root(_completed(job_id).job_id)
    names = [key.removeprefix(root) for key in storage().keys(root)]
    return jsonify({"artefacts": [name for name in names if layout.is_artefact(name)]})


@bp.get("/artefacts/<job_id>/<path:name>")
@documented(*_whole_or_part(_FILES), headers=RangeHeaders, refusals=(409, 412, 416))
def artefact(job_id: str, name: str) -> ResponseReturnValue:
    """One of those files, as it lies in storage."""
    job = _completed(job_id)
    if not layout.is_artefact(name):
        raise NotFound(f"there is no artefact {name}")
    media_type = layout.ARTEFACTS.get(name, files.ANY_BYTES)
    return files.file(layout.artefact(job.job_id, name), media_type, _version(job))


@bp.get("/audio/<token>")
@documented(*_whole_or_part(_PLAYABLE), headers=RangeHeaders, refusals=(412, 416, 503), public=True)
def audio(token: str) -> ResponseReturnValue:
    """The recording, for whoever has a link from a result. Only where the storage gives none."""
    try:
        job_id = _signer().loads(token, max_age=AUDIO_URL_SECONDS)
    except BadSignature:
        raise NotFound("this link is wrong or no longer works") from None
    response = files.recording(layout.source(job_id), job_id)
    # Whoever has the link may put a player of their own around it.
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    return response


def _version(job: TranscriptJob) -> str:
    """Another one when the job was done again."""
    return f"{job.job_id} {clock.iso(job.completed_at)}"


def _layout(query: Any, format: str) -> Layout:
    if query and format not in render.SUBTITLES:
        field, only = next(iter(query)), " and ".join(render.SUBTITLES)
        raise InvalidInput(f"{field}: only for {only}, not for {format}", field=field)
    try:
        return Layout(**LayoutQuery(**query.to_dict()).model_dump())
    except ValidationError as error:
        raise bodies.refusal(error) from None


def _completed(job_id: str) -> TranscriptJob:
    job = jobs.get(db.session(), parse.job_id(job_id), of=access.caller().sees)
    now = JobStatus(job.run.status)
    if now is not JobStatus.COMPLETED:
        raise Conflict(f"there is no result: the job is {now}", job_status=str(now))
    return job


def _audio_url(job: TranscriptJob) -> str | None:
    key = job.transcript.audio_key
    if key is None:  # removed when its time was over
        return None
    own = storage().url(key, seconds=AUDIO_URL_SECONDS)
    return own or _base() + url_for("results.audio", token=_signer().dumps(job.job_id))


def _base() -> str:
    """Where callers reach the service; without PUBLIC_URL, as this one did, by a name of ours."""
    return settings().public_url or request.host_url.rstrip("/")


def _signer() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(secrets.of("links"), salt="audio")
