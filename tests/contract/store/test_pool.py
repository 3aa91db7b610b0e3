"""The connections of a process when the server allows fewer connections than the process would open."""

import fcntl
import resource
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import psycopg2
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError

from app.store.database import database_options, make_durable
from app.store.database_errors import Meaning, meaning
from app.store.pool import IDLE_S, ended
from app.store.statements import Connections
from tests.support.databases import execute

LIMIT = 6
THREADS = 40
HIGH = 1100  # above the file descriptors that `select` can check


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def limited_url(postgres_server, postgres_url):
    """Return a database URL whose role may open at most LIMIT connections."""
    execute(postgres_server, f"CREATE ROLE limited LOGIN CONNECTION LIMIT {LIMIT}")
    yield postgres_url.replace("postgresql://postgres@", "postgresql+psycopg2://limited@")
    execute(postgres_server, "DROP ROLE limited")


@pytest.fixture
def process(limited_url, clock):
    """Return a function that makes an SQLAlchemy engine and the connections of the sagas, as one process has them."""
    made = []

    def make(**more):
        engine = create_engine(limited_url, **database_options(limited_url, THREADS) | {"clock": clock} | more)
        make_durable(engine)
        made.append(engine)
        return engine, Connections(engine)

    yield make
    for engine in made:
        engine.dispose()


def use(connections):
    connection = connections.take()
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    finally:
        connections.give_back(connection)


def read(engine):
    with engine.connect() as connection:
        return connection.execute(text("SELECT 1")).scalar_one()


def hold(connections, count):
    """Open `count` connections at the same time, and then give all of them back."""
    for connection in [connections.take() for _ in range(count)]:
        connections.give_back(connection)


def test_burst_beyond_the_servers_limit_succeeds(process):
    engine, connections = process()
    with ThreadPoolExecutor(60) as pool:
        used = [pool.submit(use, connections) for _ in range(300)]
        reads = [pool.submit(read, engine) for _ in range(300)]
    for done in used + reads:
        done.result()


def test_read_gets_an_idle_connection_of_the_engine(process):
    engine, connections = process()
    hold(connections, LIMIT)
    assert read(engine) == 1


def test_engine_gets_an_idle_connection_of_the_reads(process):
    engine, connections = process()
    for connection in [engine.connect() for _ in range(LIMIT)]:
        connection.close()
    hold(connections, LIMIT)


def test_a_read_waits_for_a_connection_that_is_in_use(process):
    engine, connections = process()
    taken = [connections.take() for _ in range(LIMIT)]
    reading = threading.Thread(target=read, args=(engine,))
    reading.start()
    while not engine.pool.wanted:
        pass
    connections.give_back(taken.pop())
    reading.join(20)
    assert not reading.is_alive()
    for connection in taken:
        connections.give_back(connection)


def test_idle_connections_become_free_for_another_process(process, clock):
    engine, connections = process()
    hold(connections, LIMIT)
    other, of_another = process()
    with pytest.raises(OperationalError) as refused:
        read(other)
    assert meaning(refused.value) is Meaning.AWAY
    for _ in range(2):  # first `Connections` returns its idle connections to the pool, then the pool closes them
        clock.now += IDLE_S + 1
        engine.pool.close_idle()
    hold(of_another, LIMIT)


def test_connections_in_constant_use_are_kept(process, clock):
    engine, connections = process()
    first = connections.take()
    connections.give_back(first)
    for _ in range(5):
        clock.now += IDLE_S - 1
        engine.pool.close_idle()
        again = connections.take()
        assert again is first
        connections.give_back(again)


def test_process_does_not_wait_when_the_server_refuses_everything(process, limited_url, postgres_server):
    _, connections = process()
    execute(postgres_server, "ALTER ROLE limited NOLOGIN")
    with pytest.raises(psycopg2.OperationalError, match="not permitted"):
        connections.take()
    execute(postgres_server, "ALTER ROLE limited LOGIN")
    use(connections)


def test_process_opens_no_more_connections_than_its_share(process):
    engine, connections = process(pool_size=2, max_overflow=2)
    with ThreadPoolExecutor(20) as pool:
        done = [pool.submit(use, connections) for _ in range(50)] + [pool.submit(read, engine) for _ in range(50)]
    for one in done:
        one.result()
    assert engine.pool.made() <= 4


@pytest.fixture
def many_files():
    """Let this process open file descriptors up to HIGH."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, HIGH + 1), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("many_files")
def test_a_connection_with_a_high_file_descriptor_is_checked():
    """A process with more than 1,024 open files, as with many silent clients, goes on using its database."""
    server, client = socket.socketpair()
    with server, client, socket.socket(fileno=fcntl.fcntl(client, fcntl.F_DUPFD, HIGH)) as high:
        assert not ended(high)
        server.close()
        assert ended(high)
