"""A table for failed sign-ins: one row for each user and hour. They are no rows of the audit trail any more.

Replicas of the previous release keep working: they go on writing to the audit trail.
"""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"


def upgrade() -> None:
    op.create_table(
        "failed_sign_in",
        sa.Column("hour", sa.DateTime(timezone=True), primary_key=True),
        sa.Column("name", sa.String(), primary_key=True),
        sa.Column("times", sa.Integer(), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_address", sa.String(), nullable=False),
    )


def downgrade() -> None:
    op.drop_table("failed_sign_in")
