"""Columns for the role of each process and for the most connections that it opens.

Only catalogue changes. A replica of the previous release leaves both columns empty.
"""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    op.add_column("replica", sa.Column("role", sa.String(), nullable=True))
    op.add_column("replica", sa.Column("connections", sa.Integer(), nullable=True))


def downgrade() -> None:
    op.drop_column("replica", "connections")
    op.drop_column("replica", "role")
