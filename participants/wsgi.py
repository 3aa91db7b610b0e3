"""The WSGI application: all participants, each below its own prefix.

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

from participants.barrier import answer_with_problems
from participants.ecommerce.closing import close_every
from participants.ecommerce.settings import ShopSettingsError
from participants.flask_app import create_service
from participants.logs import configure_logging
from participants.price_check import catalogue_in
from participants.request_metrics import show_all
from participants.settings import Settings, SettingsError
from participants.supply_chain import check_every

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

#: Seconds between two checks that the server's main process is alive. Without these checks, the worker of a killed
#: server would continue to serve and keep the port.
PARENT_CHECK_S = 0.5
#: Seconds between two looks of the shop for orders that have ended, whose carts it empties.
CLOSING_S = 0.5


def create_served_application() -> "WSGIApplication":
    """Return the application for a worker process of Granian. The worker ends when its server ends."""
    server = multiprocessing.parent_process()
    assert server is not None, "granian forks its workers"
    threading.Thread(target=_end_with_parent, args=(server.pid,), name="parent", daemon=True).start()
    return create_application()


def _end_with_parent(parent: int | None) -> None:
    while os.getppid() == parent:
        time.sleep(PARENT_CHECK_S)
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
        check_every(settings.restock_s, apps["supply-chain"])
    if "ecommerce" in apps:
        close_every(CLOSING_S, apps["ecommerce"])
    # The participants are also served below /api, as the gateway does, so that the same URLs work without a gateway.
    services: dict[str, WSGIApplication] = {
        f"{below}/{name}": app for below in ("", "/api") for name, app in apps.items()
    }
    root = Flask("participants")
    answer_with_problems(root)
    show_all(root, apps.values())
    return DispatcherMiddleware(_root(root, apps.get("ecommerce")), services)


def _root(root: Flask, shop: Flask | None) -> "WSGIApplication":
    """Return the application at /: the shop, except for /metrics."""

    def application(wsgi_environ: "WSGIEnvironment", start_response: "StartResponse") -> "Iterable[bytes]":
        served = shop if shop and wsgi_environ["PATH_INFO"] != "/metrics" else root
        return served(wsgi_environ, start_response)

    return application
