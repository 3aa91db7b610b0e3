"""SQLite's journal trigger does only the work that the moves of a commit need.

Most moves are committed when they happen: their time is the commit's, and nothing is calculated. Most commits publish
no event: their moves are not read again for the outbox. PostgreSQL's trigger of 0006 needs no change.
"""

from alembic import op

revision = "0007"
down_revision = "0006"

_COLUMNS = "step direction attempt actor reason status_code reply duration_ms event".split()
_AGED = "strftime('%Y-%m-%d %H:%M:%f', new.updated_at, printf('-%.6f seconds', {age} / 1000000.0)) || '000'"
_WITH_EVENTS = """CASE WHEN instr(new.moves, '"event"') THEN new.moves ELSE '[]' END"""


def upgrade() -> None:
    moment = _AGED.format(age="(value ->> 'age_us')")
    unless_old = "CASE WHEN value ->> 'age_us' IS NULL THEN new.updated_at ELSE {} END"
    _replace("insert", "INSERT", unless_old.format(moment), _WITH_EVENTS)
    # No move is dated before the commit before it, whatever the clocks do.
    _replace("update", "UPDATE OF moves", unless_old.format(f"max(old.updated_at, {moment})"), _WITH_EVENTS)


def downgrade() -> None:
    moment = _AGED.format(age="coalesce(value ->> 'age_us', 0)")
    _replace("insert", "INSERT", moment, "new.moves")
    _replace("update", "UPDATE OF moves", f"max(old.updated_at, {moment})", "new.moves")


def _replace(event: str, when: str, at: str, published: str) -> None:
    if op.get_bind().dialect.name != "sqlite":
        return
    values = ", ".join(f"value ->> '{column}'" for column in _COLUMNS)
    op.execute(f"DROP TRIGGER saga_journal_{event}")
    op.execute(
        f"""
        CREATE TRIGGER saga_journal_{event} AFTER {when} ON saga BEGIN
            INSERT INTO journal (saga_id, seq, at, source, "trigger", dest, {", ".join(_COLUMNS)})
            SELECT new.id, value ->> 'seq', {at}, value ->> 'source', value ->> 'trigger', value ->> 'dest', {values}
            FROM json_each(new.moves);
            INSERT INTO outbox (saga_id, seq, at)
            SELECT new.id, value ->> 'seq', new.updated_at FROM json_each({published})
            WHERE value ->> 'event' IS NOT NULL ORDER BY value ->> 'seq';
        END
        """
    )
