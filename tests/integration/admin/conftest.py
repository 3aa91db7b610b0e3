"""Fixtures: the pages, a signed-in operator, and sagas that the test stores itself."""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from html import unescape
from typing import Any

import pytest
from flask.testing import FlaskClient
from prometheus_client import CollectorRegistry
from sqlalchemy import text
from werkzeug.test import TestResponse

from app import create_app
from app.access.permissions import Role
from app.access.principal import user
from app.config import from_environment
from app.services import services
from app.store.database import db
from app.store.instance import Instance
from app.store.sagas import SagaStore
from app.store.statements import Connections
from machines.discovery import discover
from machines.registry import Registry
from machines.replies import Reply
from machines.saga import Saga
from machines.transitions import Phase
from tests.integration.engine.families import begin
from tests.integration.engine.scene import Scene
from tests.support.applications import opened
from tests.support.moves import move as make_move

REPLY = {"iban": "CH93", "montant": 5, "vente_id": "sale-17"}
SETTINGS = {"PARTICIPANTS_URL": "http://127.0.0.1:9", "SECRET_KEY": "s" * 40, "LOG_REDACT": "iban"}


def seen(answer: TestResponse) -> str:
    """Return the text of a page, without tags."""
    return seen_text(answer.get_data(as_text=True))


def seen_text(html: str) -> str:
    """Return the text of a part of a page, without tags."""
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", html)))


@pytest.fixture
def client(store_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[FlaskClient]:
    """Return a client that is signed in as operator. No participant is reachable."""
    monkeypatch.setattr("app.access.authorization.signed_in", lambda: user("ada", Role.OPERATOR))
    monkeypatch.setattr("app.access.authorization._check_session", lambda: None)
    monkeypatch.setattr("app.access.authorization._check_form", lambda _largest: None)
    app = create_app(from_environment({"DATABASE_URL": store_url, **SETTINGS}))
    with opened(app):
        yield app.test_client()


@pytest.fixture
def walk(client: FlaskClient) -> Callable[..., Instance]:
    """Return a function that stores a saga and makes one move for each outcome. Each move is a separate commit."""
    store = SagaStore(Connections(db.engine), discover(), "test")

    def move(*outcomes: str, definition: str = "checkout", reason: str = "no", **data: Any) -> Instance:
        given = data or {"client_id": 4, "magasin_id": 1}
        saga = Instance.new(discover().latest(definition), given, actor="test")
        store.insert(saga, None, owner=None)
        for outcome in outcomes:
            if outcome == "succeeded" and saga.current.phase is Phase.FORWARD:
                saga.results[saga.current.step.name] = REPLY
            make_move(saga, outcome, reason=reason, reply=REPLY, duration_ms=5.0)
            store.save(saga, None, owner=None)
        return saga

    return move


@pytest.fixture
def titled(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Set titles of three participants."""
    known = services().participants
    names = {"panier": "The basket", "ventes": "The sales desk", "client": "The bank"}
    monkeypatch.setattr(services(), "participants", known | {
        name: replace(known[name], title=title) for name, title in names.items()
    })  # fmt: skip
    return names


@pytest.fixture
def aged(client: FlaskClient) -> Callable[[Instance, float], None]:
    """Return a function that makes a saga older: the saga seems to have been in its state `seconds` longer."""

    def age(saga: Instance, seconds: float) -> None:
        later = (
            "entered_at - make_interval(secs => :s)"
            if db.engine.dialect.name == "postgresql"
            else "strftime('%Y-%m-%d %H:%M:%f', entered_at, '-' || :s || ' seconds') || '000'"
        )
        saga_id = saga.id if db.engine.dialect.name == "postgresql" else saga.id.hex
        db.session.execute(text(f"UPDATE saga SET entered_at = {later} WHERE id = :id"), {"s": seconds, "id": saga_id})
        db.session.commit()

    return age


@pytest.fixture
def family(store_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., tuple[Scene, FlaskClient]]]:
    """Return a function that runs a saga of the first table with its children, until nothing is due.

    It returns the engine, whose participants answer with the given replies, and a client that is signed in as operator.
    """
    monkeypatch.setattr("app.access.authorization.signed_in", lambda: user("ada", Role.OPERATOR))
    monkeypatch.setattr("app.access.authorization._check_session", lambda: None)
    monkeypatch.setattr("app.access.authorization._check_form", lambda _largest: None)
    with ExitStack() as stack:

        def run(*tables: Saga, replies: Mapping[str, list[Reply]], **data: Any) -> tuple[Scene, FlaskClient]:
            settings = from_environment({"DATABASE_URL": store_url, **SETTINGS})
            app = stack.enter_context(opened(create_app(settings, Registry(list(tables)))))
            scene = Scene(db.engine, CollectorRegistry()).given(**replies)
            begin(scene, *tables, **data)
            return scene, app.test_client()

        yield run
