"""Sagas and the journal of their moves, which the database itself writes from each saga's `moves`.

So a commit is one statement on both databases, and no path can move a saga past its journal (ADR 1).
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None

JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
MOMENT = sa.DateTime(timezone=True)

SQLITE = [
    f"""
    CREATE TRIGGER saga_journal_{event} AFTER {when} ON saga BEGIN
        INSERT INTO journal (saga_id, seq, at, source, "trigger", dest, step, direction, attempt, actor, reason,
                             status_code, reply, duration_ms)
        SELECT new.id, value ->> 'seq', new.updated_at, value ->> 'source', value ->> 'trigger', value ->> 'dest',
               value ->> 'step', value ->> 'direction', value ->> 'attempt', value ->> 'actor', value ->> 'reason',
               value ->> 'status_code', value ->> 'reply', value ->> 'duration_ms'
        FROM json_each(new.moves);
    END
    """
    for event, when in (("insert", "INSERT"), ("update", "UPDATE OF moves"))
]

POSTGRESQL = [
    """
    CREATE FUNCTION saga_journal() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO journal (saga_id, seq, at, source, trigger, dest, step, direction, attempt, actor, reason,
                             status_code, reply, duration_ms)
        SELECT new.id, seq, new.updated_at, source, trigger, dest, step, direction, attempt, actor, reason,
               status_code, reply, duration_ms
        FROM jsonb_to_recordset(new.moves) AS move (
            seq int, source text, trigger text, dest text, step text, direction text, attempt int, actor text,
            reason text, status_code int, reply jsonb, duration_ms float);
        RETURN NULL;
    END $$
    """,
    """
    CREATE TRIGGER saga_journal AFTER INSERT OR UPDATE OF moves ON saga
    FOR EACH ROW EXECUTE FUNCTION saga_journal()
    """,
]


def upgrade() -> None:
    op.create_table(
        "saga",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("definition", sa.String(), nullable=False),
        sa.Column("definition_version", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("data", JSON, nullable=False),
        sa.Column("client", sa.String()),
        sa.Column("store", sa.String()),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("deferrals", sa.Integer(), nullable=False),
        sa.Column("error", sa.String()),
        sa.Column("idempotency_key", sa.String()),
        sa.Column("fingerprint", sa.String()),
        sa.Column("owner", sa.String()),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("due_at", MOMENT),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.Column("moves", JSON, nullable=False),
    )
    keyed = sa.text("idempotency_key IS NOT NULL")
    op.create_index("saga_key", "saga", ["idempotency_key"], unique=True, sqlite_where=keyed, postgresql_where=keyed)
    for index, columns, condition in (
        ("saga_due", ["due_at"], sa.text("due_at IS NOT NULL")),
        ("saga_created", ["created_at", "id"], None),
        ("saga_client", ["client", "created_at"], None),
        ("saga_store", ["store", "created_at"], None),
        ("saga_unfinished", ["status", "created_at"], sa.text("status NOT IN ('completed', 'compensated')")),
    ):
        op.create_index(index, "saga", columns, sqlite_where=condition, postgresql_where=condition)
    op.create_table(
        "journal",
        sa.Column("saga_id", sa.Uuid(), primary_key=True),
        sa.Column("seq", sa.Integer(), primary_key=True),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("source", sa.String()),
        sa.Column("trigger", sa.String(), nullable=False),
        sa.Column("dest", sa.String(), nullable=False),
        sa.Column("step", sa.String()),
        sa.Column("direction", sa.String()),
        sa.Column("attempt", sa.Integer()),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("reason", sa.String()),
        sa.Column("status_code", sa.Integer()),
        sa.Column("reply", JSON),
        sa.Column("duration_ms", sa.Double()),
    )
    op.create_index("journal_at", "journal", ["at"], postgresql_using="brin")
    if op.get_bind().dialect.name == "postgresql":
        # Room for the next version of a row beside it, for a commit that changes no column of an index.
        op.execute("ALTER TABLE saga SET (fillfactor = 50)")
    for statement in SQLITE if op.get_bind().dialect.name == "sqlite" else POSTGRESQL:
        op.execute(statement)


def downgrade() -> None:
    op.drop_table("journal")
    op.drop_table("saga")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION saga_journal")
