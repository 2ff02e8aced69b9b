"""Jobs and parts as values: a step reads them in one short transaction, and works without it."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from sqlalchemy.orm import Session

from core.db.models import JobPart
from core.jobs import lifecycle
from core.jobs.parts import PartId
from core.jobs.spec import JobSpec
from core.states import PartKind, PartState, Stage
from transcripts.types import ChannelInterval


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRecord:
    """A job as it was when it was read."""

    job_id: str
    spec: JobSpec
    stage: Stage
    #: Grows by one each time that the messages of the job are sent.
    epoch: int
    #: The caller's name of the recording.
    filename: str
    #: Seconds of the recording; None until it is decoded.
    duration: float | None
    #: BCP 47 tag, requested or detected; None until then.
    language: str | None
    context_id: uuid.UUID | None
    #: Id of the API key; None when the API required none.
    owner_id: uuid.UUID | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PartRecord:
    """A chunk or a shard as it was when it was read."""

    id: PartId
    #: In seconds from the start of the recording.
    interval: ChannelInterval
    state: PartState
    #: Of the stored result, as hexadecimal digits.
    sha256: str | None
    #: `code` and `message` of the last error.
    error: dict[str, str] | None

    @property
    def position(self) -> int:
        return self.id.position


def read_job(session: Session, job_id: str) -> JobRecord:
    """Read a job. Raises `JobNotFound`."""
    job = lifecycle.get_job(session, job_id)
    return JobRecord(
        job_id=job_id,
        spec=lifecycle.read_spec(job),
        stage=Stage(job.run.stage),
        epoch=job.run.epoch,
        filename=job.transcript.filename,
        duration=job.transcript.duration,
        language=job.transcript.language,
        context_id=job.transcript.context_id,
        owner_id=job.transcript.owner_id,
    )


def read_parts(
    session: Session, job_id: str, kind: PartKind | None = None
) -> tuple[PartRecord, ...]:
    """Read the chunks, the shards, or both, in the order of the recording."""
    return tuple(_to_record(part) for part in lifecycle.list_parts(session, job_id, kind))


def _to_record(part: JobPart) -> PartRecord:
    return PartRecord(
        id=PartId(part.job_id, PartKind(part.kind), part.position),
        interval=ChannelInterval(part.start, part.end, part.channel),
        state=PartState(part.state),
        sha256=part.sha256,
        error=part.error,
    )
