"""`python -m app`: serve the orchestrator on HOST and PORT (127.0.0.1:8009 by default), in WORKERS processes (1)."""

import errno
import gc
import logging
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
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server import Server

from app import serving
from app.config import Config, check_callbacks, check_participants, check_serving, from_environment, read_tables
from app.logs import configure_logging
from app.settings import HOST, PORT, SHARED, ConfigError
from app.store.sqlite_file import check_database_file, hold

#: Largest number of open files of a process that are no connections of HTTP clients and no calls of sagas: those to the
#: database, to the broker, and idle ones to participants.
OTHER_FILES = 1024
#: Longest time, in seconds, for which a process still listens after its parent was killed.
STOPS_LISTENING_WITHIN_S = 3.0
_PREFIX = "saga-metrics-"
#: Configuration of the log handler that writes granian's warnings as JSON lines.
_JSON = {"class": "app.logs.LibraryWarnings"}
#: The first words of granian's warning that `threads_of` are many threads for the cores. They are intended: a thread
#: starts only when a request needs it, most threads wait for a saga, and FrontDoor limits the requests at once.
_MANY_THREADS = "Configuration allows spawning up to"


def main() -> int:
    try:
        config = from_environment(os.environ)
        check_serving(config)
        check_database_file(config.database_url, writes=True)
        check_participants(config, tables := read_tables(config))
        check_callbacks(config, tables)
        port = PORT.read(os.environ)
        host = _free_address(HOST.read(os.environ), port)
        most_connections = connections(config.threads)
        if lock := hold(config.database_url, STOPS_LISTENING_WITHIN_S, STOPS_LISTENING_WITHIN_S + config.grace_s):
            lock.close()  # this process only checks that the lock is free; the worker process takes it and runs sagas
        configure_logging(config.log_level, config.log_redact)
        if config.workers > 1 and SHARED not in os.environ:
            _restart_with_metrics_folder()
        _import_service()
        _check_tables(config)
    except ConfigError as error:
        sys.stderr.write(f"saga: {error}\n")
        return 2
    logging.getLogger("_granian").addFilter(lambda record: not record.getMessage().startswith(_MANY_THREADS))
    Server(
        "wsgi:application",
        address=host,
        port=port,
        workers=config.workers,
        # When one of several worker processes dies, the server starts a new process and keeps the others. When the only
        # worker process dies, the server ends.
        respawn_failed_workers=config.workers > 1,
        interface=Interfaces.WSGI,
        # HTTP/2 without TLS has no use here, and a stream whose body never arrives would occupy a thread for ever.
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(max_buffer_size=serving.CONNECTION_BUFFER_BYTES),
        blocking_threads=serving.threads_of(config),
        backpressure=most_connections,
        backlog=serving.MAX_CONNECTIONS,
        workers_kill_timeout=config.grace_s,
        log_level=LogLevels.warning,
        log_dictconfig={"handlers": {"console": _JSON, "access": _JSON}},
    ).serve(spawn_target=serving.serve_in_threads)
    shared = Path(os.environ.get(SHARED, ""))
    if shared.name.startswith(_PREFIX):  # this process created the folder; a folder with another name is the operator's
        shutil.rmtree(shared, ignore_errors=True)
    return 0


def _restart_with_metrics_folder() -> None:
    """Run the same command again with the variable of the shared metrics folder set.

    prometheus_client reads the variable at its import, so it cannot be set later.
    """
    os.environ[SHARED] = tempfile.mkdtemp(prefix=_PREFIX)
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606  the command has no user input


def _import_service() -> None:
    """Import the service before the worker processes are forked, so that they start quickly and share its memory.

    gc.freeze hides these objects from the garbage collector, which would otherwise write to them and so copy the shared
    pages.
    """
    gc.disable()
    import app.factory  # noqa: F401, PLC0415  only after the settings are checked and the metrics folder is set

    gc.freeze()
    gc.enable()


def _check_tables(config: Config) -> None:
    """Raise ConfigError when a table was edited although unfinished sagas use it.

    A separate process checks this. The serving processes are forked from this process, so this process must open no
    connection and start no thread.
    """
    receiver, sender = Pipe(duplex=False)
    asking = get_context("fork").Process(target=_compare_tables, args=(config, sender))
    asking.start()
    sender.close()
    with suppress(EOFError):  # the check has sent no error
        raise ConfigError(receiver.recv())
    asking.join()


def _compare_tables(config: Config, sender: "Connection[str, str]") -> None:
    from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415

    from app import create_app  # noqa: PLC0415
    from app.services import services  # noqa: PLC0415

    try:
        services(create_app(config)).runner.tables.compare()
    except ConfigError as error:
        sender.send(str(error))
    except SQLAlchemyError:  # the database does not answer or is not migrated; /ready names the remedy
        pass


def _free_address(host: str, port: int) -> str:
    """Return the IP address of the host, because granian accepts no host name. Raise ConfigError if it is not usable.

    Wait up to STOPS_LISTENING_WITHIN_S for a port that the processes of a killed server still use.
    """
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError):
        raise ConfigError(
            f"HOST={host} is no address of this machine; set it to one, such as 127.0.0.1 or ::"
        ) from None
    until = time.monotonic() + STOPS_LISTENING_WITHIN_S
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


def connections(threads: int) -> int:
    """Return the maximum number of HTTP connections of one process. Raise the limit of open files for them.

    The number is MAX_CONNECTIONS and 4 for each thread, or less when the system does not allow so many open files. A
    saga needs one file for its call, so `threads` files are left for them. Raise ConfigError when the system does not
    allow these.
    """
    most = serving.MAX_CONNECTIONS + 4 * threads  # so many requests run at once; see docs/operations.md
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    others = OTHER_FILES + threads
    wanted = most + others
    if soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if soft // 2 <= threads:
        raise ConfigError(
            f"THREADS={threads} needs more than {2 * threads:,} open files, and the system allows {soft:,}; raise its "
            "limit (ulimit -n, LimitNOFILE=) or lower THREADS"
        )
    return min(most, max(soft - others, soft // 2 - threads))


if __name__ == "__main__":
    sys.exit(main())
