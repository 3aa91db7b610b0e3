"""Columns for the second factor of users.

Only catalogue changes. Replicas of the previous release keep working, but ask for no code: replace all of them before
people set up a second factor.
"""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    op.add_column("user_account", sa.Column("factor_seed", sa.String(), nullable=True))
    op.add_column("user_account", sa.Column("factor_step", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    op.drop_column("user_account", "factor_step")
    op.drop_column("user_account", "factor_seed")
