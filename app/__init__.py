"""The saga orchestrator as a Flask application."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Flask

    from app.config import Config
    from machines.registry import Registry


def create_app(config: "Config | None" = None, registry: "Registry | None" = None) -> "Flask":
    """Make the service, by default as the environment says.
    `app.extensions["runner"]` recovers sagas and `app.extensions["post"]` carries events, once started.
    """
    # Not before: `python -m app` checks its settings and names the folder of metrics first.
    from app.factory import make  # noqa: PLC0415

    return make(config, registry)
