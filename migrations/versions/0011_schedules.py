"""A table for schedules, which start sagas at the times of a cron expression.

Only catalogue changes. Replicas of the previous release keep working: they run no schedules.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0011"
down_revision = "0010"

JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "schedule",
        sa.Column("name", sa.String(), primary_key=True),
        sa.Column("definition", sa.String(), nullable=False),
        sa.Column("data", JSON, nullable=False),
        sa.Column("cron", sa.String(), nullable=False),
        sa.Column("zone", sa.String(), nullable=False),
        sa.Column("overlaps", sa.Boolean(), nullable=False),
        sa.Column("next_at", MOMENT, nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("last_at", MOMENT, nullable=True),
        sa.Column("last_result", sa.String(), nullable=True),
        sa.Column("last_saga_id", sa.Uuid(), nullable=True),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
    )
    op.create_index("schedule_next", "schedule", ["next_at"])


def downgrade() -> None:
    op.drop_table("schedule")
