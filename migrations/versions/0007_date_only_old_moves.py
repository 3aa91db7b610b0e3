"""SQLite calculates the time of a move only when the move happened before its commit.

Most moves are committed when they happen: then the commit's time is the move's, and two calls of strftime and printf
are spared. PostgreSQL's trigger of 0006 takes a missing age for 0 and needs no change.
"""

from alembic import op

revision = "0007"
down_revision = "0006"

_COLUMNS = "step direction attempt actor reason status_code reply duration_ms event".split()
_AGE = "printf('-%.6f seconds', {age} / 1000000.0)"
# Six digits of fraction, as SQLAlchemy writes and reads them.
_MOMENT = "strftime('%Y-%m-%d %H:%M:%f', new.updated_at, {age}) || '000'"
_ALWAYS = _MOMENT.format(age=_AGE.format(age="coalesce(value ->> 'age_us', 0)"))
_WHERE_OLD = f"""
    CASE WHEN value ->> 'age_us' IS NULL THEN new.updated_at
    ELSE {_MOMENT.format(age=_AGE.format(age="(value ->> 'age_us')"))} END
"""


def upgrade() -> None:
    _date_moves(_WHERE_OLD)


def downgrade() -> None:
    _date_moves(_ALWAYS)


def _date_moves(moment: str) -> None:
    if op.get_bind().dialect.name != "sqlite":
        return
    values = ", ".join(f"value ->> '{column}'" for column in _COLUMNS)
    for event, when, at in (("insert", "INSERT", moment), ("update", "UPDATE OF moves", f"max(old.updated_at, {moment})")):
        op.execute(f"DROP TRIGGER saga_journal_{event}")
        op.execute(
            f"""
            CREATE TRIGGER saga_journal_{event} AFTER {when} ON saga BEGIN
                INSERT INTO journal (saga_id, seq, at, source, "trigger", dest, {", ".join(_COLUMNS)})
                SELECT new.id, value ->> 'seq', {at}, value ->> 'source', value ->> 'trigger', value ->> 'dest',
                       {values}
                FROM json_each(new.moves);
                INSERT INTO outbox (saga_id, seq, at)
                SELECT new.id, value ->> 'seq', new.updated_at FROM json_each(new.moves)
                WHERE value ->> 'event' IS NOT NULL ORDER BY value ->> 'seq';
            END
            """
        )
