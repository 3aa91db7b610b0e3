"""A table for the processes that publish events: one row for each part of the sagas.

A process of the previous release publishes alone: it holds the row of `relay`, which the processes of this release
share.
"""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"

PARTS = 8


def upgrade() -> None:
    part = op.create_table(
        "relay_part",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("owner", sa.String(), nullable=True),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
    )
    for number in range(PARTS):
        op.execute(part.insert().values(id=number, until=sa.func.current_timestamp()))


def downgrade() -> None:
    op.drop_table("relay_part")
