"""The database records as plain SQLAlchemy models, which workers use without a web framework."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import (
    JSON,
    BigInteger,
    DateTime,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Text,
    TypeDecorator,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from core import clock
from core.states import JobStatus, PartState, Stage
from transcripts import warning
from transcripts.warning import TranscriptWarning

#: JSON in a form that PostgreSQL can index.
Json = JSON().with_variant(JSONB(), "postgresql")
#: The same, with None as SQL NULL, so that queries can test for it.
JsonOrNull = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
#: Aware timestamps in PostgreSQL; SQLite stores UTC without a time zone.
Timestamp = DateTime(timezone=True)

#: Values of the enumeration `transcription_engine` in a new PostgreSQL database.
ENGINES = ("asr", "whisperx", "sphinx", "whisper")


class EngineName(TypeDecorator[str]):
    """A value of `transcription_engine`: an enumeration in PostgreSQL, text elsewhere.

    SQLAlchemy's own type needs all values in advance, but plugins add engines: see
    `migrations.engines`.
    """

    impl = String(64)
    cache_ok = True


class Warnings(TypeDecorator[Sequence[TranscriptWarning]]):
    """A list of warnings, as JSON; rows of version 0.1 contain sentences."""

    impl = Json
    cache_ok = True

    def process_bind_param(self, value: Sequence[TranscriptWarning] | None, dialect: Any) -> Any:  # noqa: ARG002
        return (
            None
            if value is None
            else [warning.to_json(transcript_warning) for transcript_warning in value]
        )

    def process_result_value(self, value: Any, dialect: Any) -> Sequence[TranscriptWarning]:  # noqa: ARG002
        return [warning.from_json(fields) for fields in value or ()]


@compiles(EngineName, "postgresql")
def _compile_postgresql(*_: Any, **__: Any) -> str:
    return "transcription_engine"


def compare_type(
    _context: Any, _inspected: Any, _declared: Any, _inspected_type: Any, declared_type: Any
) -> bool | None:
    """Tell alembic that the database's enumeration equals `EngineName`, whatever its values."""
    return False if isinstance(declared_type, EngineName) else None


class Base(DeclarativeBase):
    """One metadata for API server, workers and migrations. Every constraint has a name."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class Transcript(Base):
    """A recording and its transcript."""

    __tablename__ = "transcripts"
    __table_args__ = (
        # Lists of jobs: newest first, of all owners or filtered.
        Index(None, "created_at", "id"),
        Index(None, "owner_id", "created_at", "id"),
        Index(None, "session_id", "created_at", "id"),
        Index(None, "engine", "created_at", "id"),
        Index(None, "status", "created_at", "id"),
        # Retention: transcripts that still have their recording.
        Index(
            "ix_transcripts_audio_kept",
            "created_at",
            postgresql_where=text("audio_key IS NOT NULL"),
            sqlite_where=text("audio_key IS NOT NULL"),
        ),
    )

    id: Mapped[uuid.UUID] = mapped_column(Uuid, primary_key=True, default=uuid.uuid4)
    #: Owner; None: sent while the service required no key.
    owner_id: Mapped[uuid.UUID | None] = mapped_column(Uuid)
    # No foreign keys: clients may use ids of sessions and contexts that do not exist here, and a
    # transcript outlives both.
    session_id: Mapped[uuid.UUID | None] = mapped_column(Uuid)
    context_id: Mapped[uuid.UUID | None] = mapped_column(Uuid)
    #: As in the job; repeated here because lists filter and sort by one table.
    engine: Mapped[str] = mapped_column(String(64))
    #: The uploader's file name; displayed, never used as a path.
    filename: Mapped[str] = mapped_column(Text)
    audio_key: Mapped[str | None] = mapped_column(String(255))
    audio_bytes: Mapped[int | None] = mapped_column(BigInteger)
    audio_sha256: Mapped[str | None] = mapped_column(String(64))
    language: Mapped[str | None] = mapped_column(String(35))
    #: Seconds, computed from decoded samples.
    duration: Mapped[float | None] = mapped_column(Float)
    status: Mapped[str] = mapped_column(String(16), default=JobStatus.PROCESSING)
    #: Names by speaker number, where they differ from SPEAKER_00 and so on.
    speaker_names: Mapped[dict[str, str]] = mapped_column(Json, default=dict)
    #: Roles by speaker number, None if unknown; empty if no roles were requested.
    speaker_roles: Mapped[dict[str, str | None]] = mapped_column(Json, default=dict)
    #: Score of the likeliest role, 0..1, by speaker number.
    speaker_role_scores: Mapped[dict[str, float]] = mapped_column(
        Json, default=dict, server_default=text("'{}'")
    )
    #: Warnings about the transcript.
    warnings: Mapped[Sequence[TranscriptWarning]] = mapped_column(Warnings, default=list)
    created_at: Mapped[datetime] = mapped_column(Timestamp, server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(
        Timestamp, server_default=func.now(), onupdate=func.now()
    )

    job: Mapped[TranscriptJob] = relationship(viewonly=True)
    segments: Mapped[list[SegmentRow]] = relationship(
        order_by="SegmentRow.position", cascade="all, delete-orphan", passive_deletes=True
    )


class TranscriptJob(Base):
    """The options and the end of a job; the table has the columns that earlier clients use."""

    __tablename__ = "transcript_jobs"

    id: Mapped[uuid.UUID] = mapped_column(Uuid, primary_key=True, default=uuid.uuid4)
    transcript_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("transcripts.id", ondelete="CASCADE"), unique=True, nullable=True
    )
    job_id: Mapped[str] = mapped_column(String(255), unique=True)
    engine: Mapped[str] = mapped_column(EngineName, server_default="asr")
    engine_params: Mapped[dict[str, Any]] = mapped_column(
        Json, default=dict, server_default=text("'{}'"), nullable=True
    )
    worker_id: Mapped[str | None] = mapped_column(String(255))
    attempts: Mapped[int] = mapped_column(
        Integer, default=0, server_default=text("0"), nullable=True
    )
    max_retries: Mapped[int] = mapped_column(
        Integer, default=3, server_default=text("3"), nullable=True
    )
    started_at: Mapped[datetime | None] = mapped_column(Timestamp)
    completed_at: Mapped[datetime | None] = mapped_column(Timestamp)
    error_details: Mapped[dict[str, Any] | None] = mapped_column(Json)
    created_at: Mapped[datetime] = mapped_column(
        Timestamp, server_default=func.now(), nullable=True
    )
    updated_at: Mapped[datetime] = mapped_column(
        Timestamp, server_default=func.now(), onupdate=func.now(), nullable=True
    )

    transcript: Mapped[Transcript] = relationship(lazy="joined", innerjoin=True)
    run: Mapped[JobRun] = relationship(
        lazy="joined", innerjoin=True, cascade="all, delete-orphan", passive_deletes=True
    )


class JobRun(Base):
    """Progress of a job, for start, recovery and status. Times are Unix seconds."""

    __tablename__ = "job_runs"
    __table_args__ = (Index(None, "stage", "lease_until"),)

    job_id: Mapped[str] = mapped_column(
        ForeignKey("transcript_jobs.job_id", ondelete="CASCADE"), primary_key=True
    )
    status: Mapped[str] = mapped_column(String(16), default=JobStatus.QUEUED)
    stage: Mapped[str] = mapped_column(String(16), default=Stage.QUEUED)
    priority: Mapped[str] = mapped_column(String(8))
    #: Message that currently prepares or merges the job, and Celery's name of its worker.
    owner: Mapped[str | None] = mapped_column(String(255))
    worker: Mapped[str | None] = mapped_column(String(255))
    #: When the job is over: until when its ender must send notifications; 0 when done.
    lease_until: Mapped[float] = mapped_column(default=0.0)
    #: Number of times that a worker began the current stage.
    attempts: Mapped[int] = mapped_column(default=0)
    #: When the job was last sent to the queue, or None if never.
    dispatched_at: Mapped[float | None] = mapped_column()
    #: Counts how often parts were sent, so that two dispatchers never send the same ones.
    epoch: Mapped[int] = mapped_column(default=0)
    #: Warnings independent of the parts; a merge adds its own to the transcript.
    warnings: Mapped[Sequence[TranscriptWarning]] = mapped_column(Warnings, default=list)
    #: When the first chunk could be transcribed.
    listening_since: Mapped[float | None] = mapped_column()
    #: Parts that were resent separately: the job's chord does not count these messages.
    parts_resent: Mapped[int] = mapped_column(default=0)


class JobPart(Base):
    """A chunk to transcribe or a shard to diarize."""

    __tablename__ = "job_parts"
    __table_args__ = (Index(None, "state", "lease_until"),)

    job_id: Mapped[str] = mapped_column(
        ForeignKey("transcript_jobs.job_id", ondelete="CASCADE"), primary_key=True
    )
    kind: Mapped[str] = mapped_column(String(8), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    #: Seconds in the recording.
    start: Mapped[float] = mapped_column()
    end: Mapped[float] = mapped_column()
    #: Channel of the recording, counted from 0; None: the mix of all.
    channel: Mapped[int | None] = mapped_column()
    state: Mapped[str] = mapped_column(String(16), default=PartState.WAITING)
    #: Number of times that a worker began it.
    attempts: Mapped[int] = mapped_column(default=0)
    #: As in `JobRun`.
    owner: Mapped[str | None] = mapped_column(String(255))
    worker: Mapped[str | None] = mapped_column(String(255))
    lease_until: Mapped[float] = mapped_column(default=0.0)
    #: Checksum of the stored result.
    sha256: Mapped[str | None] = mapped_column(String(64))
    #: Why it failed.
    error: Mapped[dict[str, Any] | None] = mapped_column(Json)
    #: When its message last began to wait in a queue; in the future for a delayed retry. None: not
    #: sent yet, or only sent early.
    sent_at: Mapped[float | None] = mapped_column()
    changed_at: Mapped[float] = mapped_column(default=0.0)


class SegmentRow(Base):
    """A segment of a finished transcript; its words are in one JSON column."""

    __tablename__ = "segments"

    transcript_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("transcripts.id", ondelete="CASCADE"), primary_key=True
    )
    position: Mapped[int] = mapped_column(primary_key=True)
    start: Mapped[float] = mapped_column()
    end: Mapped[float] = mapped_column()
    text: Mapped[str] = mapped_column(Text)
    speaker_tag: Mapped[int | None] = mapped_column()
    confidence: Mapped[float | None] = mapped_column()
    words: Mapped[list[dict[str, Any]]] = mapped_column(Json, default=list)
    #: The engine's words, if the segment was edited; else None.
    heard_words: Mapped[list[dict[str, Any]] | None] = mapped_column(JsonOrNull)


class UserResource:
    """Columns of resources that callers create, name and list."""

    #: Name of the resource in messages.
    noun: ClassVar[str]

    id: Mapped[uuid.UUID] = mapped_column(Uuid, primary_key=True, default=uuid.uuid4)
    #: Owner; None: created while the service required no key.
    owner_id: Mapped[uuid.UUID | None] = mapped_column(Uuid)
    name: Mapped[str] = mapped_column(Text)
    # Set here and not by the database: lists sort by it, and SQLite's clock has only seconds.
    created_at: Mapped[datetime] = mapped_column(
        Timestamp, default=clock.utc_now, server_default=func.now()
    )
    updated_at: Mapped[datetime] = mapped_column(
        Timestamp, default=clock.utc_now, onupdate=clock.utc_now, server_default=func.now()
    )


class SessionRow(UserResource, Base):
    """A session, with which callers group transcripts."""

    __tablename__ = "sessions"
    noun = "session"
    __table_args__ = (
        Index(None, "created_at", "id"),
        Index(None, "owner_id", "created_at", "id"),
    )


class ContextRow(UserResource, Base):
    """Terms that an engine should expect, and cues for the roles of speakers."""

    __tablename__ = "contexts"
    noun = "context"
    __table_args__ = (
        Index(None, "created_at", "id"),
        Index(None, "owner_id", "created_at", "id"),
    )

    #: Each with ``phrase`` and ``boost``.
    terms: Mapped[list[dict[str, Any]]] = mapped_column(Json, default=list)
    #: Cues by role, or the name of a built-in lexicon; empty for no roles.
    roles: Mapped[dict[str, list[str]] | str] = mapped_column(
        Json, default=dict, server_default=text("'{}'")
    )


class ApiKeyRow(Base):
    """An API key. Only its hash is stored."""

    __tablename__ = "api_keys"

    id: Mapped[uuid.UUID] = mapped_column(Uuid, primary_key=True, default=uuid.uuid4)
    #: Owner of the visible records: its own id, or that of an older key that it replaces.
    owner_id: Mapped[uuid.UUID] = mapped_column(Uuid, index=True)
    name: Mapped[str] = mapped_column(Text)
    #: The part of the key that can be shown; identifies the row.
    prefix: Mapped[str] = mapped_column(String(16), unique=True)
    #: SHA-256 of the whole key, which is random, so no slow hash is needed.
    sha256: Mapped[str] = mapped_column(String(64))
    scopes: Mapped[list[str]] = mapped_column(Json)
    #: Requests per minute; None: as in the settings.
    per_minute: Mapped[int | None] = mapped_column()
    created_at: Mapped[datetime] = mapped_column(
        Timestamp, default=clock.utc_now, server_default=func.now()
    )
    last_used_at: Mapped[datetime | None] = mapped_column(Timestamp)
    expires_at: Mapped[datetime | None] = mapped_column(Timestamp)
    revoked_at: Mapped[datetime | None] = mapped_column(Timestamp)


class IdempotencyRow(Base):
    """An ``Idempotency-Key`` that created a job, with the response."""

    __tablename__ = "idempotency_keys"

    #: Id of the owner; empty if the service requires no key.
    owner: Mapped[str] = mapped_column(String(36), primary_key=True)
    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    #: SHA-256 of the request: another one with the same key is refused.
    fingerprint: Mapped[str] = mapped_column(String(64))
    job_id: Mapped[str] = mapped_column(
        ForeignKey("transcript_jobs.job_id", ondelete="CASCADE"), index=True
    )
    answer: Mapped[dict[str, Any]] = mapped_column(Json)
    created_at: Mapped[datetime] = mapped_column(
        Timestamp, default=clock.utc_now, server_default=func.now(), index=True
    )


class DeliveryRow(Base):
    """A webhook to send, written in the transaction that ends its job. Times: Unix seconds."""

    __tablename__ = "webhook_deliveries"
    __table_args__ = (Index(None, "state", "next_try_at"),)

    id: Mapped[uuid.UUID] = mapped_column(Uuid, primary_key=True, default=uuid.uuid4)
    job_id: Mapped[str] = mapped_column(
        ForeignKey("transcript_jobs.job_id", ondelete="CASCADE"), index=True
    )
    event: Mapped[str] = mapped_column(String(64))
    url: Mapped[str] = mapped_column(Text)
    payload: Mapped[dict[str, Any]] = mapped_column(Json)
    state: Mapped[str] = mapped_column(String(16))
    attempts: Mapped[int] = mapped_column(default=0)
    #: When it is due; while it is being sent, when another process may take it.
    next_try_at: Mapped[float] = mapped_column(default=0.0)
    #: Result of the last attempt: an HTTP status, or a sentence.
    last_status: Mapped[int | None] = mapped_column()
    last_error: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(
        Timestamp, default=clock.utc_now, server_default=func.now()
    )
    delivered_at: Mapped[datetime | None] = mapped_column(Timestamp)


class SecretRow(Base):
    """A secret of this installation, created when first needed: all machines share it."""

    __tablename__ = "secrets"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    value: Mapped[str] = mapped_column(Text)


# As tables, for statements that run for every chunk: SQLAlchemy is faster with tables than with
# models, since it need not check which objects a statement affects.
TRANSCRIPTS, TRANSCRIPT_JOBS, JOB_RUNS, JOB_PARTS = (
    Base.metadata.tables[model.__tablename__]
    for model in (Transcript, TranscriptJob, JobRun, JobPart)
)
