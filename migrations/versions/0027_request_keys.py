"""The Idempotency-Keys of requests get a table of their own, so that a key can outlive its saga, and the other way round.

A trigger inserts the key together with its saga. So a start is still one statement, and a replica of the previous
release, which knows only `saga.idempotency_key`, inserts it, too: two starts with one key are refused whichever releases
they go to. A child has no request, so its key stays in `saga` alone; `saga_children` keeps children apart.

PostgreSQL: the transaction makes the table and the triggers. From then on each new key is in both places. Then the
keys of before are copied, in batches, while the replicas go on writing. A batch locks its sagas against a deletion, so
that no key is copied whose saga is gone. Until the last batch the unique index of `saga` refuses what is not copied yet.
Then an index that is not unique replaces it: the previous release, and the search, still look keys up in `saga`.
Each part can be repeated.
"""

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"

MOMENT = sa.DateTime(timezone=True)
KEYED = sa.text("idempotency_key IS NOT NULL")
COLUMNS = "key, saga_id, definition, started_by, tenant, at"
#: True while the statement acts for all tenants, see migration 0024.
FOR_ALL = "coalesce(current_setting('saga.tenant', true), '') = ''"
OF_TENANT = "tenant = current_setting('saga.tenant', true)"
#: Number of keys in one transaction of the copy.
BATCH = 2_000
_VALUES = "new.idempotency_key, new.id, new.definition, new.started_by, new.tenant, new.created_at"
_OF_SAGA = "idempotency_key, id, definition, started_by, tenant, created_at"
_FREED = "DELETE FROM request_key WHERE key = old.idempotency_key AND saga_id = old.id AND NOT outlives_saga"

SQLITE = [
    f"""
    CREATE TRIGGER saga_request_key BEFORE INSERT ON saga
    WHEN new.idempotency_key IS NOT NULL AND new.parent_id IS NULL BEGIN
        INSERT INTO request_key ({COLUMNS}) VALUES ({_VALUES});
    END
    """,
    f"""
    CREATE TRIGGER saga_key_freed AFTER DELETE ON saga WHEN old.idempotency_key IS NOT NULL BEGIN
        {_FREED};
    END
    """,
    f"INSERT INTO request_key ({COLUMNS}) SELECT {_OF_SAGA} FROM saga WHERE {KEYED} AND parent_id IS NULL",
    "DROP INDEX saga_key",
    f"CREATE INDEX saga_idempotency ON saga (idempotency_key) WHERE {KEYED}",
]
# The trigger has no WHEN: PostgreSQL parses it for each statement, and the IF once. It comes BEFORE, so that a refused
# start writes neither a saga nor a journal.
POSTGRESQL = [
    f"""
    CREATE OR REPLACE FUNCTION saga_request_key() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF new.idempotency_key IS NOT NULL AND new.parent_id IS NULL THEN
            INSERT INTO request_key ({COLUMNS}) VALUES ({_VALUES});
        END IF;
        RETURN new;
    END $$
    """,
    "DROP TRIGGER IF EXISTS saga_request_key ON saga",
    "CREATE TRIGGER saga_request_key BEFORE INSERT ON saga FOR EACH ROW EXECUTE FUNCTION saga_request_key()",
    f"""
    CREATE OR REPLACE FUNCTION saga_pruned() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        DELETE FROM journal WHERE saga_id = old.id;
        IF old.idempotency_key IS NOT NULL THEN
            {_FREED};
        END IF;
        RETURN old;
    END $$
    """,
    "ALTER TABLE request_key ENABLE ROW LEVEL SECURITY",
    "DROP POLICY IF EXISTS request_key_of_tenant ON request_key",
    f"CREATE POLICY request_key_of_tenant ON request_key USING ({FOR_ALL} OR {OF_TENANT})",
]
#: Copies the next keys, and returns the last one of them.
COPY = f"""
    WITH batch AS MATERIALIZED (
        SELECT {_OF_SAGA}, parent_id FROM saga WHERE {{after}} ORDER BY idempotency_key LIMIT {BATCH} FOR KEY SHARE
    ), copied AS (
        INSERT INTO request_key ({COLUMNS}) SELECT {_OF_SAGA} FROM batch WHERE parent_id IS NULL
        ON CONFLICT (key) DO NOTHING
    )
    SELECT max(idempotency_key) FROM batch
"""
#: The function of migration 0003.
PRUNED_BEFORE = """
    CREATE OR REPLACE FUNCTION saga_pruned() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        DELETE FROM journal WHERE saga_id = old.id;
        RETURN old;
    END $$
"""


def upgrade() -> None:
    on_sqlite = op.get_bind().dialect.name == "sqlite"
    op.create_table(
        "request_key",
        sa.Column("key", sa.String(), primary_key=True),
        sa.Column("saga_id", sa.Uuid(), nullable=False),
        sa.Column("definition", sa.String(), nullable=False),
        sa.Column("started_by", sa.String()),
        sa.Column("tenant", sa.String()),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("outlives_saga", sa.Boolean(), nullable=False, server_default=sa.false()),
        if_not_exists=True,
    )
    op.create_index("request_key_at", "request_key", ["at"], if_not_exists=True)
    for statement in SQLITE if on_sqlite else POSTGRESQL:
        op.execute(statement)
    if not on_sqlite:
        with op.get_context().autocommit_block():
            _copy()
            _replace_index()


def _copy() -> None:
    """Copy the keys in their order, which no commit changes: so a saga that moves meanwhile is not missed."""
    connection = op.get_bind()
    last = connection.execute(sa.text(COPY.format(after=KEYED))).scalar()
    while last is not None:
        last = connection.execute(sa.text(COPY.format(after="idempotency_key > :last")), {"last": last}).scalar()


def _replace_index() -> None:
    if op.get_bind().execute(sa.text("SELECT to_regclass('saga_key')")).scalar() is None:
        return  # an earlier run has replaced it
    op.execute("DROP INDEX IF EXISTS saga_idempotency")
    op.execute(f"CREATE INDEX CONCURRENTLY saga_idempotency ON saga (idempotency_key) WHERE {KEYED}")
    op.execute("DROP INDEX CONCURRENTLY saga_key")


def downgrade() -> None:
    # Two sagas can have one key when the retention has freed it. The previous release finds the second one.
    freed = "NOT EXISTS (SELECT 1 FROM request_key WHERE request_key.saga_id = saga.id)"
    op.execute(f"UPDATE saga SET idempotency_key = NULL WHERE {KEYED} AND parent_id IS NULL AND {freed}")
    op.drop_index("saga_idempotency", "saga")
    op.create_index("saga_key", "saga", ["idempotency_key"], unique=True, sqlite_where=KEYED, postgresql_where=KEYED)
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP TRIGGER saga_request_key ON saga")
        op.execute("DROP FUNCTION saga_request_key")
        op.execute(PRUNED_BEFORE)
    else:
        op.execute("DROP TRIGGER saga_request_key")
        op.execute("DROP TRIGGER saga_key_freed")
    op.drop_table("request_key")
