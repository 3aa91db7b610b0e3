"""Many starts in one request: a result for each, one commit, and the same results for a repeated batch."""

from uuid import UUID

import pytest
from sqlalchemy import event

from app.services import services
from app.store.database import db
from app.store.models import SagaRow
from machines.purchase import PURCHASE as TABLE
from machines.samples import example

PURCHASE = example(TABLE.data)
BATCH = "/api/v1/sagas/purchase_saga/batch"


def start(key, **changes):
    return {"key": key, "data": PURCHASE | changes}


def send(client, *starts, **headers):
    return client.post(BATCH, json={"starts": list(starts)}, headers=headers)


def results(client, *starts):
    answer = send(client, *starts)
    assert answer.status_code == 200, answer.text
    return answer.get_json()["results"]


def pointers(result):
    return [error["pointer"] for error in result["problem"]["errors"]]


def test_each_start_of_a_batch_gets_its_saga_in_order(client, begun):
    found = results(client, *(start(f"b-{number}", customer_id=number + 1) for number in range(20)))
    assert [each["key"] for each in found] == [f"b-{number}" for number in range(20)]
    assert {(each["replayed"], each["problem"]) for each in found} == {(False, None)}
    assert {each["saga"]["status"] for each in found} == {"in_progress"}
    customers = [db.session.get(SagaRow, UUID(each["saga"]["id"])).data["customer_id"] for each in found]
    assert customers == list(range(1, 21))
    assert begun() == 20


def test_a_batch_is_one_commit(client):
    commits = []

    @event.listens_for(db.engine, "before_cursor_execute")
    def note(_connection, _cursor, statement, *_):
        commits.extend([statement] if statement in ("COMMIT", "ROLLBACK") else [])

    results(client, *(start(f"c-{number}") for number in range(5)))
    assert commits == ["COMMIT"]


def test_a_bad_start_gets_its_own_problem_and_stops_no_other(client, begun):
    found = results(
        client,
        start("good-1"),
        start("bad", amount=1.001),
        {"data": PURCHASE},
        {"key": "é", "data": PURCHASE},
        {"key": " k", "data": PURCHASE},
        start("text") | {"data": "none"},
        start("more") | {"more": 1},
        "no object",
        start("good-2"),
    )
    assert [bool(each["saga"]) for each in found] == [True, *[False] * 7, True]
    assert [pointers(each) for each in found[1:-1]] == [
        ["/starts/1/data/amount"], ["/starts/2/key"], ["/starts/3/key"], ["/starts/4/key"],
        ["/starts/5/data"], ["/starts/6/more"], ["/starts/7"],
    ]  # fmt: skip
    assert [each["key"] for each in found] == ["good-1", "bad", None, None, None, "text", "more", None, "good-2"]
    assert {each["problem"]["status"] for each in found[1:-1]} == {400}
    assert begun() == 2


def test_a_value_that_cannot_be_stored_stops_no_other_start(client, begun):
    deep = []
    for _ in range(200):
        deep = [deep]
    starts = start("nul", payment_method="a\0"), start("deep", items=deep), start("name", **{"a\0": 1}), start("good")
    found = results(client, *starts)
    assert [each["problem"] and each["problem"]["status"] for each in found] == [400, 400, 400, None]
    assert pointers(found[0]) == ["/starts/0/data/payment_method"]
    assert "nested deeper than 100" in found[1]["problem"]["detail"]
    assert pointers(found[2]) == ["/starts/2/data/a\ufffd"]
    assert begun() == 1


def test_the_same_batch_again_gets_the_same_sagas(client, begun):
    starts = [start("s-1"), start("s-2", amount=-1), start("s-3")]
    first, again = results(client, *starts), results(client, *starts)
    assert [each["saga"] and each["saga"]["id"] for each in again] == [
        each["saga"] and each["saga"]["id"] for each in first
    ]
    assert [each["replayed"] for each in again] == [True, False, True]
    assert again[1] == first[1]
    assert begun() == 2


def test_a_key_that_began_other_data_is_refused_for_that_start_alone(client, begun):
    first = results(client, start("r-1"))
    found = results(client, start("r-1", customer_id=9), start("r-2"))
    assert (found[0]["problem"]["status"], found[0]["problem"]["saga_id"]) == (422, first[0]["saga"]["id"])
    assert found[1]["saga"]
    assert begun() == 2


def test_a_key_twice_in_a_batch_starts_one_saga(client, begun):
    found = results(client, start("t"), start("t"), start("t", customer_id=9))
    assert found[0]["saga"]["id"] == found[1]["saga"]["id"] == found[2]["problem"]["saga_id"]
    assert [each["replayed"] for each in found] == [False, True, False]
    assert found[2]["problem"]["status"] == 422
    assert begun() == 1


def test_a_batch_and_a_single_start_share_their_keys(client, begun):
    alone = client.post("/api/v1/sagas/purchase_saga", json=PURCHASE, headers={"Idempotency-Key": "shared"})
    (found,) = results(client, start("shared"))
    assert (found["saga"]["id"], found["replayed"]) == (alone.get_json()["id"], True)
    assert begun() == 1


def test_a_key_of_another_type_is_free_in_a_batch(client, begun):
    client.post("/api/v1/sagas/checkout", json={"client_id": 4, "magasin_id": 1}, headers={"Idempotency-Key": "both"})
    (found,) = results(client, start("both"))
    assert (found["key"], found["replayed"]) == ("both", False)
    assert results(client, start("both"))[0]["saga"]["id"] == found["saga"]["id"]
    assert begun() == 2


def test_a_key_that_is_taken_during_the_batch_is_looked_up_again(client, begun, monkeypatch):
    keys, sagas = services(client.application).batches._keys, services(client.application).sagas
    known_all, raced = keys.known_all, []

    def raced_once(new):
        found = known_all(new)
        if not raced:
            raced.append(sagas.create("purchase_saga", PURCHASE, "raced", by="api", sent=PURCHASE).id)
        return found

    monkeypatch.setattr(keys, "known_all", raced_once)
    found = results(client, start("raced"), start("other"))
    assert (found[0]["saga"]["id"], found[0]["replayed"]) == (str(raced[0]), True)
    assert begun() == 2


@pytest.mark.parametrize(
    ("body", "pointer"), [({}, "/starts"), ({"starts": []}, "/starts"), ({"starts": [1] * 1001}, "/starts"),
                          ({"starts": {}}, "/starts"), ({"starts": [1], "wait": 5}, "/wait")],
)  # fmt: skip
def test_a_body_that_is_no_batch_is_refused_as_a_whole(client, body, pointer):
    answer = client.post(BATCH, json=body)
    assert (answer.status_code, pointers({"problem": answer.get_json(force=True)})) == (400, [pointer])


@pytest.mark.parametrize(
    ("name", "value"), [("Prefer", "wait=5"), ("Prefer", "respond-async"), ("Idempotency-Key", "k")]
)
def test_a_header_that_a_batch_would_ignore_is_refused(client, begun, name, value):
    answer = send(client, start("h"), **{name: value})
    assert answer.status_code == 400
    assert answer.get_json(force=True)["detail"].startswith(f"{name}: ")
    assert begun() == 0


def test_a_thousand_starts_fit_and_one_start_stays_bounded(client, begun):
    many = [start(f"m-{number}", payment_method="x" * 100) for number in range(1000)]
    assert sum(bool(each["saga"]) for each in results(client, *many)) == 1000
    large = start("large", items=[PURCHASE["items"][0] | {"product_id": 1, "note": "x" * 300_000}])
    found = results(client, large, start("small"))
    assert [bool(each["saga"]) for each in found] == [False, True]
    assert pointers(found[0]) == ["/starts/0/data"]
    assert client.post(BATCH, data=b" " * (4 * 1024 * 1024 + 1), content_type="application/json").status_code == 413
    assert begun() == 1001


def test_no_batch_path_matches_the_id_of_a_saga(client):
    saga_id = "00000000-0000-4000-8000-000000000000"
    assert client.post(f"/api/v1/sagas/{saga_id}/batch", json={"starts": [start("k")]}).status_code == 404
    assert client.post("/api/v1/sagas/trvael/batch", json={"starts": [start("k")]}).status_code == 404


def test_a_key_that_becomes_free_during_the_batch_is_looked_up_again(client, monkeypatch):
    """The batch must store the key as it was sent, not in its written-out form with the sender and the type.

    Otherwise the next request with this key would not find the saga.
    """
    client.post("/api/v1/sagas/checkout", json={"client_id": 4, "magasin_id": 1}, headers={"Idempotency-Key": "both"})
    keys = services(client.application).batches._keys
    known_all = keys.known_all

    def pruned(new):
        found = known_all(new)
        db.session.query(SagaRow).delete()
        db.session.commit()
        monkeypatch.undo()
        return found

    monkeypatch.setattr(keys, "known_all", pruned)
    (found,) = results(client, start("both"))
    assert found["saga"]
    assert [row.idempotency_key for row in db.session.query(SagaRow)] == ["both"]
