"""`python -m app`: serve the orchestrator on HOST (127.0.0.1) and PORT (8009)."""

import os
import socket
import sys

from granian.constants import Interfaces
from granian.log import LogLevels
from granian.server import Server

from app.config import ConfigError, from_environment


def main() -> int:
    host, port = os.environ.get("HOST", "127.0.0.1"), os.environ.get("PORT", "8009")
    try:
        config = from_environment(os.environ)
        _check_free(host, port)
    except ConfigError as error:
        sys.stderr.write(f"saga: {error}\n")
        return 2
    Server(
        "wsgi:application",
        address=host,
        port=int(port),
        interface=Interfaces.WSGI,
        # A request only waits for its saga, so there is room for more of them than for sagas.
        blocking_threads=2 * config.threads,
        workers_kill_timeout=config.grace_s,
        log_level=LogLevels.warning,
    ).serve()
    return 0


def _check_free(host: str, port: str) -> None:
    if not port.isdecimal() or not 0 < int(port) < 1 << 16:
        raise ConfigError(f"PORT must be a number from 1 to 65535, not {port!r}")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, int(port)))
        except OSError as error:
            raise ConfigError(f"cannot listen on {host}:{port} ({error.strerror}); set PORT to a free one") from error


if __name__ == "__main__":
    sys.exit(main())
