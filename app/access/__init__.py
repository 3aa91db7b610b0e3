"""Who may do what: people sign in, programs bring a key, and every view says what it needs."""

from flask import Flask

from app.access import guard, headers, sessions, signing_in
from app.access.pages import audit, keys, users
from app.access.principal import principal
from app.config import Config


def install(app: Flask, config: Config) -> None:
    sessions.install(app, config)
    guard.install(app, config)
    headers.install(app)
    app.jinja_env.globals["principal"] = principal
    for part in (signing_in, users, keys, audit):
        app.register_blueprint(part.blueprint)
