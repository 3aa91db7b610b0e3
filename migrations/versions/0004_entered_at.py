"""Since when a saga is in its state, by what people know it, and the indexes by which they find what they look for."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

FINISHED = sa.text("status IN ('completed', 'compensated')")
ORDERED = sa.text("order_ref IS NOT NULL")


def upgrade() -> None:
    moment = sa.DateTime(timezone=True)
    # A constant, with which neither database writes the table anew, and which no row keeps.
    op.add_column("saga", sa.Column("entered_at", moment, nullable=False, server_default=sa.text("'1970-01-01'")))
    op.execute("UPDATE saga SET entered_at = updated_at")
    op.execute(
        """
        UPDATE saga SET entered_at = coalesce(
            (SELECT max(at) FROM journal WHERE saga_id = saga.id AND (source IS NULL OR source <> dest)), updated_at)
        WHERE status NOT IN ('completed', 'compensated')
        """
    )
    # Only of those that move from now on: what an older one was known by stands in its journal alone.
    op.add_column("saga", sa.Column("order_ref", sa.String()))
    _index("saga_order", ["order_ref"], ORDERED)
    _index("saga_finished", ["definition", "status", "created_at", "id"], FINISHED)


def downgrade() -> None:
    op.drop_index("saga_finished", "saga")
    op.drop_index("saga_order", "saga")
    for column in ("order_ref", "entered_at"):
        op.drop_column("saga", column)


def _index(name: str, columns: list[str], condition: sa.TextClause) -> None:
    op.create_index(name, "saga", columns, sqlite_where=condition, postgresql_where=condition)
