"""An Idempotency-Key is one of its sender, for one type of saga; and it holds across the upgrade that made it so."""

from uuid import UUID

import pytest

from app.engine.idempotency import as_sent
from app.errors import KeyReusedError
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
    """Let the one saga there is be one that a release before 0006 wrote, or of another sender."""
    with scene.database.begin() as connection:
        connection.exec_driver_sql(f"UPDATE saga SET started_by = {by}, sent_digest = NULL, table_digest = NULL")


def test_two_senders_of_one_key_get_a_saga_each_and_the_same_one_again(scene, ask):
    a, b = ask("key:a"), ask("key:b", OTHER_CART)
    assert a.id != b.id
    assert (ask("key:a").id, ask("key:b", OTHER_CART).id) == (a.id, b.id)
    assert ask("key:b", OTHER_CART).replayed
    rows = scene.rows("SELECT started_by, idempotency_key FROM saga ORDER BY started_by")
    assert [(row["started_by"], as_sent(row["idempotency_key"])) for row in rows] == [
        ("key:a", "order-1"), ("key:b", "order-1"),
    ]  # fmt: skip


def test_one_key_begins_sagas_of_two_types(scene, ask):
    checkout, order = ask("key:a"), ask("key:a", AN_ORDER, name=ORDER.name)
    assert checkout.id != order.id
    assert ask("key:a", AN_ORDER, name=ORDER.name).id == order.id


@pytest.mark.parametrize("by", ["key:a", "key:b"])
def test_a_key_that_began_a_saga_with_other_data_is_refused_to_its_own_sender(ask, by):
    ask("key:a")
    ask("key:b")
    with pytest.raises(KeyReusedError):
        ask(by, OTHER_CART)


def test_many_requests_of_two_senders_begin_one_saga_each(scene):
    told = at_once(lambda: str(scene.service.start("checkout", CART, "k", by="key:a", sent=CART).id), number=4)
    told += at_once(lambda: str(scene.service.start("checkout", CART, "k", by="key:b", sent=CART).id), number=4)
    assert len(set(told) - {"conflict"}) == 2
    assert len(scene.rows("SELECT id FROM saga")) == 2
    assert scene.calls.count("payer") == 2


def test_a_saga_of_before_the_upgrade_is_found_by_its_key(scene, ask):
    before = ask("key:a")
    of_before(scene)
    assert ask("key:a").id == before.id
    with pytest.raises(KeyReusedError):
        ask("key:a", OTHER_CART)


def test_a_replica_of_before_the_upgrade_finds_a_new_saga_by_its_key_and_data(scene, ask):
    begun = ask("key:a", sent={"client_id": 4})
    of_before(scene)  # what it can read of it
    assert scene.rows("SELECT idempotency_key FROM saga") == [{"idempotency_key": "order-1"}]
    assert ask("key:a", sent={"anything": "else"}).id == begun.id


def test_a_release_with_another_default_gives_the_same_saga_for_what_was_sent(ask):
    begun = ask("key:a", CART, sent={"client_id": 4})
    assert ask("key:a", OTHER_CART, sent={"client_id": 4}).id == begun.id
    with pytest.raises(KeyReusedError):
        ask("key:a", CART, sent=CART)


def test_members_in_another_order_and_1_for_1_0_are_the_same_request(ask):
    begun = ask("key:a", sent={"client_id": 4, "lines": [{"n": 1.0}]})
    assert ask("key:a", sent={"lines": [{"n": 1}], "client_id": 4.0}).id == begun.id
    with pytest.raises(KeyReusedError):
        ask("key:a", sent={"client_id": 4, "lines": [{"n": True}]})


def test_a_key_stays_its_senders_when_the_saga_that_had_it_first_is_deleted(scene, ask):
    first, second = ask("key:a"), ask("key:b")
    with scene.database.begin() as connection:
        connection.exec_driver_sql("DELETE FROM saga WHERE started_by = 'key:a'")
    assert ask("key:b").id == second.id
    assert ask("key:a").id not in (first.id, second.id)


def test_who_loses_the_race_for_a_key_to_another_sender_runs_all_the_same(scene):
    """Another sender's saga takes the key while this one still reads."""

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
