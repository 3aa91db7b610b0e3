"""A table for the signals that arrive for waiting sagas.

Only catalogue changes. Replicas of the previous release keep working: their saga tables have no waits, and their rows
get the default of the new column.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0008"
down_revision = "0007"

JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
MOMENT = sa.DateTime(timezone=True)
#: SQLite does not enforce foreign keys here, so a trigger deletes the signals of a deleted saga.
SQLITE = """
    CREATE TRIGGER saga_arrivals AFTER DELETE ON saga BEGIN
        DELETE FROM arrival WHERE saga_id = old.id;
    END
"""


def upgrade() -> None:
    op.add_column("saga", sa.Column("arrived", sa.Integer(), nullable=False, server_default="0"))
    op.create_table(
        "arrival",
        sa.Column("saga_id", sa.Uuid(), sa.ForeignKey("saga.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("name", sa.String(), primary_key=True),
        sa.Column("body", JSON, nullable=False),
        sa.Column("sender", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=True),
        sa.Column("at", MOMENT, nullable=False),
    )
    if op.get_bind().dialect.name == "sqlite":
        op.execute(SQLITE)


def downgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.execute("DROP TRIGGER saga_arrivals")
    op.drop_table("arrival")
    op.drop_column("saga", "arrived")
