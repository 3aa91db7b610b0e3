"""Who may do what: people sign in, programs send an API key, and every view declares its requirement."""

from flask import Flask

from app.access import guard, headers, sessions
from app.access.principal import principal
from app.config import Config


def install(app: Flask, config: Config) -> None:
    sessions.install(app, config)
    guard.install(app, config)
    headers.install(app)
    app.jinja_env.globals["principal"] = principal
