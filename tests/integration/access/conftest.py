"""Fixtures: the service with its default settings, a user of each role, and API keys."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine
from werkzeug.test import TestResponse

from app import create_app
from app.access import user_accounts
from app.access.permissions import Role, Scope
from app.config import from_environment
from app.services import services
from app.store import audit
from app.store.database import db

PASSWORD = "correct horse battery"
#: The address of the service. A browser accepts a `__Host-` cookie from an address with https.
AT = "https://saga.example"


@cache
def hashed() -> str:
    return user_accounts.hashed(PASSWORD)


@dataclass
class Browser:
    """A browser with its cookies."""

    client: FlaskClient
    #: The CSRF token in the forms of its pages.
    token: str = ""

    def get(self, path: str, **headers: str) -> TestResponse:
        return self.client.get(path, base_url=AT, headers=headers)

    def post(self, path: str, *, token: str | None = None, **form: Any) -> TestResponse:
        """Send a form with the CSRF token of this browser. With another `token`, the form is forged."""
        form |= {"csrf_token": self.token if token is None else token}
        return self.client.post(path, base_url=AT, data=form, headers={"Referer": f"{AT}/admin"})

    def look(self) -> "Browser":
        """Open the sign-in page and keep its CSRF token."""
        self.token = re.search('name="csrf_token" value="([^"]+)"', self.get("/login").text)[1]
        return self

    def sign_in(self, name: str, password: str = PASSWORD) -> TestResponse:
        answer = self.look().post("/login", name=name, password=password)
        self.look()
        return answer

    @property
    def cookie(self) -> Any:
        return self.client.get_cookie("__Host-saga", domain="saga.example")


@dataclass
class AdminService:
    """The service and its database."""

    app: Flask
    engine: Engine

    def browser(self, role: Role | None = None) -> Browser:
        browser = Browser(self.app.test_client()).look()
        if role:
            assert browser.sign_in(role.word).status_code == 303
        return browser

    def key(self, *scopes: Scope, name: str = "shop", tenant: str = "") -> str:
        return services(self.app).api_keys.make(name, scopes, 30, "cli:test", tenant=tenant).secret

    def trail(self) -> list[tuple[str, str, str | None]]:
        return [(row.actor, row.action, row.target) for row in reversed(audit.page(self.engine, limit=1000))]

    def run(self, statement: Any) -> None:
        with self.engine.connect() as connection:
            connection.execute(statement)


@pytest.fixture
def admin_service(store_url: str) -> Iterator[AdminService]:
    settings = {"DATABASE_URL": store_url, "PARTICIPANTS_URL": "http://127.0.0.1:9", "WAIT_S": "0.1"}
    app = create_app(from_environment(settings | {"SECRET_KEY": "0" * 32}))
    # The context is closed before any request. Otherwise the requests would share the context, and with it the
    # principal.
    with app.app_context():
        engine = db.engine
    for role in Role:
        services(app).users.add(role.word, role.word, hashed(), "cli:test")
    yield AdminService(app, engine)
    services(app).runner.stop()
    engine.dispose()
