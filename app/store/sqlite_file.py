"""The SQLite file of DATABASE_URL: a check of the file at the start of a process, and the lock of the file.

Only the process with the lock runs sagas, because a second process would claim sagas whose calls are in flight.
"""

import fcntl
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import IO

from app.settings import ConfigError


def check_database_file(database_url: str, *, writes: bool) -> None:
    """Raise ConfigError, with the reason and the remedy, when SQLite cannot open the file.

    writes: also raise when this process cannot write the file. A URL of PostgreSQL, and a file that is named by a URI
    (`sqlite:///file:…`), are not checked.
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
        # SQLite locks a file by its name, so two processes with two names of one file would both write to it.
        return f"names {path}, a file with several names (hard links), which SQLite damages; keep one of them"
    return ""


_INSTANCE = Path(__file__).parents[2] / "instance"
#: Seconds between two tries to lock the file.
_POLL_S = 0.1
#: Mark in the lock file after the number of the process, when that process is about to end.
_ENDING = "\n"


def hold(database_url: str, patience_s: float = 0.0, grace_s: float = 0.0) -> IO[str] | None:
    """Lock the database's file. The lock ends when the returned file is closed or this process ends.

    patience_s: how long to wait for a process that holds the lock, in seconds. grace_s: how long to wait, in seconds,
    when that process has announced its end. Raise ConfigError after that time. Return None, without a lock, for
    PostgreSQL, which several processes can share. Also return None for a folder without write access: SQLite cannot
    write there.
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


def create_private(path: Path) -> None:
    """Create the file for its owner alone, whatever the umask is. SQLite gives the files beside it the same mode.

    A file that exists is not opened: SQLite's locks of a process end when the process closes any handle of the file.
    """
    if not path.exists() and path.parent.is_dir():
        with suppress(OSError):  # SQLite reports what is wrong, or another process has created the file
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


def announce_ending(file: IO[str] | None) -> None:
    """Write to the lock file that this process will end soon; processes that wait for the lock read this."""
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
    """Return the file of a SQLite URL; None for another database. Relative names are below Flask's instance folder.

    Symbolic links are followed, as SQLite follows them, so a file has one lock, whatever its name is.
    """
    scheme, _, name = database_url.partition(":///")
    return (_INSTANCE / name.partition("?")[0]).resolve() if scheme == "sqlite" else None
