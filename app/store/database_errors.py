"""The meaning of a database error. No other module decides it.

The SQLSTATE decides on PostgreSQL, and the result code on SQLite. The class of the driver's exception does not decide:
psycopg2 raises OperationalError for a lost server, and also for a value that is too long for an index.
"""

import sqlite3
from enum import StrEnum
from typing import Any

from sqlalchemy.exc import (
    DataError,
    DBAPIError,
    DisconnectionError,
    IntegrityError,
    NotSupportedError,
    ProgrammingError,
)
from sqlalchemy.exc import TimeoutError as NoConnectionError


class Meaning(StrEnum):
    """The cause of an error. The cause decides who can repair it, and whether the same statement can succeed later."""

    AWAY = "away"  # the database is down, full, read-only or a standby: the process is not ready
    BUSY = "busy"  # a deadlock, a lock or no free connection: a later try can succeed; the process stays ready
    NOT_MIGRATED = "not migrated"  # tables or columns of this release are missing: the operator must migrate
    FORBIDDEN = "forbidden"  # the role of DATABASE_URL lacks a privilege: the operator must grant it
    UNSTORABLE = "unstorable"  # a value cannot be stored: its sender must change it
    DEFECT = "defect"  # a defect of this program


#: SQLSTATEs of statements that changed nothing and can be repeated at once: serialization failure, deadlock and
#: lock_timeout.
REPEATABLE = frozenset({"40001", "40P01", "55P03"})
#: SQLSTATEs of statements that may have changed something.
RESULT_UNKNOWN = frozenset({"40003"})
#: SQLSTATEs of a prepared statement that is missing or exists already. They occur behind a pooler, which can run each
#: transaction on another server.
UNPREPARED = frozenset({"26000", "42P05"})

#: Prefix of a SQLSTATE → meaning. The longest matching prefix decides; without a match the error is a defect.
_BY_SQLSTATE = {
    "08": Meaning.AWAY,  # connection
    "25006": Meaning.AWAY,  # read-only transaction
    "25P03": Meaning.BUSY,  # idle_in_transaction_session_timeout
    "28": Meaning.AWAY,  # the server refuses the role
    "3D": Meaning.AWAY,  # no such database
    "40": Meaning.BUSY,  # rolled back in favour of another transaction
    "40003": Meaning.AWAY,  # the result of the statement is unknown
    "53": Meaning.AWAY,  # disk full, out of memory, too many connections
    "55006": Meaning.BUSY,
    "55P03": Meaning.BUSY,
    "57014": Meaning.BUSY,  # cancelled, by statement_timeout or by a person
    "57P": Meaning.AWAY,  # shut down, starting, database dropped
    "58": Meaning.AWAY,  # I/O error
    "XX001": Meaning.AWAY,  # corrupted
    "XX002": Meaning.AWAY,
    "26000": Meaning.BUSY,
    "42P05": Meaning.BUSY,
    "3F000": Meaning.NOT_MIGRATED,
    "42P01": Meaning.NOT_MIGRATED,
    "42703": Meaning.NOT_MIGRATED,
    "42883": Meaning.NOT_MIGRATED,
    "42501": Meaning.FORBIDDEN,
    "22": Meaning.UNSTORABLE,  # out of range, not in the database's encoding
    "54": Meaning.UNSTORABLE,  # too long for an index, nested too deep
}
_LONGEST = max(len(code) for code in _BY_SQLSTATE)

_BY_SQLITE_CODE = {
    sqlite3.SQLITE_PERM: Meaning.AWAY,
    sqlite3.SQLITE_BUSY: Meaning.AWAY,
    sqlite3.SQLITE_LOCKED: Meaning.AWAY,
    sqlite3.SQLITE_NOMEM: Meaning.AWAY,
    sqlite3.SQLITE_READONLY: Meaning.AWAY,
    sqlite3.SQLITE_INTERRUPT: Meaning.BUSY,
    sqlite3.SQLITE_IOERR: Meaning.AWAY,
    sqlite3.SQLITE_CORRUPT: Meaning.AWAY,
    sqlite3.SQLITE_FULL: Meaning.AWAY,
    sqlite3.SQLITE_CANTOPEN: Meaning.AWAY,
    sqlite3.SQLITE_PROTOCOL: Meaning.AWAY,
    sqlite3.SQLITE_NOTADB: Meaning.AWAY,
    sqlite3.SQLITE_TOOBIG: Meaning.UNSTORABLE,
}
_PRIMARY = 0xFF  # the lowest byte of an extended result code is the primary code
_MISSING = ("no such table", "no such column", "has no column named")
#: For errors without a SQLSTATE. An error of these classes is caused by the statement or its values. Any other class
#: means that a connection could not be made or was lost.
_OF_THE_STATEMENT = (DataError, IntegrityError, NotSupportedError, ProgrammingError)


def meaning(error: BaseException) -> Meaning:
    """Return the meaning of an error that SQLAlchemy raised. Any other exception is a defect."""
    if isinstance(error, NoConnectionError):
        return Meaning.BUSY
    if isinstance(error, DisconnectionError):
        return Meaning.AWAY
    if not isinstance(error, DBAPIError):
        return Meaning.DEFECT
    if isinstance(error.orig, sqlite3.Error):
        return _of_sqlite(error.orig)
    if code := sqlstate(error.orig):
        fits = (code[:length] for length in range(min(len(code), _LONGEST), 1, -1))
        return next((_BY_SQLSTATE[prefix] for prefix in fits if prefix in _BY_SQLSTATE), Meaning.DEFECT)
    return Meaning.DEFECT if isinstance(error, _OF_THE_STATEMENT) else Meaning.AWAY


def is_away(error: BaseException) -> bool:
    """Return True when the same request may succeed later, because the database is unavailable or busy now."""
    return meaning(error) in {Meaning.AWAY, Meaning.BUSY}


def sqlstate(error: Any) -> str | None:
    """Return the SQLSTATE of a driver's error; None when the server sent none."""
    return getattr(error, "pgcode", None)


def in_one_line(error: BaseException) -> str:
    """Return the first line of the database's message."""
    said = error.orig if isinstance(error, DBAPIError) else error
    return str(said).strip().partition("\n")[0]


def _of_sqlite(error: sqlite3.Error) -> Meaning:
    code: int | None = getattr(error, "sqlite_errorcode", None)  # None: this program used sqlite3 wrongly
    if code is None:
        return Meaning.DEFECT
    if code & _PRIMARY == sqlite3.SQLITE_ERROR and any(words in str(error) for words in _MISSING):
        return Meaning.NOT_MIGRATED
    return _BY_SQLITE_CODE.get(code & _PRIMARY, Meaning.DEFECT)
