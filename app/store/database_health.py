"""What /ready and /metrics read from the database, and how long they wait for it."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Generic, TypeVar

from sqlalchemy import Engine as Database
from sqlalchemy import text
from sqlalchemy.exc import TimeoutError as NoAnswerError

#: Table → the rights without which no saga runs. /ready does not need rights on the other tables: people use those.
_NEEDED = {
    "saga": ("SELECT", "INSERT", "UPDATE"),
    "request_key": ("SELECT", "INSERT", "UPDATE"),
    "journal": ("SELECT", "INSERT"),
    "outbox": ("INSERT",),
    "replica": ("SELECT", "INSERT", "UPDATE"),
    "saga_table": ("SELECT", "INSERT"),
}
_RIGHTS = ", ".join(f"('{table}', '{right}')" for table, rights in _NEEDED.items() for right in rights)
_FOUND = {
    "sqlite": "SELECT version_num, 'UTF8' AS encoding, NULL AS missing FROM alembic_version",
    "postgresql": f"""SELECT version_num, current_setting('server_encoding') AS encoding,
        (SELECT min(needed."right" || ' on ' || needed.name) FROM (VALUES {_RIGHTS}) AS needed(name, "right")
         WHERE NOT has_table_privilege(to_regclass(needed.name), needed."right")) AS missing FROM alembic_version""",  # noqa: S608  built from constants
}


@dataclass(frozen=True, kw_only=True)
class Schema:
    """The state of the database's schema."""

    #: Number of the last migration applied; None: no migration.
    migration: str | None
    #: Character encoding of the database.
    encoding: str
    #: A right that the database user lacks, such as "INSERT on journal"; None: the user has all rights of _NEEDED.
    missing_right: str | None


def schema(database: Database) -> Schema:
    with database.connect() as connection:
        row = connection.execute(text(_FOUND[database.dialect.name])).first()
    if row is None:
        return Schema(migration=None, encoding="UTF8", missing_right=None)
    return Schema(migration=row.version_num, encoding=row.encoding, missing_right=row.missing)


Answer = TypeVar("Answer")
#: Longest wait of /ready and /metrics for the database, in seconds. Kong's health check gives up after 2 s.
ANSWER_WAIT_S = 1.5


class Bounded(Generic[Answer]):
    """Runs a query in its own thread, so that a caller waits a limited time. Simultaneous callers share one query."""

    def __init__(self, query: Callable[[], Answer], wait_s: float = ANSWER_WAIT_S) -> None:
        self._query, self._wait_s = query, wait_s
        self._lock, self._answer = threading.Lock(), Future[Answer]()
        self._answer.cancel()

    def __call__(self) -> Answer:
        """Return the answer, or raise the database's error. Raise NoAnswerError when no answer came in time."""
        with self._lock:
            if self._answer.done():
                self._answer = Future()
                # A daemon thread, so that the process can end while the database does not answer.
                threading.Thread(target=self._run, args=(self._answer,), name="asking", daemon=True).start()
            answer = self._answer
        try:
            return answer.result(self._wait_s)
        except TimeoutError:
            if answer.done():
                raise
            raise NoAnswerError(f"the database has not answered within {self._wait_s:g} s") from None

    def _run(self, answer: "Future[Answer]") -> None:
        try:
            answer.set_result(self._query())
        except BaseException as error:  # noqa: BLE001  `__call__` raises it
            answer.set_exception(error)
