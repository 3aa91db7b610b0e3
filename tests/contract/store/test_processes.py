"""The list of processes: by role, with the connections that they may open, and the limit of the server."""

import pytest
from sqlalchemy import text

from app.engine.heartbeat import Heartbeat
from app.store.leases import Replicas
from app.store.processes import running_processes
from tests.support.databases import service_engine

POSTGRESQL = pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
#: PostgreSQL's max_connections (100) without those that are reserved for superusers (3).
ALLOWED = 97


@pytest.fixture
def engine(store_url):
    engine = service_engine(store_url)
    yield engine
    engine.dispose()


def running(engine):
    with engine.connect() as connection:
        return running_processes(connection)


def run(engine, sql):
    with engine.connect() as connection:
        connection.execute(text(sql))


def test_processes_are_counted_by_role_with_their_connections(engine):
    assert running(engine).by_role == {"web": 0, "worker": 0}
    Replicas(engine, "a", connections=24).beat()
    Replicas(engine, "b", connections=10).beat(role="worker")
    Replicas(engine, "c", connections=10).beat(role="worker")
    found = running(engine)
    assert (found.by_role, found.count, found.connections) == ({"web": 1, "worker": 2}, 3, 44)


def test_process_that_left_or_is_silent_is_not_counted(engine):
    left, silent = Replicas(engine, "left", connections=24), Replicas(engine, "silent", connections=24)
    left.beat()
    silent.beat()
    left.leave()
    past = "'2020-01-01 00:00:00+00'" if engine.dialect.name == "postgresql" else "0"
    run(engine, f"UPDATE replica SET beat_at = {past}")
    assert (running(engine).count, running(engine).connections) == (0, 0)


def test_process_that_starts_deletes_the_rows_of_processes_killed_long_ago(engine):
    Replicas(engine, "killed").beat()
    hour_ago = "beat_at - interval '61 minutes'" if engine.dialect.name == "postgresql" else "beat_at - 3660"
    run(engine, f"UPDATE replica SET beat_at = {hour_ago}")
    Replicas(engine, "silent").beat()
    Heartbeat(Replicas(engine, "new")).beat()
    with engine.connect() as connection:
        assert {row.owner for row in connection.execute(text("SELECT owner FROM replica"))} == {"silent", "new"}


def test_process_of_an_earlier_release_has_an_unknown_role(engine):
    Replicas(engine, "old", connections=24).beat()
    run(engine, "UPDATE replica SET role = NULL, connections = NULL")
    assert running(engine).by_role == {"web": 0, "worker": 0, "unknown": 1}
    assert running(engine).connections == 0


@POSTGRESQL
def test_limit_is_that_of_the_server_the_database_and_the_role(engine):
    assert running(engine).allowed == ALLOWED
    name = engine.url.database
    try:
        run(engine, f'ALTER DATABASE "{name}" CONNECTION LIMIT 50')
        assert running(engine).allowed == 50
        run(engine, "ALTER ROLE postgres CONNECTION LIMIT 40")
        assert running(engine).allowed == 40
    finally:
        run(engine, "ALTER ROLE postgres CONNECTION LIMIT -1")
        run(engine, f'ALTER DATABASE "{name}" CONNECTION LIMIT -1')


def test_no_limit_is_known_behind_a_pooler_or_on_sqlite(engine):
    engine.pool.behind_pooler = True
    Replicas(engine, "a", connections=1000).beat()
    assert running(engine).allowed is None
    assert not running(engine).too_many


@POSTGRESQL
@pytest.mark.parametrize(("connections", "warnings"), [(ALLOWED, 0), (ALLOWED + 1, 1)])
def test_process_warns_once_when_the_sum_is_above_the_limit(engine, capsys, connections, warnings):
    Replicas(engine, "first", connections=24).beat()
    heartbeat = Heartbeat(Replicas(engine, "second", connections=connections - 24))
    for _ in range(3):
        heartbeat.beat()
    lines = [line for line in capsys.readouterr().out.splitlines() if "database.connections_short" in line]
    assert len(lines) == warnings
    if lines:
        assert f'"connections":{connections},"allowed":{ALLOWED}' in lines[0]
    assert heartbeat.last_error is None, "the process is ready: connections are opened only when they are needed"
