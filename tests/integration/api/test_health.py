import threading
import time
import uuid
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest
from sqlalchemy import text

from app import create_app
from app.config import from_environment
from app.services import services
from app.store.database import db
from app.version import VERSION


def test_a_migrated_service_is_live_and_ready(client):
    for path in ("/health", "/api/saga/health/"):
        answer = client.get(path).get_json()
        assert (answer["status"], answer["version"]) == ("healthy", VERSION)
    assert (client.get("/ready").status_code, client.get("/ready").get_json()) == (200, {"status": "ready"})


def test_a_database_of_an_earlier_release_is_not_ready(client):
    db.session.execute(text("UPDATE alembic_version SET version_num = '0000'"))
    db.session.commit()
    answer = client.get("/ready")
    assert (answer.status_code, answer.content_type) == (503, "application/problem+json")
    assert "flask --app app db upgrade" in answer.get_json(force=True)["detail"]


def test_replica_stays_ready_while_a_later_release_migrates(client):
    db.session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    db.session.commit()
    assert client.get("/ready").status_code == 200


def test_a_database_that_was_never_migrated_is_live_but_not_ready(database_url):
    app = create_app(from_environment({"DATABASE_URL": database_url}))
    with app.app_context():
        client = app.test_client()
        assert client.get("/health").status_code == 200
        assert client.get("/ready").status_code == 503
        db.session.remove()
        db.engine.dispose()


def test_metrics_name_the_release_of_the_process(client):
    assert f'saga_build_info{{version="{VERSION}"}} 1.0' in client.get("/metrics").get_data(as_text=True)


def test_metrics_count_by_route_and_never_by_saga(client):
    saga_id = "00000000-0000-4000-8000-000000000000"
    client.get(f"/api/commande/{saga_id}")
    exposed = client.get("/metrics").get_data(as_text=True)
    assert 'url_rule="/api/commande/<uuid:saga_id>"' in exposed
    assert saga_id not in exposed


def test_unknown_paths_and_methods_make_no_new_series(client):
    def series():
        return {line.rpartition(" ")[0] for line in client.get("/metrics").get_data(as_text=True).splitlines()}

    def ask(number):
        for method in ("GET", "POST", "DELETE", f"M{number:05}", f"FOO-{number}"):
            answer = client.open(f"/health?{number}", method=method)
            client.open(f"/nothing/{number}/{uuid.uuid4()}", method=method)
            client.open(f"/api/v1/sagas/{uuid.uuid4()}", method=method, headers={"X-API-Key": f"k{number}"})
            assert answer.status_code == (200 if method == "GET" else 405)

    ask(0)
    series()  # the first request for /metrics itself adds some series
    once = series()
    for number in range(1, 20):
        ask(number)
    assert series() == once
    assert any('method="other"' in name for name in once)


def test_unknown_method_is_answered_with_the_allowed_ones(client):
    answer = client.open("/api/v1/sagas", method="BREW")
    assert (answer.status_code, answer.content_type) == (405, "application/problem+json")
    assert "POST" in answer.headers["Allow"]


def test_dead_service_thread_makes_the_replica_not_ready(client, stopping_threads):
    threads = services(client.application).threads
    assert 'saga_thread_alive{thread="relay"} 1.0' in client.get("/metrics").get_data(as_text=True)
    dead = threads.add("relay", lambda _progressed: None, stopping_threads)
    dead.start()
    dead.join()
    answer = client.get("/ready")
    assert (answer.status_code, answer.content_type) == (503, "application/problem+json")
    assert "the thread relay: it has ended" in answer.get_json(force=True)["detail"]
    assert 'saga_thread_alive{thread="relay"} 0.0' in client.get("/metrics").get_data(as_text=True)


@pytest.fixture
def stopping_threads():
    return threading.Event()


def test_unreadable_database_is_not_answered_with_migrate(tmp_path):
    app = create_app(from_environment({"DATABASE_URL": f"sqlite:///{tmp_path / 'nowhere' / 'saga.db'}"}))
    answer = app.test_client().get("/ready")
    assert answer.status_code == 503
    assert "check DATABASE_URL" in answer.get_json(force=True)["detail"]


@contextmanager
def paused(server):
    """Let a PostgreSQL server hang: its connections stay open, and no query is answered."""
    number = int((Path(server.split("host=")[1]) / "postmaster.pid").read_text().split()[0])
    postmaster = psutil.Process(number)
    processes = [postmaster, *postmaster.children(recursive=True)]
    for process in processes:
        process.suspend()
    try:
        yield
    finally:
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.resume()


@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
def test_hanging_database_blocks_neither_readiness_nor_metrics(client, postgres_server):
    """If /ready did not answer, a supervisor would restart the process, which does not repair the database."""
    assert client.get("/ready").status_code == 200
    with paused(postgres_server):
        began = time.monotonic()
        answer = client.get("/ready")
        assert "saga_database_up 0.0" in client.get("/metrics").get_data(as_text=True)
        assert time.monotonic() - began < 30
    assert answer.status_code == 503
    assert client.get("/metrics").status_code == 200
    while client.get("/ready").status_code != 200:
        assert time.monotonic() - began < 60
