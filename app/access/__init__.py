"""Who may do what: people sign in, programs bring a key, and every view says what it needs."""

from flask import Flask

from app.access import guard, headers, sessions, signing_in
from app.access.principal import principal
from app.config import Config
from app.store.database import db
from app.store.users import Users


def install(app: Flask, config: Config) -> None:
    with app.app_context():
        app.extensions["users"] = Users(db.engine)
    sessions.install(app, config)
    guard.install(app, config)
    headers.install(app)
    app.jinja_env.globals["principal"] = principal
    app.register_blueprint(signing_in.blueprint)
