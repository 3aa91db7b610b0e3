"""Celery workers run the branches of a saga: any worker runs any branch, and each effect happens once."""

from contextlib import contextmanager

import pytest
import requests

from tests.e2e.family import SAGAS, Book
from tests.e2e.fleet import Fleet, owner
from tests.e2e.servers import Redis, begun
from tests.support.databases import own_database
from tests.support.waiting import eventually

pytestmark = pytest.mark.programs
LINES = 12


@pytest.fixture(scope="module")
def shop():
    book = Book()
    yield book
    book.close()


@pytest.fixture(scope="module")
def fleet(postgres_server, postgres_template, shop, tmp_path_factory):
    """Return a fleet of two workers. Recovery is slow, so that branches run in time only when they are woken."""
    log = tmp_path_factory.mktemp("fleet") / "log"
    with begun(Redis) as redis, contextmanager(own_database)(postgres_server, postgres_template) as url:
        redis.wait()
        settings = {"DATABASE_URL": url, "BROKER_URL": redis.url, "SAGAS": str(SAGAS), "PARTICIPANT_SHOP_URL": shop.url}
        fleet = Fleet(log, RECOVERY_INTERVAL_S="60", THREADS="4", **settings)
        try:
            fleet.workers(2)
            yield fleet
        finally:
            fleet.end()


@pytest.fixture(scope="module")
def web(fleet):
    return fleet.web()


@pytest.mark.parametrize("refused", ["", "archive"], ids=["completed", "compensated"])
def test_workers_run_each_and_together_and_each_effect_happens_once(fleet, web, shop, refused):
    shop.refused, shop.delays = refused, {"hold": 0.1}
    shop.effects.clear()
    shop.changes.clear()
    data = {"lines": [{"sku": f"s{number}"} for number in range(LINES)]}
    started = requests.post(
        f"{web.url}/api/v1/sagas/fulfilment", json=data, headers={"Prefer": "respond-async"}, timeout=60
    )
    assert started.status_code == 202, started.text
    saga = started.json()["id"]
    status = "compensated" if refused else "completed"
    ended = "SELECT count(*) FROM saga WHERE id = %s AND status = %s"
    eventually(lambda: fleet.rows(ended, saga, status)[0][0] == 1, f"it is {status}; see {fleet._log}", 60)
    tree = [str(row[0]) for row in fleet.rows("SELECT id FROM saga WHERE id = %s OR parent_id = %s", saga, saga)]
    assert len(tree) == 1 + LINES + 2
    assert fleet.rows("SELECT count(*) FROM saga WHERE status <> %s AND parent_id = %s", status, saga) == [(0,)]
    assert fleet.actors(tree) == {owner(worker) for worker in fleet.workers(2)}
    assert set(shop.changes.values()) <= {0, 1}
    assert shop.standing().get("hold", 0) == (0 if refused else LINES)
