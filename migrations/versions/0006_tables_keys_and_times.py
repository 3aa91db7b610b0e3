"""The table each saga runs by, whose Idempotency-Key it has, and the time at which each move happened.

Only catalogue changes: every new column is NULL in the rows of older releases, and the readers know what that means.
Replicas of the release before go on beside it: their moves carry no age, and so bear the time of their commit.
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

MOMENT = sa.DateTime(timezone=True)
COUNTED = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
SAGA_COLUMNS = ("started_by", "sent_digest", "table_digest")

_COLUMNS = "step direction attempt actor reason status_code reply duration_ms event".split()


def _sqlite(*, aged: bool) -> list[str]:
    values = ", ".join(f"value ->> '{column}'" for column in _COLUMNS)
    age = "printf('-%.6f seconds', coalesce(value ->> 'age_us', 0) / 1000000.0)"
    # Six digits of fraction, as SQLAlchemy writes and reads them.
    happened = f"strftime('%Y-%m-%d %H:%M:%f', new.updated_at, {age}) || '000'" if aged else "new.updated_at"
    return [
        f"""
        CREATE TRIGGER saga_journal_{event} AFTER {when} ON saga BEGIN
            INSERT INTO journal (saga_id, seq, at, source, "trigger", dest, {", ".join(_COLUMNS)})
            SELECT new.id, value ->> 'seq', {at}, value ->> 'source', value ->> 'trigger', value ->> 'dest', {values}
            FROM json_each(new.moves);
            INSERT INTO outbox (saga_id, seq, at)
            SELECT new.id, value ->> 'seq', new.updated_at FROM json_each(new.moves)
            WHERE value ->> 'event' IS NOT NULL ORDER BY value ->> 'seq';
        END
        """
        for event, when, at in (
            ("insert", "INSERT", happened),
            ("update", "UPDATE OF moves", f"max(old.updated_at, {happened})" if aged else happened),
        )
    ]


def _postgresql(*, aged: bool) -> str:
    # old is NULL for an INSERT. No move is dated before the commit before it, whatever the clocks do.
    at = "greatest(old.updated_at, new.updated_at - coalesce(age_us, 0) * interval '1 microsecond')"
    return f"""
    CREATE OR REPLACE FUNCTION saga_journal() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO journal (saga_id, seq, at, source, trigger, dest, step, direction, attempt, actor, reason,
                             status_code, reply, duration_ms, event)
        SELECT new.id, seq, {at if aged else "new.updated_at"}, source, trigger, dest, step, direction, attempt, actor,
               reason, status_code, reply, duration_ms, event
        FROM jsonb_to_recordset(new.moves) AS move (
            seq int, source text, trigger text, dest text, step text, direction text, attempt int, actor text,
            reason text, status_code int, reply jsonb, duration_ms float, event text{", age_us bigint" if aged else ""});
        IF jsonb_path_exists(new.moves, '$[*].event ? (@ != null)') THEN
            INSERT INTO outbox (saga_id, seq, at)
            SELECT new.id, seq, new.updated_at FROM jsonb_to_recordset(new.moves) AS move (seq int, event text)
            WHERE event IS NOT NULL ORDER BY seq;
        END IF;
        RETURN NULL;
    END $$
    """


def upgrade() -> None:
    for column in SAGA_COLUMNS:
        op.add_column("saga", sa.Column(column, sa.String()))
    op.create_table(
        "saga_table",
        sa.Column("id", COUNTED, primary_key=True),
        sa.Column("definition", sa.String(), nullable=False),
        sa.Column("definition_version", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("content", sa.String(), nullable=False),
        sa.Column("recorded_at", MOMENT, nullable=False),
        sa.Column("recorded_by", sa.String(), nullable=False),
        sa.UniqueConstraint("definition", "definition_version", "digest", name="saga_table_digest"),
    )
    _journal_by(aged=True)
    if op.get_bind().dialect.name == "postgresql":
        # Left over where 0001 was run before its foreign key was taken out: it looks the saga up for each move.
        op.execute("ALTER TABLE journal DROP CONSTRAINT IF EXISTS journal_saga_id_fkey")


def downgrade() -> None:
    _journal_by(aged=False)
    op.drop_table("saga_table")
    for column in reversed(SAGA_COLUMNS):
        op.drop_column("saga", column)


def _journal_by(*, aged: bool) -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute(_postgresql(aged=aged))
        return
    for when in ("insert", "update"):
        op.execute(f"DROP TRIGGER saga_journal_{when}")
    for statement in _sqlite(aged=aged):
        op.execute(statement)
