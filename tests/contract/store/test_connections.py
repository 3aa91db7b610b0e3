"""`Connections` keeps the connections that the sagas use, and does not return them to SQLAlchemy's pool each time."""

import threading
from multiprocessing.connection import wait

import pytest

from app.store import statements as module
from app.store.statements import Connections, NoConnectionError


@pytest.fixture
def connections(stored):
    return Connections(stored.engine)


def test_connection_is_used_again(connections):
    first = connections.take()
    connections.give_back(first)
    assert connections.take() is first


def test_connection_in_use_is_not_lent_again(connections):
    assert connections.take() is not connections.take()


def test_kept_connections_leave_as_many_for_others(connections, stored):
    most = stored.engine.pool.size()
    taken = [connections.take() for _ in range(most)]
    for connection in taken:
        connections.give_back(connection)
    assert stored.engine.pool.checkedout() == most
    others = [stored.engine.connect() for _ in range(most)]
    for other in others:
        other.close()


def test_threads_wait_when_all_connections_are_in_use(connections, stored):
    """A burst of requests causes neither errors nor more connections to the database."""
    done, most = [], 3 * stored.engine.pool.size()

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
    assert stored.engine.pool.checkedout() <= stored.engine.pool.size()


def test_wait_for_a_connection_has_an_end(connections, stored, monkeypatch):
    monkeypatch.setattr(module, "CONNECTION_WAIT_S", 0.01)
    taken = [connections.take() for _ in range(stored.engine.pool.size())]
    with pytest.raises(NoConnectionError):
        connections.take()
    connections.give_back(taken.pop())
    taken.append(connections.take())
    for connection in taken:
        connections.give_back(connection)


def test_turn_is_given_back_when_connecting_fails(connections, stored, monkeypatch):
    """A turn is the right to use one connection. If turns were lost while the server is away, none would be left."""
    monkeypatch.setattr(module, "CONNECTION_WAIT_S", 0.01)
    with monkeypatch.context() as away:
        away.setattr(stored.engine, "raw_connection", lambda: 1 / 0)
        for _ in range(2 * stored.engine.pool.size()):
            with pytest.raises(ZeroDivisionError):
                connections.take()
    connections.give_back(connections.take())


def test_disposed_engine_closes_its_kept_connections(connections, stored):
    connection = connections.take()
    connections.give_back(connection)
    stored.engine.dispose()
    assert not connection.is_valid


@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
def test_connection_is_not_used_again_when_its_session_has_ended(connections, stored, monkeypatch):
    connection = connections.take()
    pid = connection.info["pid"] = connection.dbapi_connection.get_backend_pid()
    connections.give_back(connection)
    stored.rows("SELECT pg_terminate_backend(:pid)", pid=pid)
    wait([connection], 5.0)  # wait until this process sees that the server has closed the connection
    monkeypatch.setattr(module, "TRUSTED_S", 0.0)
    assert connections.take().dbapi_connection.get_backend_pid() != pid


@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
def test_connection_lost_in_use_is_not_kept(connections, stored):
    connection = connections.take()
    connection.invalidate()
    connections.give_back(connection)
    assert connections.take() is not connection
