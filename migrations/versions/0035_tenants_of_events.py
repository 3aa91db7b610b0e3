"""Columns for the tenant and the signature of a dead letter, and the policy that keeps a tenant's dead letters apart.

Catalogue changes. Replicas of the previous release keep working: they need no signature and name no tenant. So set
EVENTS_SECRETS when all are upgraded.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0035"
down_revision = "0033"
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def upgrade() -> None:
    op.add_column("parked", sa.Column("tenant", sa.String(), nullable=True))
    op.add_column("parked", sa.Column("signature", JSON, nullable=True))
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE parked ENABLE ROW LEVEL SECURITY")
        op.execute(
            "CREATE POLICY parked_of_tenant ON parked USING "
            "(coalesce(current_setting('saga.tenant', true), '') = '' OR tenant = current_setting('saga.tenant', true))"
        )


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP POLICY parked_of_tenant ON parked")
        op.execute("ALTER TABLE parked DISABLE ROW LEVEL SECURITY")
    op.drop_column("parked", "signature")
    op.drop_column("parked", "tenant")
