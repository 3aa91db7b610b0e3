"""What only a distributed database does. tests/README.md says how this and the other tests run on Citus."""

import os
from uuid import RFC_4122, UUID, uuid4

import pytest

from app import create_app
from app.config import from_environment
from app.errors import ConflictError
from app.store import retention, tenants
from app.store.citus import is_distributed, near
from app.store.database import db
from app.store.instance import Instance
from app.store.partitions import partition
from app.store.saga_ids import new_id
from app.store.sagas import KeyTakenError
from machines.checkout import CHECKOUT

pytestmark = pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
on_citus = pytest.mark.skipif("CITUS_URL" not in os.environ, reason="CITUS_URL names no Citus database")


@on_citus
def test_setting_of_the_database_shows_that_it_is_distributed(stored):
    assert is_distributed(stored.engine)


@on_citus
def test_ids_of_children_are_on_the_shard_of_their_parent(stored):
    def shards(saga_ids: list[UUID]) -> set[int]:
        shard = "SELECT get_shard_id_for_distribution_column('saga', CAST(:id AS uuid)) AS shard"
        return {stored.rows(shard, id=saga_id)[0]["shard"] for saga_id in saga_ids}

    parent = new_id()
    with stored.engine.connect() as connection:
        assert len(shards([parent, *near(connection, parent, 20)])) == 1
    assert len(shards([new_id() for _ in range(20)])) > 1


@pytest.mark.parametrize("parent", [new_id(), uuid4()], ids=["version 7", "version 4"])
def test_ids_of_children_have_the_time_and_the_hash_of_their_parent(stored, parent):
    with stored.engine.connect() as connection:
        children = near(connection, parent, 20)
    hashes = [
        stored.rows("SELECT uuid_hash(CAST(:id AS uuid)) >> 24 AS hash", id=each)[0]["hash"]
        for each in (parent, *children)
    ]
    assert len(set(hashes)) == 1
    assert {child.hex[:13] for child in children} == {parent.hex[:13]}
    assert {child.variant for child in children} == {RFC_4122}
    assert len(set(children)) == 20


@on_citus
def test_a_key_belongs_to_one_saga_on_any_shard_and_is_free_again_after_its_end(stored, store_url):
    first = _with_key("k")
    stored.store().insert(first, None, None)
    for _ in range(5):  # the ids are on different shards
        with pytest.raises(KeyTakenError):
            stored.store().insert(_with_key("k"), None, None)
    assert len(stored.rows("SELECT id FROM saga")) == len(stored.rows("SELECT saga_id FROM journal")) == 1
    stored.rows("UPDATE saga SET status = 'completed'")
    app = create_app(from_environment({"DATABASE_URL": store_url}))
    with app.app_context():
        assert retention.delete_ended([first.id]) == 1
        db.session.remove()
        db.engine.dispose()
    assert stored.rows("SELECT 1 FROM request_key UNION ALL SELECT 1 FROM journal") == []
    stored.store().insert(_with_key("k"), None, None)


@on_citus
@pytest.mark.parametrize("work", [tenants.provide, partition])
def test_tenants_and_months_are_refused(stored, work):
    with pytest.raises(ConflictError):
        work(stored.engine)


def _with_key(key: str) -> Instance:
    saga = Instance.new(CHECKOUT, {"client_id": 4, "magasin_id": 1}, actor="client")
    saga.sent_key = saga.key = key
    return saga
