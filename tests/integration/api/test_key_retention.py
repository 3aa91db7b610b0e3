"""`saga prune --keys-days`: how long an Idempotency-Key leads to its saga, or to the answer that it was deleted."""

import pytest
from sqlalchemy import text

from app.cli.group import saga
from app.store.database import db

DATA = {"client_id": 4, "magasin_id": 1}


@pytest.fixture
def create(client):
    def create(key="order-1", **changes):
        body = {"type": "checkout", "data": DATA | changes}
        return client.post("/api/v1/sagas", json=body, headers={"Idempotency-Key": key})

    return create


@pytest.fixture
def prune(client):
    def prune(*options):
        done = client.application.test_cli_runner().invoke(saga, ["prune", *options], catch_exceptions=False)
        assert done.exit_code == 0
        return done.stdout

    return prune


def ended_long_ago():
    for statement in (
        "UPDATE saga SET status = 'completed', created_at = '2000-01-01', updated_at = '2000-01-01'",
        "DELETE FROM outbox",
    ):
        db.session.execute(text(statement))
    db.session.commit()


def test_repeated_request_is_refused_when_its_saga_was_deleted_and_its_key_was_not(client, create, prune, begun):
    first = create().json["saga"]["id"]
    ended_long_ago()
    assert prune("--days", "1", "--keys-days", "30") == "1 deleted\n0 Idempotency-Keys are free again\n"
    for answer in (create(), create(client_id=5)):
        assert (answer.status_code, answer.json["title"], answer.json["saga_id"]) == (
            422, "The saga of this Idempotency-Key was deleted", first,
        )  # fmt: skip
    starts = [{"key": "order-1", "data": DATA}, {"key": "order-2", "data": DATA}]
    results = client.post("/api/v1/sagas/checkout/batch", json={"starts": starts}).json["results"]
    assert [result["problem"] and result["problem"]["status"] for result in results] == [422, None]
    assert begun() == 1


def test_key_is_free_again_after_its_own_time(create, prune, begun):
    first = create().json["saga"]["id"]
    ended_long_ago()
    assert create().json["saga"]["id"] == first
    assert prune("--days", "100000", "--keys-days", "0.0000001").endswith("\n1 Idempotency-Keys are free again\n")
    second = create().json["saga"]["id"]
    assert second != first
    assert create().json["saga"]["id"] == second
    assert begun() == 2


def test_key_is_free_again_with_its_saga_when_its_time_is_not_given(create, prune, begun):
    first = create().json["saga"]["id"]
    ended_long_ago()
    assert prune("--days", "1") == "1 deleted\n"
    assert create().json["saga"]["id"] != first
    assert begun() == 1
