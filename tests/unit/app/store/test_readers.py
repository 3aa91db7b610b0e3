"""Requests that only read share a third of the connections, so slow reads delay no saga."""

import pytest
from flask import Flask
from sqlalchemy import create_engine
from sqlalchemy.exc import TimeoutError as NoConnectionError

from app.config import Config
from app.store import database
from app.store.pool import READER, Reader, SharedPool


@pytest.fixture
def pool():
    """Return a pool of six connections, of which readers get two, and nobody waits."""
    made = create_engine("sqlite://", poolclass=SharedPool, pool_size=3, max_overflow=3, pool_timeout=0.0).pool
    yield made
    made.dispose()


@pytest.fixture(autouse=True)
def reader():
    """Return a function that makes this thread serve another request that only reads."""
    token = READER.set(None)
    yield lambda: READER.set(Reader())
    READER.reset(token)


def test_readers_leave_connections_for_the_sagas(pool, reader):
    held = []
    for _ in range(2):
        reader()
        held.append(pool.connect())
    reader()
    with pytest.raises(NoConnectionError, match="none of 2 connections for reads"):
        pool.connect()
    READER.set(None)
    held += [pool.connect() for _ in range(4)]
    assert pool.checkedout() == 6
    held[0].close()
    reader()
    assert pool.connect().is_valid


def test_reader_gets_a_second_connection_while_it_holds_one(pool, reader):
    reader()
    other = pool.connect()
    reader()
    first, second = pool.connect(), pool.connect()
    first.close()
    second.close()
    first = pool.connect()
    reader()
    with pytest.raises(NoConnectionError):
        pool.connect()
    assert other.is_valid
    assert first.is_valid


def test_connection_that_cannot_be_made_takes_no_place(reader):
    def refuse():
        raise OSError("refused")

    broken = SharedPool(refuse, pool_size=1, max_overflow=0, timeout=0.0)
    reader()
    for _ in range(2):
        with pytest.raises(OSError, match="refused"):
            broken.connect()


def test_request_that_reads_is_known_until_its_end(tmp_path):
    app = Flask("reads")
    database.install(app, Config(database_url=f"sqlite:///{tmp_path}/file.db", secret_key="x" * 32))
    app.add_url_rule("/", view_func=lambda: str(READER.get() is not None), methods=["GET", "POST"])
    client = app.test_client()
    assert [client.get("/").text, client.post("/").text, READER.get()] == ["True", "False", None]
