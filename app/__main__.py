"""`python -m app`: serve the orchestrator on HOST (127.0.0.1) and PORT (8009), in WORKERS processes (1)."""

import errno
import gc
import os
import resource
import shutil
import socket
import sys
import tempfile
import time
from contextlib import suppress
from multiprocessing import Pipe, get_context
from multiprocessing.connection import Connection
from pathlib import Path

from granian.constants import HTTPModes, Interfaces
from granian.log import LogLevels
from granian.server import Server

from app import serving
from app.config import Config, check_serving, from_environment
from app.database_file import check_database_file
from app.logs import configure_logging
from app.settings import DEFAULT_HOST, SHARED, ConfigError, port
from app.store.alone import hold
from app.tables import read_tables

#: Files that a process has open beside its connections: the database, participants, the broker.
OTHER_FILES = 1024
#: A process whose parent was killed stops to listen within this many seconds.
LEAVES_WITHIN_S = 3.0
_PREFIX = "saga-metrics-"
#: What the server has to complain of is a line of JSON as well.
_JSON = {"class": "app.logs.Complaints"}


def main() -> int:
    try:
        config = from_environment(os.environ)
        check_serving(config)
        check_database_file(config.database_url, writes=True)
        read_tables()
        at = port(os.environ, "PORT", serving.DEFAULT_PORT) or 0
        host = _free_address(os.environ.get("HOST") or DEFAULT_HOST, at)
        if lock := hold(config.database_url, LEAVES_WITHIN_S, LEAVES_WITHIN_S + config.grace_s):
            lock.close()  # it is the worker's, which runs the sagas
        configure_logging(config.log_level, config.log_redact)
        if config.workers > 1 and SHARED not in os.environ:
            _begin_anew()
        _import_service()
        _check_tables(config)
    except ConfigError as error:
        sys.stderr.write(f"saga: {error}\n")
        return 2
    Server(
        "wsgi:application",
        address=host,
        port=at,
        workers=config.workers,
        # One that dies alone takes neither the requests of the others with it nor what was counted.
        respawn_failed_workers=config.workers > 1,
        interface=Interfaces.WSGI,
        # HTTP/2 in the clear has no use here, and a stream whose body never comes keeps a thread for ever.
        http=HTTPModes.http1,
        blocking_threads=serving.threads_of(config),
        backpressure=connections(),
        backlog=serving.CONNECTIONS,
        workers_kill_timeout=config.grace_s,
        log_level=LogLevels.warning,
        log_dictconfig={"handlers": {"console": _JSON, "access": _JSON}},
    ).serve(spawn_target=serving.serve_in_threads)
    shared = Path(os.environ.get(SHARED, ""))
    if shared.name.startswith(_PREFIX):  # else it is not ours
        shutil.rmtree(shared, ignore_errors=True)
    return 0


def _begin_anew() -> None:
    """Name the folder that all processes count in before anything imports the library that looks for it."""
    os.environ[SHARED] = tempfile.mkdtemp(prefix=_PREFIX)
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606  the same command once more


def _import_service() -> None:
    """Import the service once, before its processes are forked: they start at once and share this memory.

    The collector rests meanwhile and then leaves these objects alone: else it would copy the shared pages.
    """
    gc.disable()
    import app.factory  # noqa: F401, PLC0415  not before the settings were checked, and the folder of metrics named

    gc.freeze()
    gc.enable()


def _check_tables(config: Config) -> None:
    """Raise ConfigError when unfinished sagas run by another table than the one at hand.

    A process of its own compares them: the processes that serve are forked from this one, which must have no
    connection and no thread then.
    """
    receiver, sender = Pipe(duplex=False)
    asking = get_context("fork").Process(target=_compare_tables, args=(config, sender))
    asking.start()
    sender.close()
    with suppress(EOFError):  # nothing to complain of
        raise ConfigError(receiver.recv())
    asking.join()


def _compare_tables(config: Config, sender: "Connection[str, str]") -> None:
    from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415

    from app import create_app  # noqa: PLC0415

    try:
        create_app(config).extensions["runner"].tables.settle()
    except ConfigError as error:
        sender.send(str(error))
    except SQLAlchemyError:  # it is away, or was never migrated: /ready says what to do, and the processes ask again
        pass


def _free_address(host: str, port: int) -> str:
    """Return the address to listen on: the server takes no name. Raise ConfigError when it cannot be listened on.

    Waits a moment for a port that the processes of a server that was killed are just leaving.
    """
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError):
        raise ConfigError(
            f"HOST={host} is no address of this machine; set it to one, such as 127.0.0.1 or ::"
        ) from None
    until = time.monotonic() + LEAVES_WITHIN_S
    while True:
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(place)
                return str(place[0])
            except OSError as error:
                if error.errno != errno.EADDRINUSE or time.monotonic() > until:
                    remedy = (
                        "HOST to one of this machine" if error.errno == errno.EADDRNOTAVAIL else "PORT to a free one"
                    )
                    raise ConfigError(f"cannot listen on {host}:{port} ({error.strerror}); set {remedy}") from error
        time.sleep(0.1)


def connections() -> int:
    """Return how many connections one process takes: CONNECTIONS, or as many as the operating system lets it have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = serving.CONNECTIONS + OTHER_FILES
    if soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return max(min(serving.CONNECTIONS, soft - OTHER_FILES), soft // 2)


if __name__ == "__main__":
    sys.exit(main())
