"""Transcribe recordings on the service's own machine, named by their path."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from flask import Blueprint, jsonify
from flask.typing import ResponseReturnValue

from core.errors import InvalidInput
from core.filesystem.media_roots import resolve_path
from core.settings import settings
from core.storage import layout, storage
from tasks.reporting.job_state import JobState
from transcribe_api.http.requests import json_bodies, parsing
from transcribe_api.http.requests.uploads import build_too_large_error, clean_filename
from transcribe_api.http.route_docs import Answer, document_route
from transcribe_api.routes import jobs
from transcribe_api.schemas.jobs import JobReference, Process
from transcribe_api.submission import sources, submissions

bp = Blueprint("legacy", __name__)


@dataclass(frozen=True, slots=True)
class _LocalSource:
    """A file in a folder of MEDIA_ROOTS."""

    path: Path
    sha256: None = None

    @property
    def filename(self) -> str:
        return clean_filename(self.path.name)

    def size(self) -> int:
        return self.path.stat().st_size

    def check(self, track: str | None) -> None:
        if not self.path.is_file():
            raise InvalidInput("file_path: there is no such file", field="file_path")
        if self.size() > settings().max_file_size:
            raise build_too_large_error("file_path")
        sources.require_space(self.size())
        sources.probe_recording(self.path, track)

    def store(self, job_id: str) -> None:
        storage().put_file(layout.source(job_id), self.path)


@bp.post("/process")
@document_route(Answer(202, JobReference), body=Process)
def process() -> ResponseReturnValue:
    """Transcribe a file of the service's machine, and write the results to a folder."""
    submissions.read_idempotency_key()  # refuse an invalid one first
    body = json_bodies.parse_body(Process)
    source = _LocalSource(resolve_path(body.file_path, "file_path"))
    output_dir = resolve_path(body.output_dir, "output_dir")
    if output_dir.exists() and not output_dir.is_dir():
        raise InvalidInput("output_dir: a file with this name exists", field="output_dir")
    spec = replace(parsing.parse_job({}), output_dir=str(output_dir))
    response, _ = submissions.submit(spec, source, body.model_dump())
    return jsonify({"job_id": response["job_id"]}), 202


@bp.get("/status/<job_id>")
@document_route(Answer(200, JobState))
def status(job_id: str) -> ResponseReturnValue:
    """Return the state of a job, as `/api/transcribe/jobs/status` does."""
    return jobs.show(job_id)
