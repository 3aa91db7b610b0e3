"""Tables for bulk jobs: one action on many sagas, which the service carries out.

Only catalogue changes. Replicas of the previous release keep working: they work on no job.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0014"
down_revision = "0013"

JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
MOMENT = sa.DateTime(timezone=True)
DUE = sa.text("due_at IS NOT NULL")
OPEN = sa.text("settled IS NULL")


def upgrade() -> None:
    op.create_table(
        "bulk_job",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("wanted", JSON, nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("sagas", sa.Integer(), nullable=False),
        sa.Column("pace", sa.Double(), nullable=False),
        sa.Column("owner", sa.String(), nullable=True),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("due_at", MOMENT, nullable=True),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("finished_at", MOMENT, nullable=True),
    )
    op.create_index("bulk_job_due", "bulk_job", ["due_at"], sqlite_where=DUE, postgresql_where=DUE)
    op.create_table(
        "bulk_item",
        sa.Column("job_id", sa.Uuid(), primary_key=True),
        sa.Column("position", sa.Integer(), primary_key=True),
        sa.Column("saga_id", sa.Uuid(), nullable=False),
        sa.Column("seen", sa.String(), nullable=False),
        sa.Column("result", sa.String(), nullable=True),
        sa.Column("detail", sa.String(), nullable=True),
        sa.Column("settled", sa.String(), nullable=True),
    )
    op.create_index(
        "bulk_item_open", "bulk_item", ["job_id", "position"], sqlite_where=OPEN, postgresql_where=OPEN
    )


def downgrade() -> None:
    op.drop_table("bulk_item")
    op.drop_table("bulk_job")
