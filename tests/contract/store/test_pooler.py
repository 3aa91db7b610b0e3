"""Behind pgbouncer, in both of its modes: prepared statements, session settings and a small pool."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import psycopg2
import pytest
from sqlalchemy import create_engine, text

from app.store.database import database_options, make_durable
from app.store.instance import Instance
from app.store.leases import Leases
from app.store.sagas import SagaStore
from app.store.service_role import grant_rights
from app.store.statements import Connections
from app.store.tenants import acting_for
from app.store.transactions import atomic
from machines.checkout import CHECKOUT
from machines.discovery import discover
from machines.transitions import Trigger
from tests.support.databases import own_database, service_engine
from tests.support.waiting import eventually, free_port

pytestmark = pytest.mark.programs
POOL = 3


@contextmanager
def pgbouncer(server: str, mode: str, user: str = "postgres") -> Iterator[str]:
    """Return the URL (with %s for the database's name) of a pgbouncer with POOL connections to the tests' server.

    user: the database user of all connections.
    """
    data, port = Path(server.split("host=")[1]), free_port()
    folder = Path(tempfile.mkdtemp(prefix="bouncer"))
    folder.chmod(0o755)
    (folder / "ini").write_text(
        f"[databases]\n* = host={data} port=5432 user={user}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n"
        f"listen_port = {port}\nunix_socket_dir =\nauth_type = any\npool_mode = {mode}\n"
        f"default_pool_size = {POOL}\nmax_client_conn = 500\n"
    )
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            ["pgbouncer", folder / "ini"], stdout=log, stderr=log, user=data.owner(), group=data.group()
        )
    url = f"postgresql+psycopg2://postgres@127.0.0.1:{port}/%s"
    try:
        eventually(lambda: answers(url % "postgres"), f"pgbouncer answers; see {folder / 'log'}")
        yield url
    finally:
        process.terminate()
        process.wait()
        shutil.rmtree(folder)


def answers(url: str) -> bool:
    try:
        psycopg2.connect(url.replace("+psycopg2", "")).close()
    except psycopg2.OperationalError:
        return False
    return True


@pytest.fixture(params=["session", "transaction"])
def pooled_url(request, postgres_server, postgres_template):
    for url in own_database(postgres_server, postgres_template):
        with pgbouncer(postgres_server, request.param) as pooler:
            yield pooler % url.split("/")[3].split("?")[0]


@pytest.fixture
def process(pooled_url):
    """Return a function that makes a store and an SQLAlchemy engine, as one process has them."""
    made = []

    def make():
        engine = create_engine(pooled_url, **database_options(pooled_url, 4))
        make_durable(engine)
        made.append(engine)
        return SagaStore(Connections(engine), discover(), f"process {len(made)}"), engine

    yield make
    for engine in made:
        engine.dispose()


def run(store, index):
    saga = Instance.new(CHECKOUT, {"client_id": index, "magasin_id": 1}, actor="client")
    store.insert(saga, 30, owner=store.owner)
    for step in ("lire_panier", "reserver_stock"):
        saga.fire(Trigger.SUCCEEDED, actor="engine", step=step, direction="do")
        store.save(saga, 30, owner=store.owner)
    assert store.read(saga.id).state == saga.state


def test_two_processes_share_a_pool_smaller_than_their_own(process):
    """In session mode both processes must get connections.

    In transaction mode each prepared statement must be found on every connection.
    """
    processes = [process() for _ in range(2)]
    with ThreadPoolExecutor(24) as pool:
        running = [pool.submit(run, store, index) for index in range(60) for store, _ in processes]
        claiming = [pool.submit(Leases(engine, discover(), "other").claim, 1, 30) for _, engine in processes]
    for done in running + claiming:
        done.result()


def test_session_settings_arrive_at_the_server(process):
    _, engine = process()
    with engine.connect() as connection:
        connection.execute(text("SELECT 1"))
        shown = [
            connection.execute(text(f"SHOW {name}")).scalar_one()
            for name in ("TimeZone", "client_encoding", "default_transaction_isolation", "statement_timeout")
        ]
    assert shown == ["UTC", "UTF8", "read committed", "30s"]


@pytest.fixture
def served(postgres_server, postgres_template):
    """The engine of a process that signs in as the service's role, behind a pooler in transaction mode."""
    role = f"pooled_{os.getpid()}"
    for url in own_database(postgres_server, postgres_template):
        owner = create_engine(url.replace("postgresql:", "postgresql+psycopg2:"))
        with owner.begin() as connection:
            connection.execute(text(f"CREATE ROLE {role} LOGIN"))
        grant_rights(owner, role)
        name = url.split("/")[3].split("?")[0]
        with pgbouncer(postgres_server, "transaction", role) as pooler:
            engine = service_engine(pooler % name)
            yield engine, role, f"{name}_all_tenants"
            engine.dispose()
        with owner.begin() as connection:
            for each in (role, f"{name}_all_tenants"):
                connection.execute(text(f"DROP OWNED BY {each}"))
                connection.execute(text(f"DROP ROLE {each}"))
        owner.dispose()


def test_each_query_for_all_tenants_takes_their_role_for_itself(served):
    engine, role, all_tenants = served
    user, plan = text("SELECT current_user"), text("EXPLAIN SELECT FROM saga WHERE right(id::text, 8) = 'x'")
    with engine.connect() as connection:
        assert connection.scalar(user) == all_tenants
        assert connection.scalar(text("SHOW role")) == "none", "nothing is left for the next client of the pooler"
        assert "saga.tenant" in "\n".join(connection.scalars(plan)), "the service's own role reads through policies"
        with acting_for("acme"):
            assert connection.scalar(user) == role
    with atomic(engine) as connection:
        assert connection.scalar(user) == all_tenants
        assert "saga.tenant" not in "\n".join(connection.scalars(plan))
