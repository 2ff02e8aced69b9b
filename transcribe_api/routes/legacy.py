"""Recordings that lie on this machine: named by their path, and written beside each other."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from flask import Blueprint, jsonify
from flask.typing import ResponseReturnValue

from core import layout
from core.errors import InvalidInput
from core.media_roots import inside
from core.settings import settings
from core.storage import storage
from transcribe_api import bodies, parse, sources, submissions
from transcribe_api.documented import Answer, documented
from transcribe_api.routes import jobs
from transcribe_api.schemas.jobs import JobNamed, JobState, Process
from transcribe_api.uploads import shown_name, too_large

bp = Blueprint("legacy", __name__)


@dataclass(frozen=True, slots=True)
class _OnDisk:
    """A file in a folder of MEDIA_ROOTS."""

    path: Path
    sha256: None = None

    @property
    def filename(self) -> str:
        return shown_name(self.path.name)

    def size(self) -> int:
        return self.path.stat().st_size

    def check(self) -> None:
        if not self.path.is_file():
            raise InvalidInput("file_path: there is no such file", field="file_path")
        if self.size() > settings().max_file_size:
            raise too_large("file_path")
        sources.require_room(self.size())
        sources.look_into(self.path)

    def keep(self, job_id: str) -> None:
        storage().put_file(layout.source(job_id), self.path)


@bp.post("/process")
@documented(Answer(202, JobNamed), body=Process)
def process() -> ResponseReturnValue:
    """Have a file of this machine transcribed, and what comes out of it written to a folder."""
    submissions.idempotency_key()  # a wrong one is refused first
    asked = bodies.read(Process)
    source = _OnDisk(inside(asked.file_path, "file_path"))
    output_dir = inside(asked.output_dir, "output_dir")
    if output_dir.exists() and not output_dir.is_dir():
        raise InvalidInput("output_dir: there is a file of that name", field="output_dir")
    spec = replace(parse.job({}), output_dir=str(output_dir))
    told, _ = submissions.submitted(spec, source, asked.model_dump())
    return jsonify({"job_id": told["job_id"]}), 202


@bp.get("/status/<job_id>")
@documented(Answer(200, JobState))
def status(job_id: str) -> ResponseReturnValue:
    """The state of a job, as under `/api/transcribe/jobs/status`."""
    return jobs.show(job_id)
