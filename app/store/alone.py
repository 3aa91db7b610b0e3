"""One process at a time runs the sagas of a SQLite file: a second one would take over what the first has in flight."""

import fcntl
import os
from pathlib import Path
from typing import IO

from app.settings import ConfigError

_INSTANCE = Path(__file__).parents[2] / "instance"


def hold(database_url: str) -> IO[str] | None:
    """Lock the database's file until the returned file is closed or this process ends, however it ends.

    Raise ConfigError when another process holds the lock. Return None for PostgreSQL, which any number may share, and
    where no lock can be made: in a folder that takes no files SQLite takes no writes either.
    """
    path = file_of(database_url)
    if path is None:
        return None
    try:
        file = path.with_name(f"{path.name}.lock").open("a+", encoding="ascii")
    except OSError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        holder = file.read().strip()
        file.close()
        raise ConfigError(
            f"process {holder or 'of unknown number'} runs the sagas of {path}, and a SQLite file has one "
            "such process alone; stop it, or set DATABASE_URL to another file or to a PostgreSQL"
        ) from None
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    return file


def file_of(database_url: str) -> Path | None:
    """Return the file of a SQLite URL, which Flask-SQLAlchemy looks for below Flask's instance folder."""
    scheme, _, name = database_url.partition(":///")
    return _INSTANCE / name.partition("?")[0] if scheme == "sqlite" else None
