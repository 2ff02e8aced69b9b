"""First tables: transcripts and their segments, jobs, their runs, and their parts."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
TIMESTAMP = sa.DateTime(timezone=True)
ENGINE = sa.Enum("asr", "whisperx", "sphinx", name="transcription_engine")


def upgrade() -> None:
    op.create_table(
        "transcripts",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("session_id", sa.Uuid()),
        sa.Column("context_id", sa.Uuid()),
        sa.Column("filename", sa.Text(), nullable=False),
        sa.Column("audio_key", sa.String(255)),
        sa.Column("audio_bytes", sa.BigInteger()),
        sa.Column("audio_sha256", sa.String(64)),
        sa.Column("language", sa.String(35)),
        sa.Column("duration", sa.Float()),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("speaker_names", JSON, nullable=False),
        sa.Column("speaker_roles", JSON, nullable=False),
        sa.Column("warnings", JSON, nullable=False),
        sa.Column("created_at", TIMESTAMP, server_default=sa.func.now(), nullable=False),
        sa.Column("updated_at", TIMESTAMP, server_default=sa.func.now(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_transcripts"),
    )
    op.create_index("ix_transcripts_session_id", "transcripts", ["session_id"])

    op.create_table(
        "segments",
        sa.Column("transcript_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("start", sa.Double(), nullable=False),
        sa.Column("end", sa.Double(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("speaker_tag", sa.Integer()),
        sa.Column("confidence", sa.Double()),
        sa.Column("words", JSON, nullable=False),
        sa.PrimaryKeyConstraint("transcript_id", "position", name="pk_segments"),
        sa.ForeignKeyConstraint(
            ["transcript_id"],
            ["transcripts.id"],
            name="fk_segments_transcript_id_transcripts",
            ondelete="CASCADE",
        ),
    )

    op.create_table(
        "transcript_jobs",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("transcript_id", sa.Uuid()),
        sa.Column("job_id", sa.String(255), nullable=False),
        sa.Column("engine", ENGINE, server_default="asr", nullable=False),
        sa.Column("engine_params", JSON, server_default=sa.text("'{}'")),
        sa.Column("worker_id", sa.String(255)),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0")),
        sa.Column("max_retries", sa.Integer(), server_default=sa.text("3")),
        sa.Column("started_at", TIMESTAMP),
        sa.Column("completed_at", TIMESTAMP),
        sa.Column("error_details", JSON),
        sa.Column("created_at", TIMESTAMP, server_default=sa.func.now()),
        sa.Column("updated_at", TIMESTAMP, server_default=sa.func.now()),
        sa.PrimaryKeyConstraint("id", name="pk_transcript_jobs"),
        sa.UniqueConstraint("job_id", name="uq_transcript_jobs_job_id"),
        sa.UniqueConstraint("transcript_id", name="uq_transcript_jobs_transcript_id"),
        sa.ForeignKeyConstraint(
            ["transcript_id"],
            ["transcripts.id"],
            name="fk_transcript_jobs_transcript_id_transcripts",
            ondelete="CASCADE",
        ),
    )

    op.create_table(
        "job_runs",
        sa.Column("job_id", sa.String(255), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("stage", sa.String(16), nullable=False),
        sa.Column("priority", sa.String(8), nullable=False),
        sa.Column("owner", sa.String(255)),
        sa.Column("lease_until", sa.Double(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("dispatched_at", sa.Double()),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("warnings", JSON, nullable=False),
        sa.Column("listening_since", sa.Double()),
        sa.PrimaryKeyConstraint("job_id", name="pk_job_runs"),
        sa.ForeignKeyConstraint(
            ["job_id"],
            ["transcript_jobs.job_id"],
            name="fk_job_runs_job_id_transcript_jobs",
            ondelete="CASCADE",
        ),
    )
    op.create_index("ix_job_runs_stage_lease_until", "job_runs", ["stage", "lease_until"])

    op.create_table(
        "job_parts",
        sa.Column("job_id", sa.String(255), nullable=False),
        sa.Column("kind", sa.String(8), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("start", sa.Double(), nullable=False),
        sa.Column("end", sa.Double(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("owner", sa.String(255)),
        sa.Column("lease_until", sa.Double(), nullable=False),
        sa.Column("sha256", sa.String(64)),
        sa.Column("error", JSON),
        sa.Column("changed_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("job_id", "kind", "position", name="pk_job_parts"),
        sa.ForeignKeyConstraint(
            ["job_id"],
            ["transcript_jobs.job_id"],
            name="fk_job_parts_job_id_transcript_jobs",
            ondelete="CASCADE",
        ),
    )
    op.create_index("ix_job_parts_state_lease_until", "job_parts", ["state", "lease_until"])


def downgrade() -> None:
    for table in ("job_parts", "job_runs", "transcript_jobs", "segments", "transcripts"):
        op.drop_table(table)
    ENGINE.drop(op.get_bind(), checkfirst=True)
