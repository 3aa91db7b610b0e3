"""What many processes need to run sagas side by side: claims without progress, unaccounted calls, deadlines, pulses."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.add_column("saga", sa.Column("claims", sa.Integer(), nullable=False, server_default="0"))
    # Of a saga that is under way nobody knows whether its call was sent.
    op.add_column("saga", sa.Column("unsure", sa.Boolean(), nullable=False, server_default=sa.true()))
    op.add_column("saga", sa.Column("deadline_at", MOMENT))
    op.create_table(
        "replica",
        sa.Column("owner", sa.String(), primary_key=True),
        sa.Column("started_at", MOMENT, nullable=False),
        sa.Column("beat_at", MOMENT, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("replica")
    for column in ("deadline_at", "unsure", "claims"):
        op.drop_column("saga", column)
