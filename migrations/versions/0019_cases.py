"""A table for cases: who looks after a saga, and until when nobody needs to.

Only catalogue changes. Replicas of the previous release keep working: they know no case.
"""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "saga_case",
        sa.Column("saga_id", sa.Uuid(), sa.ForeignKey("saga.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("taken_by", sa.String(), nullable=True),
        sa.Column("taken_at", MOMENT, nullable=True),
        sa.Column("snoozed_until", MOMENT, nullable=True),
        sa.Column("note", sa.String(), nullable=True),
    )


def downgrade() -> None:
    op.drop_table("saga_case")
