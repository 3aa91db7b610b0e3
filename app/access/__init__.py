"""Who may do what: people sign in, programs send an API key, and every view declares the permission that it needs."""

from flask import Flask

from app.access import authorization, browser_policy, sessions, unchanged
from app.access.principal import principal
from app.config import Config


def install(app: Flask, config: Config) -> None:
    sessions.install(app, config)
    authorization.install(app, config)
    browser_policy.install_csp(app)
    unchanged.install(app)
    app.jinja_env.globals["principal"] = principal
