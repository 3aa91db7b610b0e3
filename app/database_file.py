"""The check of the SQLite file of DATABASE_URL, made before anything starts."""

import os
from pathlib import Path

from app.settings import ConfigError
from app.store.sqlite_lock import file_of


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
