"""Events: the journal names them, the outbox holds those still to be published, written by the journal's own trigger.

So an event is as durable as the move it tells of, and costs no statement of its own. And a saga that is deleted takes
its journal with it, in one statement as well.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

MOMENT = sa.DateTime(timezone=True)
COUNTED = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

_COLUMNS = "step direction attempt actor reason status_code reply duration_ms".split()


def _sqlite(columns: list[str], outbox: str) -> list[str]:
    values = ", ".join(f"value ->> '{column}'" for column in columns)
    return [
        f"""
        CREATE TRIGGER saga_journal_{event} AFTER {when} ON saga BEGIN
            INSERT INTO journal (saga_id, seq, at, source, "trigger", dest, {", ".join(columns)})
            SELECT new.id, value ->> 'seq', new.updated_at, value ->> 'source', value ->> 'trigger', value ->> 'dest',
                   {values}
            FROM json_each(new.moves);
            {outbox}
        END
        """
        for event, when in (("insert", "INSERT"), ("update", "UPDATE OF moves"))
    ]


_SQLITE_OUTBOX = """
            INSERT INTO outbox (saga_id, seq, at)
            SELECT new.id, value ->> 'seq', new.updated_at FROM json_each(new.moves)
            WHERE value ->> 'event' IS NOT NULL ORDER BY value ->> 'seq';
"""


def _postgresql(event: bool) -> str:
    column, of_type = (", event", ", event text") if event else ("", "")
    outbox = """
        IF jsonb_path_exists(new.moves, '$[*].event ? (@ != null)') THEN
            INSERT INTO outbox (saga_id, seq, at)
            SELECT new.id, seq, new.updated_at FROM jsonb_to_recordset(new.moves) AS move (seq int, event text)
            WHERE event IS NOT NULL ORDER BY seq;
        END IF;
    """
    return f"""
    CREATE OR REPLACE FUNCTION saga_journal() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO journal (saga_id, seq, at, source, trigger, dest, step, direction, attempt, actor, reason,
                             status_code, reply, duration_ms{column})
        SELECT new.id, seq, new.updated_at, source, trigger, dest, step, direction, attempt, actor, reason,
               status_code, reply, duration_ms{column}
        FROM jsonb_to_recordset(new.moves) AS move (
            seq int, source text, trigger text, dest text, step text, direction text, attempt int, actor text,
            reason text, status_code int, reply jsonb, duration_ms float{of_type});
        {outbox if event else ""}
        RETURN NULL;
    END $$
    """


_SQLITE_PRUNED = [
    """
    CREATE TRIGGER saga_pruned BEFORE DELETE ON saga BEGIN
        DELETE FROM journal WHERE saga_id = old.id;
    END
    """
]
_POSTGRESQL_PRUNED = [
    """
    CREATE FUNCTION saga_pruned() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        DELETE FROM journal WHERE saga_id = old.id;
        RETURN old;
    END $$
    """,
    "CREATE TRIGGER saga_pruned BEFORE DELETE ON saga FOR EACH ROW EXECUTE FUNCTION saga_pruned()",
]


def upgrade() -> None:
    op.add_column("journal", sa.Column("event", sa.String()))
    op.create_table(
        "outbox",
        sa.Column("id", COUNTED, primary_key=True),
        sa.Column("saga_id", sa.Uuid(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["saga_id", "seq"], ["journal.saga_id", "journal.seq"]),
    )
    relay = op.create_table(
        "relay",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("owner", sa.String()),
        sa.Column("until", MOMENT, nullable=False),
    )
    op.execute(relay.insert().values(id=1, until=sa.func.current_timestamp()))
    op.create_table(
        "parked",
        sa.Column("id", COUNTED, primary_key=True),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("body", sa.String(), nullable=False),
    )
    _journal_by([*_COLUMNS, "event"], _SQLITE_OUTBOX, event=True)
    for statement in _SQLITE_PRUNED if op.get_bind().dialect.name == "sqlite" else _POSTGRESQL_PRUNED:
        op.execute(statement)


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP TRIGGER saga_pruned ON saga")
        op.execute("DROP FUNCTION saga_pruned")
    else:
        op.execute("DROP TRIGGER saga_pruned")
    _journal_by(_COLUMNS, "", event=False)
    for table in ("parked", "relay", "outbox"):
        op.drop_table(table)
    op.drop_column("journal", "event")


def _journal_by(columns: list[str], outbox: str, *, event: bool) -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute(_postgresql(event))
        return
    for when in ("insert", "update"):
        op.execute(f"DROP TRIGGER saga_journal_{when}")
    for statement in _sqlite(columns, outbox):
        op.execute(statement)
