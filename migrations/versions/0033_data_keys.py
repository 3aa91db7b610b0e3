"""A key for each client, with which secret and personal values are encrypted, and which sagas were erased.

Only catalogue changes: the new columns are NULL in the rows of older releases, whose values are in clear. Replicas of the
previous release keep working as long as DATA_KEY is not set: they cannot open what is encrypted.
"""

import sqlalchemy as sa
from alembic import op

revision = "0033"
down_revision = "0032"

MOMENT = sa.DateTime(timezone=True)
VALID = sa.text("erased_at IS NULL")
SEALED = sa.text("data_key IS NOT NULL")


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        _add_key()
        op.add_column("saga", sa.Column("data_key", sa.String()))
        op.add_column("saga", sa.Column("erased_at", MOMENT))
        op.create_index("saga_data_key", "saga", ["data_key"], sqlite_where=SEALED)
        return
    if not sa.inspect(op.get_bind()).has_table("data_key"):
        _add_key()
    op.execute("ALTER TABLE saga ADD COLUMN IF NOT EXISTS data_key varchar")
    op.execute("ALTER TABLE saga ADD COLUMN IF NOT EXISTS erased_at timestamptz")
    # Outside the migration's transaction, while the replicas go on writing; so the migration can be repeated.
    with op.get_context().autocommit_block():
        op.execute("DROP INDEX IF EXISTS saga_data_key")
        op.execute(f"CREATE INDEX CONCURRENTLY saga_data_key ON saga (data_key) WHERE {SEALED}")


def _add_key() -> None:
    op.create_table(
        "data_key",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("client", sa.String(), nullable=False),
        sa.Column("wrapped", sa.String()),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("erased_at", MOMENT),
    )
    op.create_index(
        "data_key_client", "data_key", ["tenant", "client"], unique=True, sqlite_where=VALID, postgresql_where=VALID
    )


def downgrade() -> None:
    op.drop_index("saga_data_key", "saga")
    op.drop_column("saga", "erased_at")
    op.drop_column("saga", "data_key")
    op.drop_table("data_key")
