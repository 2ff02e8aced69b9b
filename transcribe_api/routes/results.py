"""Results: the transcript of a finished job, in every form, and the files behind it."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, jsonify, request, url_for
from flask.typing import ResponseReturnValue
from itsdangerous import BadSignature, URLSafeTimedSerializer
from pydantic import BaseModel, Field, ValidationError

from core import jobs, layout, secrets
from core.errors import Conflict, InvalidInput, NotFound
from core.models import TranscriptJob
from core.states import JobStatus
from core.storage import storage
from transcribe_api import access, bodies, render, streams
from transcribe_api.database import db
from transcripts.formats import Layout

bp = Blueprint("results", __name__, url_prefix="/api/transcribe/jobs")

#: Seconds for which a link to the recording works.
AUDIO_URL_SECONDS = 3600

_ANY_BYTES = "application/octet-stream"


@bp.get("/result/<job_id>")
def show(job_id: str) -> ResponseReturnValue:
    """The whole transcript, once the job is completed."""
    job = _completed(job_id)
    return jsonify(render.result(job, _audio_url(job)))


@bp.get("/result/<job_id>/<form>")
def download(job_id: str, form: str) -> ResponseReturnValue:
    """The transcript in one format; subtitles in the layout that the query asks for."""
    if form not in render.FORMATS:
        allowed = ", ".join(render.FORMATS)
        raise InvalidInput(f"format: {form!r} is not known; allowed: {allowed}", field="format")
    layout_ = _layout(request.args)
    job = _completed(job_id)
    if form == "json":
        return jsonify(render.result(job, _audio_url(job)))
    document = render.document(job.transcript, form, layout_)
    response = Response(document, content_type=render.FORMATS[form])
    if isinstance(document, bytes):  # no browser shows it
        response.headers.set("Content-Disposition", "attachment", filename=f"transcription.{form}")
    return response


@bp.get("/artefacts/<job_id>")
def list_artefacts(job_id: str) -> ResponseReturnValue:
    """The names of the files that the job has left in storage."""
    root = layout.root(_completed(job_id).job_id)
    names = [key.removeprefix(root) for key in storage().keys(root)]
    return jsonify({"artefacts": [name for name in names if _is_artefact(name)]})


@bp.get("/artefacts/<job_id>/<path:name>")
def artefact(job_id: str, name: str) -> ResponseReturnValue:
    """One of those files, as it lies in storage."""
    job = _completed(job_id)
    if not _is_artefact(name):
        raise NotFound(f"there is no artefact {name}")
    return _download(layout.artefact(job.job_id, name), layout.ARTEFACTS.get(name, _ANY_BYTES))


@bp.get("/audio/<token>")
def audio(token: str) -> ResponseReturnValue:
    """The recording, for whoever has a link from a result. Only where the storage gives none."""
    try:
        job_id = _signer().loads(token, max_age=AUDIO_URL_SECONDS)
    except BadSignature:
        raise NotFound("this link is wrong or no longer works") from None
    return _download(layout.source(job_id), _ANY_BYTES)


def _download(key: str, mimetype: str) -> Response:
    # Never sniffed and never shown: an upload may be a page that pretends to be sound.
    headers = {"X-Content-Type-Options": "nosniff", "Content-Disposition": "attachment"}
    blocks = streams.begun(storage().stream(key))
    return Response(blocks, mimetype=mimetype, headers=headers)


class _LayoutQuery(BaseModel):
    max_line_length: int = Field(default=42, ge=10, le=200)
    max_lines: int = Field(default=2, ge=1, le=5)
    max_cps: float = Field(default=20, ge=5, le=100)
    speaker_labels: bool = True


def _layout(query: Any) -> Layout:
    try:
        return Layout(**_LayoutQuery(**query.to_dict()).model_dump())
    except ValidationError as error:
        raise bodies.refusal(error) from None


def _completed(job_id: str) -> TranscriptJob:
    job = jobs.get(db.session(), access.job(job_id))
    now = JobStatus(job.run.status)
    if now is not JobStatus.COMPLETED:
        raise Conflict(f"there is no result: the job is {now}", job_status=str(now))
    return job


def _is_artefact(name: str) -> bool:
    return name in layout.ARTEFACTS or name.startswith("chunks/")


def _audio_url(job: TranscriptJob) -> str | None:
    key = job.transcript.audio_key
    if key is None:  # removed when its time was over
        return None
    return storage().url(key, seconds=AUDIO_URL_SECONDS) or url_for(
        "results.audio", token=_signer().dumps(job.job_id), _external=True
    )


def _signer() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(secrets.of("links"), salt="audio")
