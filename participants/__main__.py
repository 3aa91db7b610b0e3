"""`python -m participants`: serve the reference participants on one port."""

import argparse
import os
import socket
from pathlib import Path
from typing import NoReturn

from granian import Granian
from granian.constants import HTTPModes, Interfaces
from granian.log import LogLevels
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from participants.ecommerce.settings import ShopSettings, ShopSettingsError
from participants.flask_app import PARTICIPANTS, THREADS, create_service
from participants.logs import configure_logging, log_level
from participants.settings import MAX_PAUSE_S, NAMES, Settings, SettingsError, decimal

#: Logging configuration: the server writes its own log records as JSON lines too.
_JSON = {"class": "participants.logs.JsonHandler"}


class OneLineParser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"participants: {message}\n")


def port(text: str) -> int:
    if "." in text or not 1 <= decimal(text) <= 65535:  # noqa: PLR2004
        raise argparse.ArgumentTypeError(f"{text} is not a port (1 to 65535)")
    return int(decimal(text))


def seconds(text: str) -> float:
    number = decimal(text)
    if not 0 <= number <= MAX_PAUSE_S:
        raise argparse.ArgumentTypeError(f"{text} is not a number of seconds from 0 to {MAX_PAUSE_S}")
    return number


def command_line() -> OneLineParser:
    parser = OneLineParser(prog="python -m participants", description=__doc__)
    parser.add_argument("--port", type=port, default=8010)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--only", choices=NAMES, help="serve only this participant, still below its prefix")
    parser.add_argument("--data", type=Path, default=Settings.data, help="folder of the SQLite files")
    parser.add_argument("--faults", action="store_true", help="accept orders for faults at /{name}/_faults")
    parser.add_argument("--prepare", action="store_true", help="create the tables and their first rows, then exit")
    parser.add_argument("--restock", type=seconds, default=3, help="seconds between two stock checks; 0: none")
    return parser


def require_free(host: str, port: int) -> None:
    """Raise OSError when the port is in use.

    Granian shares its port (SO_REUSEPORT): two servers on one port would each get half of the calls.
    """
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(address)


def own_url(host: str, port: int) -> str:
    """Return the URL under which this machine reaches the server."""
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - an address that binds to all
    return f"http://{f'[{reachable}]' if ':' in reachable else reachable}:{port}"


def prepare_databases(settings: Settings) -> None:
    """Create the tables before the server starts, because a failure in the server's worker would only show a traceback.

    All connections are closed at the end: the worker is a fork of this process and must not share them.
    """
    if not settings.database_url:
        settings.data.mkdir(parents=True, exist_ok=True)
    for name in settings.names:
        with create_service(name, settings.url(name)).app_context():
            PARTICIPANTS[name].db.engine.dispose()


def reason(error: Exception) -> str:
    return str(error.orig if isinstance(error, DBAPIError) else error).partition("\n")[0]


def main() -> None:
    parser = command_line()
    options = parser.parse_args()
    own = own_url(options.host, options.port)
    try:
        level = log_level()
        settings = Settings(
            data=options.data.resolve(),
            names=(options.only,) if options.only else NAMES,
            faults=options.faults,
            database_url=os.environ.get("PARTICIPANTS_DATABASE_URL"),
            stock_url=os.environ.get("STOCK_URL") or f"{own}/stock",
            catalogue_url=os.environ.get("CATALOGUE_URL") or None,
            restock_s=options.restock,
            shop=ShopSettings.from_environment(
                {**os.environ, "PARTICIPANTS_URL": os.environ.get("PARTICIPANTS_URL") or own}
            ),
        )
    except (SettingsError, ShopSettingsError) as error:
        parser.error(str(error))
    try:
        if not options.prepare:
            require_free(options.host, options.port)
    except OSError as error:
        parser.error(f"cannot listen on {options.host}:{options.port}: {reason(error)}")
    try:
        prepare_databases(settings)
    except (OSError, SQLAlchemyError) as error:
        parser.error(f"cannot open the databases: {reason(error)}")
    if options.prepare:
        return
    os.environ.update(settings.as_environment())
    configure_logging(level)
    Granian(
        "participants.wsgi:create_served_application",
        address=options.host,
        port=options.port,
        interface=Interfaces.WSGI,
        http=HTTPModes.http1,
        factory=True,
        # One worker, because the simulated faults are in the memory of the worker.
        workers=1,
        blocking_threads=THREADS,
        log_level=LogLevels.warning,
        log_dictconfig={"handlers": {"console": _JSON, "access": _JSON}},
    ).serve()


if __name__ == "__main__":
    main()
