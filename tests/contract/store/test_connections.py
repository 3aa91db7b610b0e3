"""The engine's own connections, out of SQLAlchemy's pool."""

import threading
from select import select

import pytest

from app.store import statements as module
from app.store.statements import Connections, NoConnectionError


@pytest.fixture
def connections(book):
    return Connections(book.engine)


def test_a_connection_serves_again(connections):
    first = connections.take()
    connections.give_back(first)
    assert connections.take() is first


def test_nobody_gets_one_that_is_in_use(connections):
    assert connections.take() is not connections.take()


def test_what_is_kept_leaves_as_many_for_others(connections, book):
    most = book.engine.pool.size()
    taken = [connections.take() for _ in range(most)]
    for connection in taken:
        connections.give_back(connection)
    assert book.engine.pool.checkedout() == most
    others = [book.engine.connect() for _ in range(most)]
    for other in others:
        other.close()


def test_more_threads_than_connections_wait_for_one_another(connections, book):
    """A burst of requests is no error, and no crowd at the database."""
    done, most = [], 3 * book.engine.pool.size()

    def use():
        for _ in range(20):
            connection = connections.take()
            connection.cursor().execute("SELECT 1")
            connections.give_back(connection)
        done.append(True)

    threads = [threading.Thread(target=use) for _ in range(most)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(done) == most
    assert book.engine.pool.checkedout() <= book.engine.pool.size()


def test_nobody_waits_for_a_connection_for_ever(connections, book, monkeypatch):
    monkeypatch.setattr(module, "CONNECTION_WAIT_S", 0.01)
    taken = [connections.take() for _ in range(book.engine.pool.size())]
    with pytest.raises(NoConnectionError):
        connections.take()
    connections.give_back(taken.pop())
    taken.append(connections.take())
    for connection in taken:
        connections.give_back(connection)


def test_a_turn_that_came_to_nothing_is_another_ones(connections, book, monkeypatch):
    """Else a server that is away for a while would leave the engine without connections for good."""
    monkeypatch.setattr(module, "CONNECTION_WAIT_S", 0.01)
    with monkeypatch.context() as away:
        away.setattr(book.engine, "raw_connection", lambda: 1 / 0)
        for _ in range(2 * book.engine.pool.size()):
            with pytest.raises(ZeroDivisionError):
                connections.take()
    connections.give_back(connections.take())


def test_an_engine_that_is_disposed_of_takes_them_along(connections, book):
    connection = connections.take()
    connections.give_back(connection)
    book.engine.dispose()
    assert not connection.is_valid


@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
def test_one_whose_server_has_gone_is_not_used_again(connections, book, monkeypatch):
    connection = connections.take()
    pid = connection.info["pid"] = connection.dbapi_connection.get_backend_pid()
    connections.give_back(connection)
    book.rows("SELECT pg_terminate_backend(:pid)", pid=pid)
    select([connection], [], [], 5.0)  # until its end has arrived
    monkeypatch.setattr(module, "TRUSTED_S", 0.0)
    assert connections.take().dbapi_connection.get_backend_pid() != pid


@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
def test_one_that_was_lost_in_use_is_not_kept(connections, book):
    connection = connections.take()
    connection.invalidate()
    connections.give_back(connection)
    assert connections.take() is not connection
