"""Add the engine `whisper` to PostgreSQL's enumeration."""

from alembic import op
from sqlalchemy import text

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_LABELS = """
SELECT enumlabel FROM pg_enum JOIN pg_type ON pg_type.oid = enumtypid
WHERE pg_type.oid = to_regtype('transcription_engine') AND enumlabel <> 'whisper'
ORDER BY enumsortorder
"""


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":  # other databases store names as text
        op.execute("ALTER TYPE transcription_engine ADD VALUE IF NOT EXISTS 'whisper'")


def downgrade() -> None:
    """Change jobs of `whisper` to `whisperx`, the nearest engine of the previous version."""
    op.execute("UPDATE transcript_jobs SET engine = 'whisperx' WHERE engine = 'whisper'")
    connection = op.get_bind()
    if connection.dialect.name != "postgresql":
        return
    # PostgreSQL cannot remove a value from an enumeration, so a new type replaces the old one.
    names = ", ".join(f"'{name}'" for name in connection.scalars(text(_LABELS)))
    op.execute("ALTER TYPE transcription_engine RENAME TO transcription_engine_before")
    op.execute(f"CREATE TYPE transcription_engine AS ENUM ({names})")
    op.execute("ALTER TABLE transcript_jobs ALTER COLUMN engine DROP DEFAULT")
    op.execute(
        "ALTER TABLE transcript_jobs ALTER COLUMN engine TYPE transcription_engine "
        "USING engine::text::transcription_engine"
    )
    op.execute("ALTER TABLE transcript_jobs ALTER COLUMN engine SET DEFAULT 'asr'")
    op.execute("DROP TYPE transcription_engine_before")
