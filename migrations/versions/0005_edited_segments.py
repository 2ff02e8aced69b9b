"""The engine's words of segments whose text was edited."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def upgrade() -> None:
    op.add_column("segments", sa.Column("heard_words", JSON))


def downgrade() -> None:
    op.drop_column("segments", "heard_words")
