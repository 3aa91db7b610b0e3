"""Columns for the networks, the rate and the last use of API keys.

Only catalogue changes. Replicas of the previous release keep working: they accept a key from every network, at any rate,
and do not write its last use.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0015"
down_revision = "0014"

JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def upgrade() -> None:
    op.add_column("api_key", sa.Column("networks", JSON, nullable=True))
    op.add_column("api_key", sa.Column("rate_limit", sa.String(), nullable=True))
    op.add_column("api_key", sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    op.drop_column("api_key", "last_used_at")
    op.drop_column("api_key", "rate_limit")
    op.drop_column("api_key", "networks")
