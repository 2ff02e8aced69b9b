"""PostgreSQL's enumeration knows the engine `whisper`."""

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
    if op.get_bind().dialect.name == "postgresql":  # others keep names as text
        op.execute("ALTER TYPE transcription_engine ADD VALUE IF NOT EXISTS 'whisper'")


def downgrade() -> None:
    """Jobs of `whisper` become jobs of `whisperx`, the nearest engine that was known before."""
    op.execute("UPDATE transcript_jobs SET engine = 'whisperx' WHERE engine = 'whisper'")
    connection = op.get_bind()
    if connection.dialect.name != "postgresql":
        return
    # A value cannot be taken out of an enumeration: a new one takes its place.
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
