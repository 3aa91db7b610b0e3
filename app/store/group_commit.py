"""Group commit: the commits of one process that arrive while others are on their way are written together.

A commit that finds fewer than `at_once` statements on their way goes at once and alone; there is no timer. A commit
that finds more waits. When a statement has ended, the first commit that waits leads: its thread takes up to MAX_ROWS
commits that wait, itself included, and writes them by one statement. Then the next one leads.

Inserts of new sagas and commits of existing ones form separate batches on PostgreSQL, and common ones on SQLite.

docs/model/batch.pml checks this design, and names its guards. Here are WAITS_FOR_WRITE (`_Waiting.wait`),
ROWS_ARE_RETURNED, ROW_BY_ROW and UNKNOWN_IS_FORGOTTEN (`_write`). The others are in the statement, see
app.store.commits.
"""

import threading
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

from sqlalchemy import Engine as Database
from sqlalchemy.exc import DBAPIError, DisconnectionError

from app.store.database_errors import RESULT_UNKNOWN, sqlstate
from app.store.statements import Statement
from app.store.transactions import atomic

#: Largest number of commits in one statement. A row of 32 costs a sixth of a statement of its own, and a row of more
#: costs hardly less.
MAX_ROWS = 32
#: Number of statements of one process on PostgreSQL that may be on their way. The server writes them to the disk
#: together; with fewer, a batch waits while the server could work. SQLite writes one at a time.
AT_ONCE = 4


class UnknownResultError(DisconnectionError):
    """It is unknown whether a commit that was written together with others is durable. Forget this copy of the saga."""


@dataclass(slots=True, eq=False)
class Commit:
    """A commit: the statement that writes it alone, and its values."""

    statement: Statement
    values: Mapping[str, Any]

    def alone(self) -> int:
        """Write this commit by a statement of its own. Return the number of rows that it has changed."""
        return self.statement.run(self.values)


class _Result(Enum):
    LEADS = auto()  # the thread writes its commit, and those that wait
    WRITTEN = auto()
    NOT_WRITTEN = auto()  # its guard failed, another transaction has locked its row, or the whole batch has failed
    UNKNOWN = auto()


def _locked() -> threading.Lock:
    lock = threading.Lock()
    lock.acquire()
    return lock


@dataclass(slots=True, eq=False)
class _Waiting:
    """A commit whose thread waits until another thread has written it, or lets it lead."""

    commit: Commit
    result: _Result = _Result.UNKNOWN
    #: Why the result is unknown.
    cause: BaseException | None = None
    _woken: threading.Lock = field(default_factory=_locked)

    def wait(self) -> None:
        self._woken.acquire()

    def wake(self, result: _Result) -> None:
        self.result = result
        self._woken.release()


class GroupCommit:
    """Writes the commits of all threads of a process.

    together: writes several commits, and returns the numbers (0, 1, …) of those that it has written. When it raises an
    error that the database has sent, it has written none. at_once: number of statements that may be on their way.
    """

    def __init__(self, together: Callable[[Sequence[Commit]], Collection[int]], at_once: int) -> None:
        self.together, self.at_once = together, at_once
        #: Protects the two fields below. No thread holds it during a statement.
        self._lock = threading.Lock()
        self._on_their_way = 0
        self._waiting: deque[_Waiting] = deque()

    @property
    def waiting(self) -> int:
        """The number of commits that wait."""
        return len(self._waiting)

    def write(self, commit: Commit) -> int:
        """Write a commit. Return the number of rows that it has changed: 0 when its guard failed.

        Raise SQLAlchemy's errors for this commit, never those of another one.
        """
        with self._lock:
            mine = None if self._on_their_way < self.at_once else _Waiting(commit)
            if mine is None:
                self._on_their_way += 1
            else:
                self._waiting.append(mine)
        if mine is not None:
            return self._write_meanwhile(mine)
        try:
            return commit.alone()
        finally:
            self._pass_on()

    def _write_meanwhile(self, mine: _Waiting) -> int:
        """Write a commit that arrived while others were on their way. See `write`."""
        self._wait(mine)
        if mine.result is _Result.LEADS:
            try:
                others = self._take_others()
                if not others:
                    return mine.commit.alone()
                self._write([mine, *others])
            finally:
                self._pass_on()
        if mine.result is _Result.UNKNOWN:
            raise UnknownResultError("a commit with others has no result") from mine.cause
        return 1 if mine.result is _Result.WRITTEN else mine.commit.alone()

    def _wait(self, mine: _Waiting) -> None:
        try:
            mine.wait()
        except BaseException:  # the thread ends; it must not keep the lead
            with self._lock:
                if mine in self._waiting:
                    self._waiting.remove(mine)
            if mine.result is _Result.LEADS:
                self._pass_on()
            raise

    def _take_others(self) -> list[_Waiting]:
        with self._lock:
            return [self._waiting.popleft() for _ in range(min(len(self._waiting), MAX_ROWS - 1))]

    def _write(self, batch: Sequence[_Waiting]) -> None:
        """Write the commits of a batch, set their results, and wake all threads but the first, which is this one.

        The thread of a commit that the batch has not written then writes it alone. So a commit that is fenced or
        refused does not stop another one, and its thread gets the error that this commit causes.
        """
        results, cause = [_Result.UNKNOWN] * len(batch), None
        try:
            written = self.together([each.commit for each in batch])
            results = [_Result.WRITTEN if n in written else _Result.NOT_WRITTEN for n in range(len(batch))]
        except Exception as error:  # noqa: BLE001  each thread gets an error of its own commit
            cause = error
            if not _is_unknown(error):
                results = [_Result.NOT_WRITTEN] * len(batch)
        finally:
            batch[0].result = results[0]
            for each in batch:
                each.cause = cause
            for each, result in zip(batch[1:], results[1:], strict=True):
                each.wake(result)

    def _pass_on(self) -> None:
        """Let the first commit that waits lead. When none waits, the next commit goes at once."""
        with self._lock:
            if self._waiting:
                self._waiting.popleft().wake(_Result.LEADS)
            else:
                self._on_their_way -= 1


def _is_unknown(error: Exception) -> bool:
    """Return True when the batch may have been written: the connection was lost before the result."""
    if not isinstance(error, DBAPIError):
        return False
    return error.connection_invalidated or sqlstate(error.orig) in RESULT_UNKNOWN


def in_one_transaction(database: Database, commits: Sequence[Commit]) -> Collection[int]:
    """Write commits in one transaction. SQLite then writes to the disk once.

    Return the numbers of the commits that have changed a row.
    """
    with atomic(database) as connection:
        changed = [commit.statement.run_within(connection, commit.values) for commit in commits]
    return {number for number, rows in enumerate(changed) if rows}
