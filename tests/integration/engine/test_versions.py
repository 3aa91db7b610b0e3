"""A definition that changes while sagas of it run: each goes on along the table it began with."""

from dataclasses import replace

import pytest
from prometheus_client import CollectorRegistry

from app.errors import ConflictError
from app.store.leases import Leases
from machines.call import post
from machines.checkout import CHECKOUT
from machines.registry import Registry, discover
from machines.saga import Saga
from machines.step import retriable
from tests.integration.engine.scene import NOT_SENT

#: Version 2 thanks the client as well, and confirms under another name.
TOLD = replace(CHECKOUT.steps[-1], done="CONFIRMEE_V2")
NEXT = Saga(
    **{
        **{column: getattr(CHECKOUT, column) for column in CHECKOUT.__dataclass_fields__},
        "version": 2,
        "completed": "REMERCIEE",
        "steps": (*CHECKOUT.steps[:-1], TOLD, retriable("remercier", post("client", "/merci"), done="REMERCIEE")),
    }
)


@pytest.fixture
def both(scene):
    """Both versions at hand, the newer one for whatever begins."""
    scene.registry = Registry([*discover(), NEXT])
    return scene


def test_two_versions_of_a_saga_run_side_by_side(both):
    old = both.given(payer=[NOT_SENT]).run(CHECKOUT, hold_s=0)
    new = both.given(payer=[NOT_SENT]).run(NEXT, hold_s=0)
    both.leases().end()
    for saga in both.leases().claim(10, 30):
        both.engine.run(saga, 1000)
    states = {str(row["id"]).replace("-", ""): row["state"] for row in both.rows("SELECT id, state FROM saga")}
    assert states == {old.id.hex: "CONFIRMEE", new.id.hex: "REMERCIEE"}
    assert both.calls.count("remercier") == 1


def test_a_new_saga_begins_with_the_latest_version(both):
    begun = both.service.start("checkout", {"client_id": 4, "magasin_id": 1})
    assert begun.state == "REMERCIEE"


def test_a_release_that_does_not_know_a_version_leaves_its_sagas_alone_and_says_which(both):
    begun = both.given(payer=[NOT_SENT]).run(NEXT, hold_s=0)
    before = both.rows("SELECT * FROM saga")
    older = replace(both, registry=discover(), metrics=CollectorRegistry())
    leases = older.leases()
    leases.end()
    assert leases.claim(10, 30) == []
    assert [tuple(row) for row in leases.unknown()] == [("checkout", 2)]
    for ask in (older.service.compensate, older.service.retry):
        with pytest.raises(ConflictError, match="saga checkout v2 is not defined in machines/, so it is left as it is"):
            ask(begun.id, "ada", "why not")
    with pytest.raises(ConflictError, match="checkout v2"):
        older.service.execute(begun.id)
    unchanged = ("state", "status", "epoch", "version", "attempt", "claims", "owner")
    after = older.rows("SELECT * FROM saga")
    assert [[row[name] for name in unchanged] for row in after] == [[row[name] for name in unchanged] for row in before]


def test_a_release_that_knows_all_versions_misses_none(both):
    both.given(payer=[NOT_SENT]).run(NEXT, hold_s=0)
    assert both.leases().unknown() == []


def test_only_what_is_overdue_is_taken_where_workers_take_the_rest(scene):
    scene.given(payer=[NOT_SENT]).run(hold_s=0)
    scene.leases().end()
    leases = Leases(scene.database, discover(), "web")
    assert leases.claim(10, 30, overdue_s=60) == []
    assert len(leases.claim(10, 30)) == 1


def test_what_a_process_has_lost_sight_of_is_given_back_at_once_and_nothing_else_is(scene):
    lost, kept = (scene.given(payer=[NOT_SENT]).run(hold_s=0) for _ in range(2))
    scene.leases().end()
    held = {saga.id: saga for saga in scene.leases().claim(10, 30)}
    scene.leases("other").release([held[lost.id]])
    assert scene.leases().claim(10, 30) == [], "it is not the other's to give"
    scene.leases().release([held[lost.id]])
    assert [saga.id for saga in scene.leases().claim(10, 30)] == [lost.id]
    assert held[kept.id].epoch == 2
