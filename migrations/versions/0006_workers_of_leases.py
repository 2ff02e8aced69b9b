"""The worker that holds a lease."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

TABLES = ("job_runs", "job_parts")


def upgrade() -> None:
    for table in TABLES:
        op.add_column(table, sa.Column("worker", sa.String(255)))


def downgrade() -> None:
    for table in TABLES:
        op.drop_column(table, "worker")
