"""The records, as plain SQLAlchemy models: workers use them without a web framework."""

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
#: The same, with None as the database's own NULL, so that it can be asked for.
JsonOrNull = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
#: Aware timestamps in PostgreSQL; SQLite keeps them as UTC without saying so.
Timestamp = DateTime(timezone=True)

#: What the enumeration `transcription_engine` of a new PostgreSQL database holds.
ENGINES = ("asr", "whisperx", "sphinx", "whisper")


class EngineName(TypeDecorator[str]):
    """A value of `transcription_engine`: an enumeration in PostgreSQL, text elsewhere.

    SQLAlchemy's own type knows its values beforehand, but other packages bring engines of
    their own: see `migrations.engines`.
    """

    impl = String(64)
    cache_ok = True


class Warnings(TypeDecorator[Sequence[TranscriptWarning]]):
    """A list of warnings, as JSON; rows of version 0.1 hold sentences."""

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
    """For alembic: the database's enumeration is our `EngineName`, whatever it holds."""
    return False if isinstance(declared_type, EngineName) else None


class Base(DeclarativeBase):
    """One metadata for service, workers and migrations. Every constraint has a name."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class Transcript(Base):
    """A recording and what was heard in it."""

    __tablename__ = "transcripts"
    __table_args__ = (
        # Lists of jobs: newest first, of everybody or as a filter asks.
        Index(None, "created_at", "id"),
        Index(None, "owner_id", "created_at", "id"),
        Index(None, "session_id", "created_at", "id"),
        Index(None, "engine", "created_at", "id"),
        Index(None, "status", "created_at", "id"),
        # Retention: what still has its recording.
        Index(
            "ix_transcripts_audio_kept",
            "created_at",
            postgresql_where=text("audio_key IS NOT NULL"),
            sqlite_where=text("audio_key IS NOT NULL"),
        ),
    )

    id: Mapped[uuid.UUID] = mapped_column(Uuid, primary_key=True, default=uuid.uuid4)
    #: Who may see it; None: it was sent when the service asked nobody for a key.
    owner_id: Mapped[uuid.UUID | None] = mapped_column(Uuid)
    # No foreign keys: clients may name sessions and contexts of their own that we do not know, and
    # a transcript outlives both.
    session_id: Mapped[uuid.UUID | None] = mapped_column(Uuid)
    context_id: Mapped[uuid.UUID | None] = mapped_column(Uuid)
    #: As in the job; here too because lists choose and order by one table.
    engine: Mapped[str] = mapped_column(String(64))
    #: As the uploader named it; shown, never used as a path.
    filename: Mapped[str] = mapped_column(Text)
    audio_key: Mapped[str | None] = mapped_column(String(255))
    audio_bytes: Mapped[int | None] = mapped_column(BigInteger)
    audio_sha256: Mapped[str | None] = mapped_column(String(64))
    language: Mapped[str | None] = mapped_column(String(35))
    #: Seconds, counted from decoded samples.
    duration: Mapped[float | None] = mapped_column(Float)
    status: Mapped[str] = mapped_column(String(16), default=JobStatus.PROCESSING)
    #: Names by speaker number, where they are not SPEAKER_00 and so on.
    speaker_names: Mapped[dict[str, str]] = mapped_column(Json, default=dict)
    #: Roles by speaker number, None for what is not known; empty when nobody asked for roles.
    speaker_roles: Mapped[dict[str, str | None]] = mapped_column(Json, default=dict)
    #: Of the likeliest role, 0..1, by speaker number.
    speaker_role_scores: Mapped[dict[str, float]] = mapped_column(
        Json, default=dict, server_default=text("'{}'")
    )
    #: What is not as it should be.
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
    """What was asked for and how it ended; the table is the one that clients of old know."""

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
    """How far a job is: what start, recovery and progress need. Times are Unix seconds."""

    __tablename__ = "job_runs"
    __table_args__ = (Index(None, "stage", "lease_until"),)

    job_id: Mapped[str] = mapped_column(
        ForeignKey("transcript_jobs.job_id", ondelete="CASCADE"), primary_key=True
    )
    status: Mapped[str] = mapped_column(String(16), default=JobStatus.QUEUED)
    stage: Mapped[str] = mapped_column(String(16), default=Stage.QUEUED)
    priority: Mapped[str] = mapped_column(String(8))
    #: Message by which a worker prepares or merges the job now, and Celery's name of the worker.
    owner: Mapped[str | None] = mapped_column(String(255))
    worker: Mapped[str | None] = mapped_column(String(255))
    #: Of a job that is over: until when its end is told by whoever ended it; 0 when that is done.
    lease_until: Mapped[float] = mapped_column(default=0.0)
    #: Times that a worker began with the present stage.
    attempts: Mapped[int] = mapped_column(default=0)
    #: When the job was last sent to the queue, or None if it never was.
    dispatched_at: Mapped[float | None] = mapped_column()
    #: Counts the times that parts were sent, so that two dispatchers never send the same ones.
    epoch: Mapped[int] = mapped_column(default=0)
    #: What holds whatever becomes of the parts; a merge adds its own for the transcript.
    warnings: Mapped[Sequence[TranscriptWarning]] = mapped_column(Warnings, default=list)
    #: When the first chunk could be heard.
    listening_since: Mapped[float | None] = mapped_column()
    #: Parts that were sent again, each by itself: the job's chord does not count those messages.
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
    #: Of the recording, counted from 0; None: the mix of all.
    channel: Mapped[int | None] = mapped_column()
    state: Mapped[str] = mapped_column(String(16), default=PartState.WAITING)
    #: Times that a worker began with it.
    attempts: Mapped[int] = mapped_column(default=0)
    #: As in `JobRun`.
    owner: Mapped[str | None] = mapped_column(String(255))
    worker: Mapped[str | None] = mapped_column(String(255))
    lease_until: Mapped[float] = mapped_column(default=0.0)
    #: Checksum of the stored result.
    sha256: Mapped[str | None] = mapped_column(String(64))
    #: Why it failed.
    error: Mapped[dict[str, Any] | None] = mapped_column(Json)
    #: When its message last began to wait in a queue; in the future for one that is to be tried
    #: again. None: it was not sent yet, or only ahead of the others.
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
    #: What the engine heard, where somebody typed another text; None where nobody did.
    heard_words: Mapped[list[dict[str, Any]] | None] = mapped_column(JsonOrNull)


class UserResource:
    """Columns of what callers make, name and list."""

    #: What people call a row.
    noun: ClassVar[str]

    id: Mapped[uuid.UUID] = mapped_column(Uuid, primary_key=True, default=uuid.uuid4)
    #: Who may see it; None: it was made when the service asked nobody for a key.
    owner_id: Mapped[uuid.UUID | None] = mapped_column(Uuid)
    name: Mapped[str] = mapped_column(Text)
    # Told by us and not by the database: lists go by it, and SQLite's own clock knows only seconds.
    created_at: Mapped[datetime] = mapped_column(
        Timestamp, default=clock.utc_now, server_default=func.now()
    )
    updated_at: Mapped[datetime] = mapped_column(
        Timestamp, default=clock.utc_now, onupdate=clock.utc_now, server_default=func.now()
    )


class SessionRow(UserResource, Base):
    """A session that callers put transcripts under."""

    __tablename__ = "sessions"
    noun = "session"
    __table_args__ = (
        Index(None, "created_at", "id"),
        Index(None, "owner_id", "created_at", "id"),
    )


class ContextRow(UserResource, Base):
    """Terms that an engine should expect to hear, and what the roles of speakers are told by."""

    __tablename__ = "contexts"
    noun = "context"
    __table_args__ = (
        Index(None, "created_at", "id"),
        Index(None, "owner_id", "created_at", "id"),
    )

    #: Each with ``phrase`` and ``boost``.
    terms: Mapped[list[dict[str, Any]]] = mapped_column(Json, default=list)
    #: Cues by role, or the name of a lexicon of ours; empty for no roles.
    roles: Mapped[dict[str, list[str]] | str] = mapped_column(
        Json, default=dict, server_default=text("'{}'")
    )


class ApiKeyRow(Base):
    """A key that opens the service. The key itself is nowhere: only its hash is."""

    __tablename__ = "api_keys"

    id: Mapped[uuid.UUID] = mapped_column(Uuid, primary_key=True, default=uuid.uuid4)
    #: What the key sees. Its own id, or that of an older key that it takes the place of.
    owner_id: Mapped[uuid.UUID] = mapped_column(Uuid, index=True)
    name: Mapped[str] = mapped_column(Text)
    #: The part of the key that may be shown; finds the row.
    prefix: Mapped[str] = mapped_column(String(16), unique=True)
    #: SHA-256 of the whole key, which is random, so no slow hash is needed.
    sha256: Mapped[str] = mapped_column(String(64))
    scopes: Mapped[list[str]] = mapped_column(Json)
    #: Requests a minute; None: as the settings say.
    per_minute: Mapped[int | None] = mapped_column()
    created_at: Mapped[datetime] = mapped_column(
        Timestamp, default=clock.utc_now, server_default=func.now()
    )
    last_used_at: Mapped[datetime | None] = mapped_column(Timestamp)
    expires_at: Mapped[datetime | None] = mapped_column(Timestamp)
    revoked_at: Mapped[datetime | None] = mapped_column(Timestamp)


class IdempotencyRow(Base):
    """An ``Idempotency-Key`` that a job was made under, and what was answered."""

    __tablename__ = "idempotency_keys"

    #: Id of the owner; empty where the service asks nobody for a key.
    owner: Mapped[str] = mapped_column(String(36), primary_key=True)
    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    #: SHA-256 of the request: another one under the same key is refused.
    fingerprint: Mapped[str] = mapped_column(String(64))
    job_id: Mapped[str] = mapped_column(
        ForeignKey("transcript_jobs.job_id", ondelete="CASCADE"), index=True
    )
    answer: Mapped[dict[str, Any]] = mapped_column(Json)
    created_at: Mapped[datetime] = mapped_column(
        Timestamp, default=clock.utc_now, server_default=func.now(), index=True
    )


class DeliveryRow(Base):
    """A webhook to send: written with the end of its job, so none is lost. Times: Unix seconds."""

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
    #: When it is due; for one in hand, when it may be taken by another.
    next_try_at: Mapped[float] = mapped_column(default=0.0)
    #: What the last try ended with: an HTTP status, or a sentence.
    last_status: Mapped[int | None] = mapped_column()
    last_error: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(
        Timestamp, default=clock.utc_now, server_default=func.now()
    )
    delivered_at: Mapped[datetime | None] = mapped_column(Timestamp)


class SecretRow(Base):
    """A secret of this installation, made when first needed: all machines must know the same."""

    __tablename__ = "secrets"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    value: Mapped[str] = mapped_column(Text)


# As tables, for statements that are run for every chunk: SQLAlchemy is faster with these than with
# models, since it need not see which objects a statement may concern.
TRANSCRIPTS, TRANSCRIPT_JOBS, JOB_RUNS, JOB_PARTS = (
    Base.metadata.tables[model.__tablename__]
    for model in (Transcript, TranscriptJob, JobRun, JobPart)
)
