"""A minimal participant behind the barrier: a box that holds coins."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import psycopg2
import pytest
from flask import Flask, Response, request
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import Column, Integer, Table, delete, select, update
from werkzeug.test import TestResponse

from participants.barrier import Barrier, Done, Refused, tune
from participants.database import driver_url, prepare


class CoinBox:
    def __init__(self, url: str) -> None:
        self.app = Flask("box")
        self.app.config["SQLALCHEMY_DATABASE_URI"] = driver_url(url)
        self.app.config["SQLALCHEMY_ENGINE_OPTIONS"] = {"pool_size": 16}
        self.db = SQLAlchemy(self.app)
        self.barrier = Barrier(self.db)
        self.table = Table("box", self.db.metadata, Column("id", Integer, primary_key=True), Column("coins", Integer))
        self._add_views()
        with self.app.app_context():
            tune(self.db.engine)
            prepare(self.db.engine, self.db.metadata, {self.table: [{"id": 1, "coins": 0}]})

    def empty(self) -> None:
        #: The largest number of coins that one call may put into the box. A call with more coins is refused.
        self.largest = 100
        #: Two functions that a test may replace. `inside_view` is called inside each view, `before_reply` before each
        #: reply.
        self.inside_view: Callable[[], None] = lambda: None
        self.before_reply: Callable[[], None] = lambda: None
        with self.app.app_context():
            self.db.session.execute(delete(self.barrier.ledger.table))
            self.db.session.execute(update(self.table).values(coins=0))
            self.db.session.commit()

    def _add_views(self) -> None:
        def put(slot: str = "left"):
            coins = request.get_json()["coins"]
            self._add(coins)
            if coins > self.largest:
                raise Refused(409, "Too many", f"{coins} coins")
            return {"put": coins, "slot": slot}, 201

        def take_back(done: Done):
            self._add(-done.request["coins"])
            return {"taken": done.reply["put"]}

        def answer_409():
            self._add(1)
            return {}, 409

        for path, guard, view in (
            ("/put", self.barrier.do, put),
            ("/put/<slot>", self.barrier.do, put),
            ("/retriable", self.barrier.retriable, put),
            ("/answer_409", self.barrier.do, answer_409),
            ("/take_back", self.barrier.undo, take_back),
        ):
            self.app.add_url_rule(path, endpoint=path, view_func=guard(view), methods=["POST"])

        self.app.add_url_rule("/outcome", view_func=self.barrier.outcome)

        @self.app.after_request
        def reply(response: Response) -> Response:
            self.before_reply()
            return response

    def _add(self, coins: int) -> None:
        self.db.session.execute(update(self.table).values(coins=self.table.c.coins + coins))
        self.inside_view()

    def post(self, path: str, key: str | None, body: object = None) -> TestResponse:
        headers = {} if key is None else {"Idempotency-Key": key, "Saga-Epoch": "7"}
        return self.app.test_client().post(path, headers=headers, json=body)

    def do(self, saga: str = "s", coins: int = 5, path: str = "/put") -> TestResponse:
        return self.post(path, f"{saga}/put/do", {"coins": coins})

    def undo(self, saga: str = "s", body: object = None) -> TestResponse:
        return self.post("/take_back", f"{saga}/put/undo", body)

    def outcome(self, saga: str = "s") -> TestResponse:
        return self.app.test_client().get("/outcome", headers={"Idempotency-Key": f"{saga}/put/do"})

    def coins(self) -> int:
        with self.app.app_context():
            return self.db.session.scalar(select(self.table.c.coins))

    def states(self, saga: str | None = None) -> dict[str, str]:
        with self.app.app_context():
            return {row["key"]: row["state"] for row in self.barrier.ledger.entries(saga)}


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def box_of_the_session(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CoinBox]:
    """Share one coin box per database, because creating a PostgreSQL database takes longer than most of these tests."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path_factory.mktemp('box') / 'box.db'}"
    else:
        server = request.getfixturevalue("postgres_server")
        with closing(psycopg2.connect(server % "postgres")) as admin:
            admin.autocommit = True
            admin.cursor().execute("CREATE DATABASE box")
        url = server % "box"
    box = CoinBox(url)
    yield box
    with box.app.app_context():
        box.db.engine.dispose()


@pytest.fixture
def box(box_of_the_session: CoinBox) -> CoinBox:
    box_of_the_session.empty()
    return box_of_the_session


@pytest.fixture
def at_once() -> Callable[..., list[TestResponse]]:
    """Return a function that makes all given calls at the same moment, each in its own thread."""

    def run(*calls: Callable[[], TestResponse]) -> list[TestResponse]:
        start = threading.Barrier(len(calls))

        def on_the_mark(call: Callable[[], TestResponse]) -> TestResponse:
            start.wait()
            return call()

        with ThreadPoolExecutor(len(calls)) as pool:
            return list(pool.map(on_the_mark, calls))

    return run


@pytest.fixture
def crash() -> Callable[[], None]:
    def fail() -> None:
        raise RuntimeError("ordered by the test")

    return fail
