"""Columns for child sagas: the parent, its step, the number of the child, and the parent's request to compensate.

Only catalogue changes. Replicas of the previous release do not wake the parent of a child, so upgrade every process
before the first table that starts another saga is deployed.
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.add_column("saga", sa.Column("parent_id", sa.Uuid(), nullable=True))
    op.add_column("saga", sa.Column("parent_step", sa.String(), nullable=True))
    op.add_column("saga", sa.Column("child_number", sa.Integer(), nullable=True))
    op.add_column("saga", sa.Column("goes_back", sa.Boolean(), nullable=False, server_default=sa.false()))
    child = sa.text("parent_id IS NOT NULL")
    op.create_index(
        "saga_children", "saga", ["parent_id", "parent_step", "child_number"], unique=True, sqlite_where=child,
        postgresql_where=child,
    )


def downgrade() -> None:
    op.drop_index("saga_children", "saga")
    for column in ("goes_back", "child_number", "parent_step", "parent_id"):
        op.drop_column("saga", column)
