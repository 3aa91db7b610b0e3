"""A column for the tenant of a schedule, and the policy that keeps a tenant's schedules apart.

Catalogue changes. Replicas of the previous release keep working, but start the sagas of a tenant's schedule without the
tenant. So make the first schedule of a tenant when all are upgraded.
"""

import sqlalchemy as sa
from alembic import op

revision = "0032"
down_revision = "0031"


def upgrade() -> None:
    op.add_column("schedule", sa.Column("tenant", sa.String(), nullable=True))
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE schedule ENABLE ROW LEVEL SECURITY")
        op.execute(
            "CREATE POLICY schedule_of_tenant ON schedule USING "
            "(coalesce(current_setting('saga.tenant', true), '') = '' OR tenant = current_setting('saga.tenant', true))"
        )


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP POLICY schedule_of_tenant ON schedule")
        op.execute("ALTER TABLE schedule DISABLE ROW LEVEL SECURITY")
    op.drop_column("schedule", "tenant")
