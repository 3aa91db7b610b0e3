"""What the server serves: the participants, each below its own prefix.

Start it with `python -m participants`, or with any WSGI server:
`granian --interface wsgi --factory --workers 1 participants.wsgi:create_application`.
"""

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

from flask import Flask
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from participants.ecommerce.settings import ShopSettingsError
from participants.logs import configure_logging
from participants.metrics import show_all
from participants.prices import catalogue_in
from participants.problem import answer_with_problems
from participants.service import create_service
from participants.settings import Settings, SettingsError
from participants.supply_chain import look_every

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

#: Seconds between two looks whether the server's main process still lives. A killed one leaves its worker behind, which
#: would serve on and keep the port.
PARENT_LOOK_S = 0.5


def create_served_application() -> "WSGIApplication":
    """Return the application for a process that a server of ours has forked, and that ends with it."""
    server = multiprocessing.parent_process()
    assert server is not None, "granian forks its workers"
    threading.Thread(target=_end_with_parent, args=(server.pid,), name="parent", daemon=True).start()
    return create_application()


def _end_with_parent(parent: int | None) -> None:
    while os.getppid() == parent:
        time.sleep(PARENT_LOOK_S)
    os.kill(os.getpid(), signal.SIGTERM)


def create_application() -> "WSGIApplication":
    try:
        settings = Settings.from_environment()
        configure_logging()
    except (SettingsError, ShopSettingsError) as error:
        sys.stderr.write(f"participants: {error}\n")
        sys.exit(2)
    apps = {
        name: create_service(name, settings.url(name), faults=settings.faults, config=settings.config)
        for name in settings.names
    }
    if "stock" in apps and "catalogue" in apps and not settings.catalogue_url:
        apps["stock"].config["CATALOGUE"] = catalogue_in(apps["catalogue"])
    if settings.restock_s and "supply-chain" in apps:
        look_every(settings.restock_s, apps["supply-chain"])
    # Below /api as well, as a gateway has them: so who goes through one can do without.
    services: dict[str, WSGIApplication] = {
        f"{below}/{name}": app for below in ("", "/api") for name, app in apps.items()
    }
    nothing = Flask("participants")
    answer_with_problems(nothing)
    show_all(nothing, apps.values())
    return DispatcherMiddleware(_front(nothing, apps.get("ecommerce")), services)


def _front(nothing: Flask, shop: Flask | None) -> "WSGIApplication":
    """Return the application in front: the shop also answers at /, except /metrics of all participants."""

    def application(asked: "WSGIEnvironment", start_response: "StartResponse") -> "Iterable[bytes]":
        served = shop if shop and asked["PATH_INFO"] != "/metrics" else nothing
        return served(asked, start_response)

    return application
