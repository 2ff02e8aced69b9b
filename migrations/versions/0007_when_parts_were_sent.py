"""The time at which a part's message was sent, so that only lost messages are sent again."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

#: The parts of jobs in progress were sent together with their job.
_SENT = """
    UPDATE job_parts SET sent_at = (
        SELECT dispatched_at FROM job_runs
        WHERE job_runs.job_id = job_parts.job_id AND job_runs.stage = 'listen'
    )
"""


def upgrade() -> None:
    op.add_column("job_parts", sa.Column("sent_at", sa.Double()))
    resent = sa.Column("parts_resent", sa.Integer(), server_default="0", nullable=False)
    op.add_column("job_runs", resent)
    op.execute(_SENT)


def downgrade() -> None:
    op.drop_column("job_runs", "parts_resent")
    op.drop_column("job_parts", "sent_at")
