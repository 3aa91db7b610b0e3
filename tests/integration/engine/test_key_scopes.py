"""An Idempotency-Key belongs to its sender and to one type of saga.

This also holds for a saga that a release before this rule stored.
"""

from uuid import UUID

import pytest

from app.engine.idempotency import as_sent
from app.errors import KeyReusedError, SagaDeletedError, StillRunningError
from machines.order import ORDER
from tests.integration.engine.inputs import at_once
from tests.integration.engine.scene import NOT_SENT

CART = {"client_id": 4, "magasin_id": 1}
OTHER_CART = {"client_id": 5, "magasin_id": 1}
AN_ORDER = {"client_id": 4, "magasin_id": 1, "produits": [{"produit_id": "456", "quantite": 1}]}


@pytest.fixture(params=["start", "create"])
def ask(scene, request):
    def ask(by, data=CART, key="order-1", name="checkout", sent=None):
        return getattr(scene.service, request.param)(name, data, key, by=by, sent=data if sent is None else sent)

    return ask


def of_before(scene, by="NULL"):
    """Remove the values that releases before migration 0006 do not store. Set the sender of the saga to `by`."""
    with scene.database.begin() as connection:
        connection.exec_driver_sql(f"UPDATE saga SET started_by = {by}, sent_digest = NULL, table_digest = NULL")


def test_two_senders_of_one_key_get_their_own_saga_each_time(scene, ask):
    a, b = ask("key:a"), ask("key:b", OTHER_CART)
    assert a.id != b.id
    assert (ask("key:a").id, ask("key:b", OTHER_CART).id) == (a.id, b.id)
    assert ask("key:b", OTHER_CART).replayed
    rows = scene.rows("SELECT started_by, idempotency_key FROM saga ORDER BY started_by")
    assert [(row["started_by"], as_sent(row["idempotency_key"])) for row in rows] == [
        ("key:a", "order-1"), ("key:b", "order-1"),
    ]  # fmt: skip


def test_one_key_starts_sagas_of_two_types(scene, ask):
    checkout, order = ask("key:a"), ask("key:a", AN_ORDER, name=ORDER.name)
    assert checkout.id != order.id
    assert ask("key:a", AN_ORDER, name=ORDER.name).id == order.id


@pytest.mark.parametrize("by", ["key:a", "key:b"])
def test_key_with_other_data_is_refused(ask, by):
    ask("key:a")
    ask("key:b")
    with pytest.raises(KeyReusedError):
        ask(by, OTHER_CART)


def test_many_requests_of_two_senders_start_one_saga_each(scene):
    ids = at_once(lambda: str(scene.service.start("checkout", CART, "k", by="key:a", sent=CART).id), number=4)
    ids += at_once(lambda: str(scene.service.start("checkout", CART, "k", by="key:b", sent=CART).id), number=4)
    assert len(set(ids) - {"conflict"}) == 2
    assert len(scene.rows("SELECT id FROM saga")) == 2
    assert scene.calls.count("payer") == 2


def test_saga_from_before_the_upgrade_is_found_by_its_key(scene, ask):
    before = ask("key:a")
    of_before(scene)
    assert ask("key:a").id == before.id
    with pytest.raises(KeyReusedError):
        ask("key:a", OTHER_CART)


def test_old_replica_finds_a_new_saga_by_its_key_and_data(scene, ask):
    begun = ask("key:a", sent={"client_id": 4})
    of_before(scene)  # a release before migration 0006 reads and writes the remaining columns
    assert scene.rows("SELECT idempotency_key FROM saga") == [{"idempotency_key": "order-1"}]
    assert ask("key:a", sent={"anything": "else"}).id == begun.id


def test_release_with_another_default_finds_the_same_saga(ask):
    begun = ask("key:a", CART, sent={"client_id": 4})
    assert ask("key:a", OTHER_CART, sent={"client_id": 4}).id == begun.id
    with pytest.raises(KeyReusedError):
        ask("key:a", CART, sent=CART)


def test_order_of_members_and_form_of_numbers_do_not_matter(ask):
    begun = ask("key:a", sent={"client_id": 4, "lines": [{"n": 1.0}]})
    assert ask("key:a", sent={"lines": [{"n": 1}], "client_id": 4.0}).id == begun.id
    with pytest.raises(KeyReusedError):
        ask("key:a", sent={"client_id": 4, "lines": [{"n": True}]})


def test_key_stays_its_senders_after_another_saga_was_deleted(scene, ask):
    first, second = ask("key:a"), ask("key:b")
    with scene.database.begin() as connection:
        connection.exec_driver_sql("DELETE FROM saga WHERE started_by = 'key:a'")
    assert ask("key:b").id == second.id
    assert ask("key:a").id not in (first.id, second.id)


def test_key_of_a_deleted_saga_belongs_to_its_sender_alone(scene, ask):
    first = ask("key:a")
    with scene.database.begin() as connection:
        connection.exec_driver_sql("UPDATE request_key SET outlives_saga = true")
        connection.exec_driver_sql("DELETE FROM saga")
    with pytest.raises(SagaDeletedError) as refused:
        ask("key:a")
    assert refused.value.members == {"saga_id": str(first.id)}
    second = ask("key:b")
    assert ask("key:b").id == second.id
    assert ask("key:a", AN_ORDER, name=ORDER.name).id not in (first.id, second.id)


def test_key_that_is_committed_before_its_saga_is_in_use(scene, ask):
    """Only a distributed database commits them one after the other. Elsewhere a test deletes the saga's row."""
    first = ask("key:a")
    with scene.database.begin() as connection:
        connection.exec_driver_sql("CREATE TEMPORARY TABLE kept AS SELECT * FROM request_key")
        connection.exec_driver_sql("DELETE FROM saga")
        connection.exec_driver_sql(
            "INSERT INTO request_key SELECT * FROM kept WHERE key NOT IN (SELECT key FROM request_key)"
        )
    with pytest.raises(StillRunningError) as refused:
        ask("key:a")
    assert UUID(refused.value.members["saga_id"]) == first.id


def test_saga_runs_although_another_sender_took_its_key(scene):
    """While the first read of this saga is in flight, another sender starts a saga with the same key."""

    def meanwhile(_request):
        scene.at_each_call = lambda _request: None
        scene.given(payer=[NOT_SENT])
        scene.service.create("checkout", CART, "order-1", by="key:b", sent=CART)

    scene.at_each_call = meanwhile
    scene.given(lire_panier=[])
    begun = scene.service.start("checkout", CART, "order-1", by="key:a", sent=CART)
    assert begun.status == "completed"
    assert {row["started_by"] for row in scene.rows("SELECT started_by FROM saga")} == {"key:a", "key:b"}
    assert isinstance(begun.id, UUID)
