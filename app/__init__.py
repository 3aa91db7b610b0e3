"""The saga orchestrator as a Flask application."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Flask

    from app.config import Config
    from machines.registry import Registry


def create_app(config: "Config | None" = None, registry: "Registry | None" = None) -> "Flask":
    """Return the service as a Flask application. By default it is configured from the environment.

    The caller starts `services(app).runner`, which runs and recovers sagas, and `services(app).events`, which publishes
    and receives events.
    """
    # Not imported at the top: `python -m app` must first check its settings and set the folder of the metrics.
    from app.factory import make  # noqa: PLC0415

    return make(config, registry)
