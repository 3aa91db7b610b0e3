"""What an error of the database means, decided in this one place.

By SQLSTATE on PostgreSQL and by the result code on SQLite, never by the driver's class: psycopg2 raises the same
OperationalError for a server that has gone and for a value that is too long for an index.
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
    """Who can mend an error, and whether the same statement may succeed later."""

    AWAY = "away"  # the database is down, full, read-only or a standby: a process that sees it is not ready
    BUSY = "busy"  # others were in the way (deadlock, lock, no free connection): later it works, and all is well
    NOT_MIGRATED = "not migrated"  # tables or columns of this release are missing: the operator migrates
    FORBIDDEN = "forbidden"  # the role of DATABASE_URL lacks a right: the operator grants it
    UNSTORABLE = "unstorable"  # a value cannot be stored: the sender of the value changes it
    DEFECT = "defect"  # a fault of this program


#: A transaction that failed with one of these has changed nothing, and may be repeated at once: serialization failure,
#: deadlock, lock_timeout.
REPEATABLE = frozenset({"40001", "40P01", "55P03"})
#: A prepared statement that is not there, or that is there already: behind a pooler, each transaction may meet another
#: server.
UNPREPARED = frozenset({"26000", "42P05"})

#: The longest prefix that fits decides; what fits none is a defect.
_BY_SQLSTATE = {
    "08": Meaning.AWAY,  # connection
    "25006": Meaning.AWAY,  # read-only transaction
    "25P03": Meaning.BUSY,  # idle_in_transaction_session_timeout
    "28": Meaning.AWAY,  # the server refuses the role
    "3D": Meaning.AWAY,  # no such database
    "40": Meaning.BUSY,  # the transaction was rolled back for the sake of another
    "40003": Meaning.AWAY,  # nobody knows what became of the statement
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
_PRIMARY = 0xFF  # an extended result code holds the primary one in its lowest byte
_MISSING = ("no such table", "no such column", "has no column named")
#: Without a code, these classes still say that the statement is at fault. Any other error without a code comes from a
#: connection that could not be made or was lost.
_OF_THE_STATEMENT = (DataError, IntegrityError, NotSupportedError, ProgrammingError)


def meaning(error: BaseException) -> Meaning:
    """Return what an error of SQLAlchemy's means. Any other exception is a defect."""
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
    """Return True when the same request may succeed later, because the database cannot do it now."""
    return meaning(error) in {Meaning.AWAY, Meaning.BUSY}


def sqlstate(error: Any) -> str | None:
    """Return the SQLSTATE of a driver's error, if the server gave one."""
    return getattr(error, "pgcode", None)


def in_one_line(error: BaseException) -> str:
    """Return the database's own words, as far as the end of their first line."""
    said = error.orig if isinstance(error, DBAPIError) else error
    return str(said).strip().partition("\n")[0]


def _of_sqlite(error: sqlite3.Error) -> Meaning:
    code: int | None = getattr(error, "sqlite_errorcode", None)  # misuse of the module has none
    if code is None:
        return Meaning.DEFECT
    if code & _PRIMARY == sqlite3.SQLITE_ERROR and any(words in str(error) for words in _MISSING):
        return Meaning.NOT_MIGRATED
    return _BY_SQLITE_CODE.get(code & _PRIMARY, Meaning.DEFECT)
