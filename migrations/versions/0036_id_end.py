"""An index of the last digits of a saga's id, by which people find it: the first digits of new ids are alike.

On PostgreSQL the index is built outside the migration's transaction, while the replicas go on writing. A build that was
broken off leaves an invalid index, so it is dropped first: the migration can be repeated.
"""

from alembic import op

revision = "0036"
down_revision = "0035"


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.execute("CREATE INDEX saga_id_end ON saga (substr(id, -8))")
        return
    with op.get_context().autocommit_block():
        op.execute("DROP INDEX IF EXISTS saga_id_end")
        op.execute('CREATE INDEX CONCURRENTLY saga_id_end ON saga ((right(id::text, 8) COLLATE "C"))')


def downgrade() -> None:
    op.execute("DROP INDEX saga_id_end")
