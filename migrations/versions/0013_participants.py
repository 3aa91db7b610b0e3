"""A table for paused participants, and a column for what each process sees of the participants.

Only catalogue changes. Replicas of the previous release keep working: they send calls in spite of a pause, and write no
report.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0013"
down_revision = "0012"

JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def upgrade() -> None:
    op.create_table(
        "participant_pause",
        sa.Column("name", sa.String(), primary_key=True),
        sa.Column("paused_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("paused_by", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
    )
    op.add_column("replica", sa.Column("participants", JSON, nullable=True))


def downgrade() -> None:
    op.drop_column("replica", "participants")
    op.drop_table("participant_pause")
