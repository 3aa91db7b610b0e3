"""The audit trail: a row and the change that it records are one commit, and an altered row is found."""

import threading

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.exc import DBAPIError

from app.store import audit, sagas
from app.store.access_models import AuditRow
from app.store.audit import GENESIS, Entry, append, page, record, seal, use_key, verify
from app.store.audit_anchors import EVERY_S, Anchors, problem_of_anchors, write_anchor
from app.store.dead_letters import LARGEST_BODY
from app.store.sagas import FencedError
from app.store.transactions import atomic
from machines.transitions import Trigger

SLIPPED_IN = """
    INSERT INTO audit SELECT 6, at, 'cli:eve', action, saga_id, target, reason, before, after, hash, hash
    FROM audit WHERE seq = 5
"""


@pytest.fixture
def trail(stored):
    """Write five rows of the audit trail."""
    for number in range(5):
        record(stored.engine, Entry(actor="cli:ada", action="key.add", target=f"k{number}", after={"scopes": ["read"]}))
    return stored


def unguarded(stored, sql):
    """Run SQL as a database administrator who has removed the triggers that protect the trail."""
    with stored.engine.connect() as connection:
        if stored.engine.dialect.name == "sqlite":
            for trigger in ("update", "delete", "replace"):
                connection.execute(text(f"DROP TRIGGER IF EXISTS audit_no_{trigger}"))
        else:
            connection.execute(text("ALTER TABLE audit DISABLE TRIGGER USER"))
        connection.execute(text(sql))


def saga_row(stored):
    return stored.rows("SELECT state, status, version FROM saga")[0]


def test_untouched_trail_is_valid(trail):
    found = verify(trail.engine)
    assert (found.rows, found.seq, found.broken) == (5, 5, None)
    rows = page(trail.engine, limit=10)
    assert [row.seq for row in rows] == [5, 4, 3, 2, 1]
    assert rows[-1].previous == GENESIS
    assert found.hash == rows[0].hash
    assert [row.seq for row in page(trail.engine, limit=2, before=4)] == [3, 2]
    assert verify(trail.engine, newest=2).rows == 2


def test_empty_trail_is_valid(stored):
    assert verify(stored.engine).broken is None


@pytest.mark.parametrize("column", ["at", "actor", "action", "saga_id", "target", "reason", "before", "after"])
def test_changed_row_is_found(trail, column):
    value = {
        "at": "'2020-01-01 00:00:00.000000'",
        "saga_id": "'00000000000000000000000000000001'",
        "before": "'{}'",
        "after": """'{"scopes": ["operate"]}'""",
    }.get(column, "'x'")
    unguarded(trail, f"UPDATE audit SET {column} = {value} WHERE seq = 3")
    found = verify(trail.engine)
    assert (found.broken, found.why) == (3, "its content is not what its hash was made of")


@pytest.mark.parametrize(
    ("sql", "broken"),
    [
        ("DELETE FROM audit WHERE seq = 3", 3),
        ("DELETE FROM audit WHERE seq = 1", 1),
        ("DELETE FROM audit WHERE seq = 5", 5),
        ("DELETE FROM audit WHERE seq > 3", 4),
        ("DELETE FROM audit", 1),
        ("UPDATE audit SET previous = hash WHERE seq = 4", 4),
        ("UPDATE audit_head SET seq = 4", 4),
        ("UPDATE audit_head SET seq = 4, hash = (SELECT hash FROM audit WHERE seq = 4)", 5),
        (SLIPPED_IN, 6),
    ],
)  # fmt: skip
def test_deleted_or_inserted_row_is_found(trail, sql, broken):
    unguarded(trail, sql)
    assert verify(trail.engine).broken == broken


def rehashed(stored, seq, **changes):
    """Alter a row and its hash. A database administrator who knows how the hash is computed could do this."""
    with stored.engine.connect() as connection:
        (kept,) = connection.execute(select(AuditRow.__table__).where(AuditRow.seq == seq)).mappings()
        row = {**kept, **changes}
        row["hash"] = seal(row)
        connection.execute(update(AuditRow.__table__).where(AuditRow.seq == seq).values(**row))


def test_rehashed_row_is_found_at_the_next_row(trail):
    unguarded(trail, "SELECT 1")
    rehashed(trail, 2, actor="cli:mallory")
    found = verify(trail.engine)
    assert (found.broken, found.why) == (3, "it does not name the hash of the row before")
    assert verify(trail.engine, newest=2).broken is None, "the newest are as they were written"


def test_gap_is_found_although_the_next_row_was_rehashed(trail):
    unguarded(trail, "DELETE FROM audit WHERE seq = 4")
    rehashed(trail, 5, previous=page(trail.engine, limit=1, before=4)[0].hash)
    found = verify(trail.engine)
    assert (found.broken, found.why) == (4, "it is missing")


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE audit SET actor = 'x' WHERE seq = 1",
        "DELETE FROM audit",
        "INSERT OR REPLACE INTO audit SELECT * FROM audit WHERE seq = 1",
        "TRUNCATE audit",
    ],
)
def test_the_database_refuses_to_change_the_trail(trail, sql):
    with pytest.raises(DBAPIError) as refused, trail.engine.connect() as connection:
        connection.execute(text(sql))
    its_own = ("REPLACE" in sql) == (trail.engine.dialect.name == "sqlite")
    assert "append-only" in str(refused.value) or not its_own
    assert verify(trail.engine).broken is None


def test_simultaneous_writers_make_one_chain(stored):
    def write(name):
        for _ in range(10):
            record(stored.engine, Entry(actor=name, action="sign_in"))

    writers = [threading.Thread(target=write, args=(f"user:{number}",)) for number in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    found = verify(stored.engine)
    assert (found.rows, found.broken) == (40, None)


@pytest.fixture
def cancelled(stored, saga):
    """Return a stored saga with a cancel by a person that is not committed yet."""
    stored.store().insert(saga, 30, owner="one")
    saga.prepare_audit(Trigger.CANCEL, "user:ada", "the customer called")
    saga.fire(Trigger.CANCEL, actor="user:ada", reason="the customer called")
    saga.fire(Trigger.COMPENSATE, actor="engine")
    return saga


def test_move_and_its_audit_row_are_one_commit(stored, cancelled):
    stored.store().save(cancelled, None, owner=None)
    (row,) = page(stored.engine, limit=9)
    assert (row.actor, row.action, row.saga_id, row.reason) == (
        "user:ada", "saga.cancel", cancelled.id, "the customer called",
    )  # fmt: skip
    assert row.before == {"state": "INITIEE", "status": "running", "version": 1}
    assert row.after == dict(saga_row(stored)) == {"state": cancelled.state, "status": cancelled.status, "version": 2}
    assert [row["actor"] for row in stored.rows("SELECT actor FROM journal ORDER BY seq")][1:] == ["user:ada", "engine"]
    assert cancelled.audit_entry is None


def test_automatic_move_leaves_no_audit_row_and_takes_one_statement(stored, saga):
    stored.store().insert(saga, 30, owner="one")
    stored.statements.clear()
    stored.store().save(saga, 30, owner="one")
    assert [statement.split()[0] for statement in stored.statements] == ["UPDATE"]
    assert page(stored.engine, limit=9) == []


def test_fenced_move_leaves_no_audit_row(stored, cancelled):
    stored.rows("UPDATE saga SET epoch = epoch + 1")
    before = saga_row(stored)
    with pytest.raises(FencedError):
        stored.store().save(cancelled, None, owner=None)
    assert page(stored.engine, limit=9) == []
    assert saga_row(stored) == before
    assert verify(stored.engine).broken is None


def test_move_is_not_committed_without_its_audit_row(stored, cancelled, monkeypatch):
    before = saga_row(stored)

    def fails(_connection, _entry):
        raise RuntimeError

    monkeypatch.setattr(sagas, "append", fails)
    with pytest.raises(RuntimeError):
        stored.store().save(cancelled, None, owner=None)
    assert saga_row(stored) == before
    assert len(stored.rows("SELECT * FROM journal")) == 1


def test_audit_row_is_not_committed_without_its_move(stored, cancelled, monkeypatch):
    """An error between the audit row and the commit has the same effect as the death of the process at that moment."""

    def appends_and_dies(connection, entry):
        append(connection, entry)
        raise KeyboardInterrupt

    before = saga_row(stored)
    monkeypatch.setattr(sagas, "append", appends_and_dies)
    with pytest.raises(KeyboardInterrupt):
        stored.store().save(cancelled, None, owner=None)
    assert page(stored.engine, limit=9) == []
    assert saga_row(stored) == before


def test_failed_transaction_leaves_the_connection_usable(stored):
    def fails():
        with atomic(stored.engine) as connection:
            append(connection, Entry(actor="a", action="b"))
            connection.execute(text("SELECT * FROM nowhere"))

    with pytest.raises(DBAPIError):
        fails()
    record(stored.engine, Entry(actor="a", action="c"))
    assert [row.action for row in page(stored.engine, limit=9)] == ["c"]


def test_lost_connection_reports_its_error_and_is_not_used_again(stored):
    def loses():
        with atomic(stored.engine) as connection:
            append(connection, Entry(actor="a", action="b"))
            connection.connection.invalidate()
            raise FencedError

    with pytest.raises(FencedError):
        loses()
    record(stored.engine, Entry(actor="a", action="c"))
    assert [row.action for row in page(stored.engine, limit=9)] == ["c"]


KEY = "a key that the database does not have"
AGAIN = Entry(actor="cli:ada", action="key.add", target="k9")


@pytest.fixture
def keyed(trail):
    """Write three rows that are sealed with AUDIT_KEY, behind five that are not."""
    use_key(trail.engine, KEY)
    for number in range(3):
        record(trail.engine, Entry(actor="cli:ada", action="key.revoke", target=f"k{number}"))
    return trail


def sealed_again(stored, first):
    """Change the actor of a row, and seal this row and all that follow without AUDIT_KEY."""
    with stored.engine.connect() as connection:
        rows = connection.execute(select(AuditRow.__table__).order_by(AuditRow.seq)).mappings().all()
    previous = rows[first - 2]["hash"] if first > 1 else GENESIS
    unguarded(stored, "SELECT 1")
    for row in rows[first - 1 :]:
        content = dict(row) | {"previous": previous} | ({"actor": "cli:eve"} if row["seq"] == first else {})
        previous = seal(content)
        changed = update(AuditRow.__table__).where(AuditRow.seq == row["seq"])
        with stored.engine.connect() as connection:
            connection.execute(changed.values(actor=content["actor"], previous=content["previous"], hash=previous))
    unguarded(stored, f"UPDATE audit_head SET hash = '{previous}'")


def test_trail_may_begin_without_a_key(keyed):
    found = verify(keyed.engine)
    assert (found.rows, found.broken, found.keyed) == (8, None, 6)


@pytest.mark.parametrize(("first", "broken"), [(7, 7), (6, 8), (3, 8), (1, 8)])
def test_row_that_is_sealed_again_without_the_key_is_found(keyed, first, broken):
    sealed_again(keyed, first)
    found = verify(keyed.engine)
    assert found.broken == broken
    assert "not sealed with AUDIT_KEY" in found.why


def test_another_key_does_not_fit(keyed):
    use_key(keyed.engine, KEY.upper())
    assert verify(keyed.engine).broken == 6


def test_keyed_trail_does_not_fit_without_its_key(keyed):
    keyed.engine.update_execution_options(saga_audit_key=None)
    assert verify(keyed.engine).broken == 6


def test_new_key_that_has_sealed_no_row_is_reported_with_a_remedy(trail):
    use_key(trail.engine, KEY)
    assert "run `saga audit seal` first" in verify(trail.engine).why


def test_cut_end_is_found_by_its_anchor(keyed, tmp_path):
    file = tmp_path / "anchors"
    assert write_anchor(keyed.engine, file) == 8
    assert problem_of_anchors(keyed.engine, file.read_text().splitlines()) is None
    (at,) = keyed.rows("SELECT hash FROM audit WHERE seq = 7")
    unguarded(keyed, "DELETE FROM audit WHERE seq > 7")
    unguarded(keyed, f"UPDATE audit_head SET seq = 7, hash = '{at['hash']}'")
    assert verify(keyed.engine).broken is None
    assert "the end was cut off" in problem_of_anchors(keyed.engine, file.read_text().splitlines())


def test_trail_that_was_written_again_does_not_fit_its_anchors(trail, tmp_path):
    write_anchor(trail.engine, tmp_path / "anchors")
    sealed_again(trail, 2)
    assert verify(trail.engine).broken is None
    assert "it was written again" in problem_of_anchors(trail.engine, (tmp_path / "anchors").read_text().splitlines())


def test_anchor_that_somebody_else_wrote_is_found(keyed, tmp_path):
    file = tmp_path / "anchors"
    write_anchor(keyed.engine, file)
    file.write_text(file.read_text().replace('"seq": 8', '"seq": 7'))
    assert "was not written with this AUDIT_KEY" in problem_of_anchors(keyed.engine, file.read_text().splitlines())
    assert "is no anchor" in problem_of_anchors(keyed.engine, ["[]"])


def test_anchors_are_written_when_the_trail_has_grown_and_once_an_hour(trail, tmp_path):
    now, file = [0.0], tmp_path / "anchors"
    anchors = Anchors(trail.engine, file, lambda: now[0])
    for now[0] in (0.0, 1.0, EVERY_S, EVERY_S + 1):
        anchors.write_due()
    assert len(file.read_text().splitlines()) == 1
    record(trail.engine, AGAIN)
    anchors.write_due()
    assert len(file.read_text().splitlines()) == 1
    now[0] = 2 * EVERY_S
    anchors.write_due()
    assert len(file.read_text().splitlines()) == 2


def test_file_that_cannot_be_written_stops_nothing(trail, tmp_path, capsys):
    Anchors(trail.engine, tmp_path, lambda: 0.0).write_due()
    assert "audit.not_anchored" in capsys.readouterr().out


def test_rows_that_are_read_at_a_time_fit_into_the_memory_of_a_replica(stored, monkeypatch):
    """Each row may keep a discarded message of LARGEST_BODY."""
    assert audit._BATCH * LARGEST_BODY <= 8 << 20
    monkeypatch.setattr(audit, "_BATCH", 2)
    for number in range(5):
        record(stored.engine, Entry(actor="user:ada", action=f"test {number}"))
    assert verify(stored.engine).rows == 5
