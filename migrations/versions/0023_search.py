"""Indexes for the search: the beginning of clients, references and tags in small letters, and the failed sagas.

On PostgreSQL each index is built outside the migration's transaction, while the replicas go on writing. A build that
was broken off leaves an invalid index, so each one is dropped first: the migration can be repeated.
"""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"

#: Name → table, indexed expression or columns on PostgreSQL and on SQLite, condition.
INDEXES = {
    "saga_client_folded": ("saga", '(lower(client) COLLATE "C")', "lower(client)", "client IS NOT NULL"),
    "saga_order_folded": ("saga", '(lower(order_ref) COLLATE "C")', "lower(order_ref)", "order_ref IS NOT NULL"),
    "saga_tag_folded": ("saga_tag", '(lower(value) COLLATE "C")', "lower(value)", "value IS NOT NULL"),
    "saga_failed": ("saga", "created_at, id", "created_at, id", "error IS NOT NULL"),
}


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        for name, (table, _, columns, condition) in INDEXES.items():
            op.execute(f"CREATE INDEX {name} ON {table} ({columns}) WHERE {condition}")
        return
    with op.get_context().autocommit_block():
        for name, (table, columns, _, condition) in INDEXES.items():
            op.execute(f"DROP INDEX IF EXISTS {name}")
            op.execute(f"CREATE INDEX CONCURRENTLY {name} ON {table} ({columns}) WHERE {condition}")


def downgrade() -> None:
    for name in INDEXES:
        op.execute(f"DROP INDEX {name}")
