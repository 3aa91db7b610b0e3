import random
from string import ascii_letters

import pytest
from sqlalchemy import inspect

from app.store.instance import LONGEST_REFERENCE, Instance
from app.store.sagas import FencedError, KeyTakenError, SagaStore
from machines.call import post
from machines.checkout import CHECKOUT
from machines.discovery import discover
from machines.fields import text
from machines.registry import Registry
from machines.saga import Saga
from machines.step import compensatable
from machines.transitions import Trigger


def advance(saga: Instance, **facts) -> None:
    saga.fire(Trigger.SUCCEEDED, actor="engine", step="lire_panier", direction="do", **facts)


def test_a_commit_is_one_statement(stored, saga):
    store = stored.store()
    store.insert(saga, 30, owner="one")
    advance(saga)
    store.save(saga, 30, owner="one")
    assert [statement.split()[0] for statement in stored.statements] == ["INSERT", "UPDATE"]


def test_journal_contains_actor_time_states_reason_and_reply(stored, saga):
    store = stored.store()
    store.insert(saga, 30, owner="one")
    advance(saga, attempt=1, reason="200", status_code=200, reply={"montant": 59.97, "é": [None]}, duration_ms=3.5)
    store.save(saga, 30, owner="one")
    first, second = stored.rows("SELECT * FROM journal ORDER BY seq")
    assert (first["source"], first["trigger"], first["dest"], first["actor"]) == (None, "start", "INITIEE", "client")
    kept = {
        name: second[name] for name in ("seq", "source", "trigger", "dest", "step", "direction", "attempt", "actor")
    }
    assert kept == {
        "seq": 2, "source": "INITIEE", "trigger": "succeeded", "dest": "PANIER_RECUPERE", "step": "lire_panier",
        "direction": "do", "attempt": 1, "actor": "engine",
    }  # fmt: skip
    assert (second["reason"], second["status_code"], second["duration_ms"]) == ("200", 200, 3.5)
    assert first["at"] <= second["at"]
    assert first["reply"] is None


def test_a_write_of_a_past_version_changes_nothing(stored, saga):
    store = stored.store()
    store.insert(saga, 30, owner="one")
    saga.version = 0
    advance(saga)
    with pytest.raises(FencedError):
        store.save(saga, 30, owner="one")
    assert [row["dest"] for row in stored.rows("SELECT dest FROM journal")] == ["INITIEE"]
    assert stored.rows("SELECT state, version FROM saga") == [{"state": "INITIEE", "version": 1}]


def test_a_write_of_a_past_epoch_changes_nothing(stored, saga):
    store = stored.store()
    store.insert(saga, 0, owner="one")
    (claimed,) = stored.leases("two").claim(10, 30)
    saga.version = claimed.version  # if the write named only the version and not the epoch, it would now succeed
    advance(saga)
    with pytest.raises(FencedError):
        store.save(saga, 30, owner="one")
    assert stored.rows("SELECT state, owner FROM saga") == [{"state": "INITIEE", "owner": "two"}]


def test_two_writers_of_one_version_leave_one_write(stored, saga):
    store = stored.store()
    store.insert(saga, 0, owner="one")
    (claimed,) = stored.leases().claim(10, 30)
    twin = Instance(CHECKOUT, claimed.id, claimed.data, claimed.state)
    twin.epoch, twin.version, twin.next_seq = claimed.epoch, claimed.version, claimed.next_seq
    advance(claimed)
    store.save(claimed, 30, owner="one")
    advance(twin)
    with pytest.raises(FencedError):
        store.save(twin, 30, owner="one")
    assert len(stored.rows("SELECT * FROM journal")) == 2


def test_claim_restores_state_and_replies(stored, saga):
    store = stored.store()
    advance(saga, reply={"montant": 5.0, "produits": []})
    saga.fire(Trigger.RETRY, actor="engine", step="reserver_stock", direction="do", reply={"not": "a result"})
    saga.fire(Trigger.DEFER, actor="engine", step="reserver_stock", direction="do")
    saga.error = "why"
    store.insert(saga, 0, owner="one")
    (claimed,) = stored.leases().claim(10, 30)
    assert (claimed.id, claimed.state, claimed.data) == (saga.id, "PANIER_RECUPERE", {"client_id": 4, "magasin_id": 1})
    assert claimed.results == {"lire_panier": {"montant": 5.0, "produits": []}}
    assert (claimed.failed_attempts, claimed.deferrals, claimed.error, claimed.next_seq) == (1, 1, "why", 5)
    assert (claimed.epoch, claimed.in_doubt) == (2, True)


def test_claim_records_the_intent_of_the_call(stored, saga):
    """The claim stores that the call is in doubt, so the first owner can send the call without another commit.

    A later owner finds the call in doubt, because the first owner may have sent it.
    """
    stored.store().insert(saga, 0, owner=None)
    leases = stored.leases()
    (first,) = leases.claim(10, 0)
    assert not first.in_doubt
    assert stored.store().read(saga.id).in_doubt, "a person may cancel it meanwhile"
    (second,) = leases.claim(10, 30)
    assert second.in_doubt


def test_released_saga_is_not_in_doubt(stored, saga):
    store = stored.store()
    store.insert(saga, 0, owner=None)
    (first,) = stored.leases().claim(10, 30)
    store.save(first, 0, owner=None)
    (second,) = stored.leases().claim(10, 30)
    assert (second.in_doubt, second.claims) == (False, 1)


def test_a_saga_under_a_lease_is_not_claimed(stored, saga):
    stored.store().insert(saga, 30, owner="one")
    assert stored.leases("two").claim(10, 30) == []


def test_a_saga_with_nothing_left_to_do_is_never_due(stored, saga):
    stored.store().insert(saga, None, owner=None)
    assert stored.rows("SELECT due_at, owner FROM saga") == [{"due_at": None, "owner": None}]
    stored.leases().expire_all()
    assert stored.leases("two").claim(10, 30) == []


def test_ended_leases_are_claimed_at_once(stored, saga):
    stored.store().insert(saga, 300, owner="one")
    stored.leases("two").expire_all()
    assert [claimed.id for claimed in stored.leases("two").claim(10, 30)] == [saga.id]


def test_claim_obeys_its_limit_and_takes_the_longest_due_first(stored):
    store = stored.store()
    sagas = [Instance.new(CHECKOUT, {"client_id": 4, "magasin_id": 1}, actor="client") for _ in range(5)]
    for number, saga in enumerate(sagas):
        store.insert(saga, -10 + number, owner="one")
    assert {saga.id for saga in stored.leases().claim(2, 30)} == {saga.id for saga in sagas[:2]}
    assert len(stored.leases().claim(10, 30)) == 3


def test_a_saga_of_an_unknown_definition_is_left_untouched(stored, saga):
    stored.store().insert(saga, 0, owner="one")
    before = stored.rows("SELECT epoch, version, owner FROM saga")
    assert stored.leases("two", Registry([])).claim(10, 30) == []
    assert stored.rows("SELECT epoch, version, owner FROM saga") == before


def test_an_idempotency_key_belongs_to_one_saga(stored, saga):
    store = stored.store()
    saga.sent_key = saga.key = "k"
    saga.fingerprint = "f"
    store.insert(saga, 30, owner="one")
    other = Instance.new(CHECKOUT, {"client_id": 5, "magasin_id": 1}, actor="client")
    other.sent_key = other.key = "k"
    with pytest.raises(KeyTakenError):
        store.insert(other, 30, owner="one")
    (found,) = store.find_keys("k", "other")
    assert (found.id, found.fingerprint) == (saga.id, "f")
    assert store.find_keys("other") == []
    assert len(stored.rows("SELECT * FROM journal")) == 1


def test_text_of_any_kind_survives(stored):
    data = {"client_id": 2**62, "magasin_id": 1, "text": "'; DROP TABLE saga; -- \\ \" é 漢 🐍 \u2028"}
    stored.store().insert(Instance.new(CHECKOUT, data, actor="client"), 0, owner="one")
    (claimed,) = stored.leases().claim(10, 30)
    assert claimed.data == data


def test_unreadable_saga_does_not_delay_others(stored, saga):
    """The saga's table was changed in place and no longer has the saga's state."""
    stored.store().insert(saga, 0, owner="one")
    stored.rows("UPDATE saga SET state = 'NOWHERE'")
    other = Instance.new(CHECKOUT, {"client_id": 5, "magasin_id": 1}, actor="client")
    stored.store().insert(other, 0, owner="one")
    assert [claimed.id for claimed in stored.leases().claim(10, 30)] == [other.id]


def test_only_a_commit_late_in_its_lease_renews_the_lease(stored, saga):
    now = [0.0]
    store = SagaStore(stored.connections, discover(), "one", lambda: now[0])
    store.insert(saga, 35, "one")
    began = due_at(stored)
    now[0] = 14.0
    store.save(saga, 35, "one", enough_s=20)
    assert due_at(stored) == began
    now[0] = 16.0
    store.save(saga, 35, "one", enough_s=20)
    assert due_at(stored) > began


def test_first_commit_after_a_read_takes_the_lease(stored, saga):
    stored.store().insert(saga, 35, "one")
    other = stored.store("two").read(saga.id)
    stored.store("two").save(other, 350, "two", enough_s=20)
    (row,) = stored.rows("SELECT owner FROM saga")
    assert row["owner"] == "two"
    assert other.lease_end < float("inf")


@pytest.mark.filterwarnings("ignore:Skipped unsupported reflection of expression-based index")
def test_no_index_contains_a_column_that_every_commit_changes(stored):
    """With such a column in an index, PostgreSQL would write an entry into every index at each commit."""
    indexed = {column for index in inspect(stored.engine).get_indexes("saga") for column in index["column_names"]}
    assert {"status", "due_at", "created_at"} <= indexed
    assert not indexed & {"state", "version", "entered_at", "updated_at", "moves", "attempt", "unsure", "claims"}


def due_at(stored):
    return stored.rows("SELECT due_at FROM saga")[0]["due_at"]


def test_long_client_and_store_names_are_shortened(stored):
    """Both columns are indexed, and PostgreSQL refuses an index entry of 20,000 random letters."""
    case = compensatable(
        "hold",
        post("alpha", "/hold", case="case"),
        undo=post("alpha", "/hold/undo", case="case"),
        done="HELD",
        refused="NOT_HELD",
    )
    long = Saga(
        name="long",
        version=1,
        initial="L0",
        completed="HELD",
        compensated="L_UNDONE",
        client="case",
        store="case",
        data={"case": text()},
        participants=("alpha",),
        steps=(case,),
    )
    words = "".join(random.choices(ascii_letters, k=20_000))
    stored.store(registry=Registry([long])).insert(Instance.new(long, {"case": words}, actor="client"), 30, owner="one")
    kept = words[:LONGEST_REFERENCE]
    assert stored.rows("SELECT client, store FROM saga") == [{"client": kept, "store": kept}]
