"""The SQLite file of DATABASE_URL: the check before anything starts, and the lock that lets one process run its sagas.

A second process would claim sagas in flight.
"""

import fcntl
import os
import time
from pathlib import Path
from typing import IO

from app.settings import ConfigError


def check_database_file(database_url: str, *, writes: bool) -> None:
    """Raise ConfigError, with the reason and the remedy, when SQLite cannot open the file.

    writes: also raise when this process cannot write the file; a command that only reads works on such a file.
    PostgreSQL is not checked, and neither is a file named by a URI (`sqlite:///file:…`).
    """
    path = file_of(database_url)
    if path is None or database_url.startswith("sqlite:///file:"):
        return
    try:
        problem = _problem(path, writes=writes)
    except OSError as error:  # a folder that cannot be entered, or a name that is too long
        problem = f"names {path}, which cannot be used ({error.strerror}); name another file"
    if problem:
        raise ConfigError(f"DATABASE_URL {problem}")


def _problem(path: Path, *, writes: bool) -> str:
    folder = path.parent
    if path.is_dir():
        return f"names the folder {path}; name a file in it, such as sqlite:///{path}/saga.db"
    if not folder.exists():
        return f"names a file in {folder}, which does not exist; create that folder, or name another file"
    if not folder.is_dir():
        return f"names a file in {folder}, which is not a folder; name another file"
    if writes and not os.access(folder, os.W_OK | os.X_OK):
        return f"names a file in {folder}, where this process may not write; allow it, or name another file"
    return _file_problem(path) if writes and path.exists() else ""


def _file_problem(path: Path) -> str:
    if not os.access(path, os.R_OK | os.W_OK):
        return f"names {path}, which this process may not write; allow it, or name another file"
    if path.stat().st_nlink > 1:
        # SQLite locks and journals a file by its name: two processes under two names would both change it.
        return f"names {path}, a file with several names (hard links), which SQLite damages; keep one of them"
    return ""


_INSTANCE = Path(__file__).parents[2] / "instance"
#: Seconds between two tries to lock the file.
_POLL_S = 0.1
#: Written after the process number when that process is about to end.
_ENDING = "\n"


def hold(database_url: str, patience_s: float = 0.0, grace_s: float = 0.0) -> IO[str] | None:
    """Lock the database's file until the returned file is closed or this process ends, in any way.

    Wait patience_s for the process that holds the lock, and grace_s once that process is ending. Raise ConfigError when
    it still holds the lock then. Return None for PostgreSQL, which any number of processes may share, and where no lock
    file can be created: in such a folder SQLite cannot write either.
    """
    path = file_of(database_url)
    if path is None:
        return None
    try:
        file = path.with_name(f"{path.name}.lock").open("a+", encoding="ascii")
    except OSError:
        return None
    started = time.monotonic()
    while not _locked(file):
        file.seek(0)
        holder, _, ending = file.read().partition(_ENDING)
        if time.monotonic() - started > (max(patience_s, grace_s) if ending else patience_s):
            file.close()
            raise ConfigError(
                f"process {holder or 'of unknown number'} runs the sagas of {path}, and a SQLite file has one "
                "such process alone; stop it, or set DATABASE_URL to another file or to a PostgreSQL"
            )
        time.sleep(_POLL_S)
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    return file


def announce_ending(file: IO[str] | None) -> None:
    """Announce to processes that wait for the lock that this process releases it soon."""
    if file is not None:
        file.write(f"{_ENDING}it finishes its calls\n")
        file.flush()


def _locked(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def file_of(database_url: str) -> Path | None:
    """Return the file of a SQLite URL, which Flask-SQLAlchemy resolves below Flask's instance folder.

    Links are followed, as SQLite does, so one file has one lock under any name.
    """
    scheme, _, name = database_url.partition(":///")
    return (_INSTANCE / name.partition("?")[0]).resolve() if scheme == "sqlite" else None
