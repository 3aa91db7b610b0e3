"""A table for the release of each process, so that a move leads to the release that made it.

Only catalogue changes. Replicas of the previous release keep working: their moves have no release.
"""

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0029"


def upgrade() -> None:
    op.create_table(
        "process_release",
        sa.Column("owner", sa.String(), primary_key=True),
        sa.Column("release", sa.String(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
    )


def downgrade() -> None:
    op.drop_table("process_release")
