"""Who may do what: people sign in, programs bring a key, and every view says what it needs."""

from flask import Flask

from app.access import guard, headers, sessions, signing_in
from app.access.keys import KeyRing
from app.access.pages import audit, keys, users
from app.access.principal import principal
from app.config import Config
from app.store.api_keys import ApiKeys
from app.store.attempts import Attempts
from app.store.database import db
from app.store.users import Users


def install(app: Flask, config: Config) -> None:
    with app.app_context():
        app.extensions |= {"users": Users(db.engine), "attempts": Attempts(db.engine)}
        app.extensions["api_keys"] = KeyRing(ApiKeys(db.engine))
    sessions.install(app, config)
    guard.install(app, config)
    headers.install(app)
    app.jinja_env.globals["principal"] = principal
    for part in (signing_in, users, keys, audit):
        app.register_blueprint(part.blueprint)
