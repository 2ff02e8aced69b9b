"""Owners and their keys, idempotency keys, webhooks, secrets, and indexes for all lists."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
TIMESTAMP = sa.DateTime(timezone=True)
KEPT = sa.text("audio_key IS NOT NULL")

#: Columns that lists filter by; each list is then ordered by time.
LISTED = {
    "transcripts": ("owner_id", "session_id", "engine", "status"),
    "sessions": ("owner_id",),
    "contexts": ("owner_id",),
}


def upgrade() -> None:
    _add_owners()
    _add_engine()
    op.drop_index("ix_transcripts_session_id", "transcripts")
    op.create_index("ix_transcripts_created_at_id", "transcripts", ["created_at", "id"])
    op.create_index(
        "ix_transcripts_audio_kept",
        "transcripts",
        ["created_at"],
        postgresql_where=KEPT,
        sqlite_where=KEPT,
    )
    for table, columns in LISTED.items():
        for column in columns:
            name = f"ix_{table}_{column}_created_at_id"
            op.create_index(name, table, [column, "created_at", "id"])
    op.add_column("job_parts", sa.Column("channel", sa.Integer()))
    _create_keys()
    _create_deliveries()
    op.create_table(
        "secrets",
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_secrets"),
    )


def downgrade() -> None:
    for table in ("secrets", "webhook_deliveries", "idempotency_keys", "api_keys"):
        op.drop_table(table)
    for table, columns in LISTED.items():
        for column in columns:
            op.drop_index(f"ix_{table}_{column}_created_at_id", table)
    op.drop_index("ix_transcripts_audio_kept", "transcripts")
    op.drop_index("ix_transcripts_created_at_id", "transcripts")
    op.create_index("ix_transcripts_session_id", "transcripts", ["session_id"])
    op.drop_column("job_parts", "channel")
    op.drop_column("transcripts", "engine")
    for table in LISTED:
        op.drop_column(table, "owner_id")


def _add_owners() -> None:
    for table in LISTED:
        op.add_column(table, sa.Column("owner_id", sa.Uuid()))


def _add_engine() -> None:
    op.add_column("transcripts", sa.Column("engine", sa.String(64)))
    op.execute(
        "UPDATE transcripts SET engine = coalesce((SELECT CAST(engine AS VARCHAR(64)) "
        "FROM transcript_jobs WHERE transcript_jobs.transcript_id = transcripts.id), 'asr')"
    )
    with op.batch_alter_table("transcripts") as table:
        table.alter_column("engine", existing_type=sa.String(64), nullable=False)


def _create_keys() -> None:
    op.create_table(
        "api_keys",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("owner_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("prefix", sa.String(16), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("scopes", JSON, nullable=False),
        sa.Column("per_minute", sa.Integer()),
        sa.Column("created_at", TIMESTAMP, server_default=sa.func.now(), nullable=False),
        sa.Column("last_used_at", TIMESTAMP),
        sa.Column("expires_at", TIMESTAMP),
        sa.Column("revoked_at", TIMESTAMP),
        sa.PrimaryKeyConstraint("id", name="pk_api_keys"),
        sa.UniqueConstraint("prefix", name="uq_api_keys_prefix"),
    )
    op.create_index("ix_api_keys_owner_id", "api_keys", ["owner_id"])

    op.create_table(
        "idempotency_keys",
        sa.Column("owner", sa.String(36), nullable=False),
        sa.Column("key", sa.String(255), nullable=False),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("job_id", sa.String(255), nullable=False),
        sa.Column("answer", JSON, nullable=False),
        sa.Column("created_at", TIMESTAMP, server_default=sa.func.now(), nullable=False),
        sa.PrimaryKeyConstraint("owner", "key", name="pk_idempotency_keys"),
        _of_job("idempotency_keys"),
    )
    op.create_index("ix_idempotency_keys_job_id", "idempotency_keys", ["job_id"])
    op.create_index("ix_idempotency_keys_created_at", "idempotency_keys", ["created_at"])


def _create_deliveries() -> None:
    op.create_table(
        "webhook_deliveries",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("job_id", sa.String(255), nullable=False),
        sa.Column("event", sa.String(64), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("payload", JSON, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_try_at", sa.Double(), nullable=False),
        sa.Column("last_status", sa.Integer()),
        sa.Column("last_error", sa.Text()),
        sa.Column("created_at", TIMESTAMP, server_default=sa.func.now(), nullable=False),
        sa.Column("delivered_at", TIMESTAMP),
        sa.PrimaryKeyConstraint("id", name="pk_webhook_deliveries"),
        _of_job("webhook_deliveries"),
    )
    op.create_index("ix_webhook_deliveries_job_id", "webhook_deliveries", ["job_id"])
    op.create_index(
        "ix_webhook_deliveries_state_next_try_at", "webhook_deliveries", ["state", "next_try_at"]
    )


def _of_job(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["job_id"],
        ["transcript_jobs.job_id"],
        name=f"fk_{table}_job_id_transcript_jobs",
        ondelete="CASCADE",
    )
