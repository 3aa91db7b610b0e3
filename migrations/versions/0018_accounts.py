"""Columns for the start, the last use and the address of sessions, and for a password that its user must change.

Only catalogue changes. Replicas of the previous release keep working: they end no idle session, and demand no new
password.
"""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.add_column("user_session", sa.Column("started_at", MOMENT, nullable=True))
    op.add_column("user_session", sa.Column("seen_at", MOMENT, nullable=True))
    op.add_column("user_session", sa.Column("address", sa.String(), nullable=True))
    op.add_column("user_account", sa.Column("must_change", sa.Boolean(), nullable=False, server_default=sa.false()))


def downgrade() -> None:
    op.drop_column("user_account", "must_change")
    op.drop_column("user_session", "address")
    op.drop_column("user_session", "seen_at")
    op.drop_column("user_session", "started_at")
