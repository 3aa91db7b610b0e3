from uuid import uuid4

from participants.ecommerce import purchases

ROW = {"client_id": 4, "produits": [{"id": "456", "name": "Cable", "quantity": 1, "price": 29_99}], "montant": 29_99}


def test_a_purchase_is_recorded_once_and_found_by_its_key_on_each_database(serve, database_url):
    with serve("ecommerce", database_url).app.app_context():
        saga_id, returned = uuid4(), uuid4()
        for _ in range(2):
            purchases.record(saga_id, "key", **ROW)
        purchases.record(returned, "another", retour_de=str(saga_id), **ROW)
        assert (purchases.of_key("key"), purchases.of_key("none")) == (saga_id, None)
        assert purchases.find(saga_id)["moment"].tzinfo is not None
        assert [it["saga_id"] for it in purchases.latest()] == [str(saga_id)]
        assert [it["saga_id"] for it in purchases.returns_of(saga_id)] == [str(returned)]
        assert purchases.latest_of(4)["saga_id"] == str(saga_id)
        assert purchases.balance() == {"achats": 1, "retours": 1}
