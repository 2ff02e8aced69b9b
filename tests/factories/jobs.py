"""Jobs: accept one, bring it to a stage, and read what became of it."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

import pytest

from core import clock
from core.db.models import JobPart, SegmentRow
from core.db.transactions import read_session, transaction
from core.jobs import lifecycle, parts, recovery
from core.jobs.parts import PartId
from core.jobs.recovery import Need
from core.jobs.spec import JobSpec
from core.states import JobStatus, PartKind
from core.storage import layout, storage
from tasks.reporting import job_status
from transcripts.types import ChannelInterval, Interval
from transcripts.warning import TranscriptWarning, WarningCode

SEGMENT = {
    "start": 0.0, "end": 1.0, "text": "hello", "speaker_tag": 0, "confidence": 0.9,
    "words": [{"word": "hello", "start": 0.0, "end": 1.0, "confidence": 0.9, "speaker_tag": 0}],
}  # fmt: skip
#: Warnings that are shown only while a job waits.
WAITING_WARNINGS = [
    TranscriptWarning(WarningCode.NO_WORKER, "no worker is there; the job waits for one"),
]
#: The warning of a job that `complete_job` completes.
GAP_WARNING = TranscriptWarning(WarningCode.CHUNK_FAILED, "a gap", 1.0, 2.0)


class TimeMachine:
    """Moves the clock that leases are kept by."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._now = clock.now()
        monkeypatch.setattr(clock, "now", lambda: self._now)

    def forward(self, seconds: float) -> None:
        """Let so many seconds pass at once."""
        self._now += seconds


def accept_job(*, warnings: Sequence[TranscriptWarning] = WAITING_WARNINGS, **options) -> str:
    """Record a job of these options, whose source is not stored; return its id."""
    job_id = str(uuid.uuid4())
    spec = JobSpec(**{"engine": "sphinx", "diarizer": "classic", **options})
    with transaction() as session:
        lifecycle.accept_job(
            session, job_id, spec, filename="a.wav", audio_bytes=1, audio_sha256="0" * 64,
            warnings=warnings,
        )  # fmt: skip
    return job_id


def begin_preparation(job_id: str, owner: str = "me") -> bool:
    """Have a worker take the job, as the step `prepare` does; return whether it may."""
    with transaction() as session:
        return lifecycle.begin_preparation(session, job_id, owner, "worker")


def finish_preparation(job_id: str, owner: str = "me", chunks: int = 2, shards: int = 1) -> bool:
    """Record so many chunks of 30 s and shards; return whether the owner still had the job."""
    with transaction() as session:
        return lifecycle.finish_preparation(
            session, job_id, owner,
            duration=30.0 * chunks,
            chunks=[ChannelInterval(30.0 * index, 30.0 * index + 30) for index in range(chunks)],
            shards=[ChannelInterval(0.0, 30.0 * chunks)] * shards,
            warnings=[],
        )  # fmt: skip


def create_listening_job(**options) -> str:
    """Accept a job and prepare it with these options of `finish_preparation`; return its id."""
    job_id = accept_job()
    begin_preparation(job_id)
    finish_preparation(job_id, **options)
    return job_id


def send_parts(job_id: str) -> list[PartId]:
    """Note that the parts are sent, as `tasks.pipeline.fan_out` does; return which."""
    with transaction() as session:
        lifecycle.mark_dispatched(session, job_id)
        return [one.part for one in parts.claim_unsent_parts(session, job_id)]


def claim_lost_chunks(job_id: str, *, is_queue_empty: bool = False) -> list[tuple[int, bool]]:
    """Claim the chunks whose messages are gone; return each, and whether somebody began it."""
    with transaction() as session:
        lost = parts.claim_lost_parts(session, job_id, is_queue_empty=is_queue_empty)
        return [
            (one.part.position, one.was_begun) for one in lost if one.part.kind == PartKind.CHUNK
        ]


def lease_part(job_id: str, position: int = 0, owner: str = "me", kind: PartKind = PartKind.CHUNK):
    """Lease a part for an owner; return its interval, or None if it is not to be had."""
    with transaction() as session:
        return parts.lease_part(session, PartId(job_id, kind, position), owner)


def store_part(job_id: str, position: int, kind: PartKind = PartKind.CHUNK) -> None:
    """Record that the result of a part is stored; nothing is written to storage."""
    with transaction() as session:
        row = session.get(JobPart, (job_id, kind, position))
        place = Interval(row.start, row.end)
        parts.mark_stored(session, PartId(job_id, kind, position), place, "0" * 64)


def store_all_parts(job_id: str, chunks: int = 2, shards: int = 1) -> None:
    """Do the same for all parts of a job."""
    for index in range(chunks):
        store_part(job_id, index)
    for index in range(shards):
        store_part(job_id, index, PartKind.SHARD)


def begin_merge(job_id: str, owner: str = "me") -> bool:
    """Have a worker begin to merge the job; return whether it may."""
    with transaction() as session:
        return lifecycle.begin_merge(session, job_id, owner)


def complete_job(job_id: str, owner: str = "me") -> bool:
    """Complete a merged job with `SEGMENT` and `GAP_WARNING`; return whether that was done."""
    with transaction() as session:
        return lifecycle.complete_job(
            session, job_id, owner, segments=[SEGMENT], language="en", warnings=[GAP_WARNING]
        )


def create_completed_job(owner: uuid.UUID | None) -> str:
    """Store a completed job of this owner, with a source and an artefact; return its id."""
    spec = JobSpec(engine="sphinx", diarizer=None)
    with transaction() as session:
        job_id = str(uuid.uuid4())
        job = lifecycle.accept_job(
            session, job_id, spec,
            filename="a.wav", audio_bytes=1, audio_sha256="0" * 64, owner_id=owner,
        )  # fmt: skip
        job.run.status = job.transcript.status = JobStatus.COMPLETED
        job.transcript.segments.append(
            SegmentRow(position=0, start=0.0, end=1.0, text="Hello", speaker_tag=0, words=[])
        )
    storage().put_bytes(layout.source(job_id), b"sound")
    storage().put_bytes(layout.artefact(job_id, "transcription.srt"), b"1")
    return job_id


def read_state(job_id: str) -> dict:
    """Read the state of a job as the service shows it."""
    with read_session() as session:
        return job_status.describe_job(session, job_id).to_json()


def list_needs(job_id: str) -> list[Need]:
    """List what housekeeping finds that the job needs."""
    with read_session() as session:
        return [one.need for one in recovery.find_abandoned(session) if one.job_id == job_id]
