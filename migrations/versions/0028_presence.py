"""A table for the people who have the page of a saga open, with the policy that keeps a tenant's rows apart.

Replicas of the previous release keep working: they neither read nor write it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"


def upgrade() -> None:
    op.create_table(
        "presence",
        sa.Column("saga_id", sa.Uuid(), primary_key=True),
        sa.Column("actor", sa.String(), primary_key=True),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
    )
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE presence ENABLE ROW LEVEL SECURITY")
        op.execute(
            "CREATE POLICY presence_of_tenant ON presence USING (coalesce(current_setting('saga.tenant', true), '') = '' "
            "OR EXISTS (SELECT 1 FROM saga AS owning WHERE owning.id = presence.saga_id "
            "AND owning.tenant = current_setting('saga.tenant', true)))"
        )


def downgrade() -> None:
    op.drop_table("presence")
