"""A table for the views of lists that people save, with the policy that keeps a tenant's rows apart.

Replicas of the previous release keep working: they know no view.
"""

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"


def upgrade() -> None:
    op.create_table(
        "saved_view",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("page", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("query", sa.String(), nullable=False),
        sa.Column("shared", sa.Boolean(), nullable=False),
        sa.Column("tenant", sa.String(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.UniqueConstraint("owner", "page", "name", name="saved_view_name"),
    )
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE saved_view ENABLE ROW LEVEL SECURITY")
        op.execute(
            "CREATE POLICY saved_view_of_tenant ON saved_view USING "
            "(coalesce(current_setting('saga.tenant', true), '') = '' OR tenant = current_setting('saga.tenant', true))"
        )


def downgrade() -> None:
    op.drop_table("saved_view")
