"""The saga orchestrator as a Flask application."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Flask

    from app.config import Config
    from machines.registry import Registry


def create_app(config: "Config | None" = None, registry: "Registry | None" = None) -> "Flask":
    """Return the service, configured from the environment by default.

    `services(app).runner` recovers sagas and `services(app).events` transports events, once they are started.
    """
    # Imported late: `python -m app` first checks its settings and sets the folder of the metrics.
    from app.factory import make  # noqa: PLC0415

    return make(config, registry)
