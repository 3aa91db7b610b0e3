"""What is sent to a distributed database instead of the statements of PostgreSQL. Citus itself is in tests/contract."""

import pytest
from sqlalchemy.dialects import postgresql

from app.store import children, commits, leases
from app.store.citus import with_time
from app.store.leases import Leases
from machines.registry import Registry
from tests.support.databases import service_engine


class Clock:
    """A cursor whose server says that it is 1000 s after the epoch."""

    def __init__(self) -> None:
        self.executed: list[str] = []

    def execute(self, statement: str) -> None:
        self.executed.append(statement)

    def fetchone(self) -> tuple[str]:
        return ("1000.5",)


@pytest.mark.parametrize(
    ("statement", "sent"),
    [
        ("UPDATE saga SET due_at = statement_timestamp()", "UPDATE saga SET due_at = to_timestamp(1000.5)"),
        (
            "UPDATE saga SET due_at = (statement_timestamp() + make_interval(secs => %(delay_s)s))",
            "UPDATE saga SET due_at = to_timestamp(1000.5 + (%(delay_s)s))",
        ),
        ("DELETE FROM saga WHERE at < statement_timestamp()", "DELETE FROM saga WHERE at < to_timestamp(1000.5)"),
    ],
)
def test_the_time_stands_in_the_place_of_the_clock(statement, sent):
    assert with_time(statement, Clock()) == sent


@pytest.mark.parametrize("statement", [" SELECT statement_timestamp()", "UPDATE saga SET owner = NULL"])
def test_a_statement_that_needs_no_time_is_sent_unchanged(statement):
    clock = Clock()
    assert with_time(statement, clock) == statement
    assert clock.executed == []


def test_no_write_of_a_saga_has_a_function_that_citus_refuses():
    """A clock in a CASE, or beside a column, fails only on Citus, where this suite does not run everywhere."""
    of_saga = leases._SAGA.c.id.is_not(None)
    claim = Leases(service_engine("postgresql://nobody@/nothing"), Registry([]), "one")._take(of_saga)
    for clause in (commits.SAVE, commits.SAVE_WAITING, commits.SAVE_ON, children._WAKE, children._SEND_BACK, claim):
        sql = with_time(str(clause.compile(dialect=postgresql.dialect())), Clock())
        assert "statement_timestamp" not in sql
        assert "make_interval" not in sql
