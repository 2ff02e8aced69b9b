"""Role lexicons in contexts, and scores of the roles of a transcript's speakers."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
ADDED = {"contexts": "roles", "transcripts": "speaker_role_scores"}


def upgrade() -> None:
    for table, name in ADDED.items():
        column = sa.Column(name, JSON, server_default=sa.text("'{}'"), nullable=False)
        op.add_column(table, column)


def downgrade() -> None:
    for table, name in ADDED.items():
        op.drop_column(table, name)
