"""A definition changes while its sagas run: each saga continues by the table it started with."""

from dataclasses import fields, replace

import pytest
from prometheus_client import CollectorRegistry

from app.errors import ConflictError
from app.store.leases import Leases
from app.store.statistics import saga_counts
from app.telemetry.saga_gauges import SagaGauges
from machines.call import post
from machines.checkout import CHECKOUT
from machines.discovery import discover
from machines.registry import Registry
from machines.saga import Saga
from machines.step import retriable
from tests.integration.engine.scene import LOST, NOT_SENT

#: Version 2 has one more step, which thanks the client. The state after the confirmation has another name.
TOLD = replace(CHECKOUT.steps[-1], done="CONFIRMEE_V2")
NEXT = Saga(
    **{
        **{column.name: getattr(CHECKOUT, column.name) for column in fields(CHECKOUT)},
        "version": 2,
        "completed": "REMERCIEE",
        "titles": {},
        "steps": (*CHECKOUT.steps[:-1], TOLD, retriable("remercier", post("client", "/merci"), done="REMERCIEE")),
    }
)


@pytest.fixture
def both(scene):
    """Make a process with both versions; a new saga gets the newer one."""
    scene.registry = Registry([*discover(), NEXT])
    return scene


def test_two_versions_of_a_saga_run_side_by_side(both):
    old = both.given(payer=[NOT_SENT]).run(CHECKOUT, max_sleep_s=0)
    new = both.given(payer=[NOT_SENT]).run(NEXT, max_sleep_s=0)
    both.leases().expire_all()
    for saga in both.leases().claim(10, 30):
        both.engine.run(saga, 1000)
    states = {str(row["id"]).replace("-", ""): row["state"] for row in both.rows("SELECT id, state FROM saga")}
    assert states == {old.id.hex: "CONFIRMEE", new.id.hex: "REMERCIEE"}
    assert both.calls.count("remercier") == 1


def test_new_saga_has_the_latest_version(both):
    begun = both.service.start("checkout", {"client_id": 4, "magasin_id": 1})
    assert begun.state == "REMERCIEE"


def test_release_without_a_version_reports_and_leaves_its_sagas(both):
    begun = both.given(payer=[NOT_SENT]).run(NEXT, max_sleep_s=0)
    before = both.rows("SELECT * FROM saga")
    older = replace(both, registry=discover(), metrics=CollectorRegistry())
    leases = older.leases()
    leases.expire_all()
    assert leases.claim(10, 30) == []
    assert [tuple(row) for row in leases.unknown_definitions()] == [("checkout", 2)]
    for ask in (older.service.compensate, older.service.retry):
        with pytest.raises(ConflictError, match="v2 is not defined, so this release does not move the saga"):
            ask(begun.id, "ada", "why not")
    with pytest.raises(ConflictError, match="checkout v2"):
        older.service.execute(begun.id)
    unchanged = ("state", "status", "epoch", "version", "attempt", "claims", "owner")
    after = older.rows("SELECT * FROM saga")
    assert [[row[name] for name in unchanged] for row in after] == [[row[name] for name in unchanged] for row in before]


def test_release_with_all_versions_reports_no_unknown_one(both):
    both.given(payer=[NOT_SENT]).run(NEXT, max_sleep_s=0)
    assert both.leases().unknown_definitions() == []


def stock(scene, registry):
    return saga_counts(scene.database, registry)


def make_due(scene, seconds_ago):
    past = f"strftime('%Y-%m-%d %H:%M:%f', 'now', '-{seconds_ago} seconds') || '000'"
    if scene.database.dialect.name == "postgresql":
        past = f"now() - interval '{seconds_ago} seconds'"
    with scene.database.begin() as connection:
        connection.exec_driver_sql(f"UPDATE saga SET due_at = {past} WHERE due_at IS NOT NULL")


def test_unfinished_sagas_without_their_table_are_counted_by_version(both):
    both.run(NEXT)
    both.given(payer=[NOT_SENT]).run(CHECKOUT, max_sleep_s=0)
    for _ in range(2):
        both.given(payer=[NOT_SENT]).run(NEXT, max_sleep_s=0)
    assert both.given(enregistrer_vente=[LOST] * 9).run(NEXT).status == "stuck"
    known = {(saga.name, saga.version): 0 for saga in discover()}
    assert stock(both, both.registry).unknown == known | {("checkout", 2): 0}, "0 says that a process has the table"
    assert stock(both, discover()).unknown == known | {("checkout", 2): 3}


def test_saga_of_an_edited_table_is_counted_as_unknown(scene):
    begun = scene.given(payer=[NOT_SENT]).run(max_sleep_s=0)
    with scene.database.begin() as connection:
        connection.exec_driver_sql("UPDATE saga SET table_digest = 'another'")
    assert stock(scene, scene.registry).unknown["checkout", 1] == 1
    with scene.database.begin() as connection:
        connection.exec_driver_sql("UPDATE saga SET table_digest = NULL")
    assert stock(scene, scene.registry).unknown["checkout", 1] == 0, "it is of a release that named none"
    scene.leases().expire_all()
    assert [saga.id for saga in scene.leases().claim(10, 30)] == [begun.id]


def test_versions_of_one_saga_are_counted_together_by_state(both):
    for saga in (CHECKOUT, NEXT):
        state = both.given(payer=[NOT_SENT]).run(saga, max_sleep_s=0).state
    for registry in (both.registry, discover()):
        assert stock(both, registry).by_state["checkout", state][0] == 2


def test_a_saga_without_its_table_is_not_overdue(both):
    both.given(payer=[NOT_SENT]).run(NEXT, max_sleep_s=0)
    make_due(both, 600)
    assert stock(both, both.registry).overdue_s >= 600
    assert stock(both, both.registry).due == 1
    assert stock(both, discover()).due == 0
    assert stock(both, discover()).overdue_s == 0, "recovery runs: the cause is another one, with its own alert"
    both.given(payer=[NOT_SENT]).run(CHECKOUT, max_sleep_s=0)
    make_due(both, 60)
    assert 60 <= stock(both, discover()).overdue_s < 600


def test_a_scrape_shows_how_many_sagas_have_no_table(both):
    both.given(payer=[NOT_SENT]).run(NEXT, max_sleep_s=0)
    shown = {}
    for registry in (both.registry, discover()):
        gauges = SagaGauges(lambda registry=registry: stock(both, registry), registry)
        (family,) = [it for it in gauges.collect() if it.name == "saga_unknown_definition_sagas"]
        for sample in family.samples:
            assert sample.labels.keys() == {"saga", "version"}
        shown[registry] = {tuple(sample.labels.values()): sample.value for sample in family.samples}
    knows, lacks = shown.values()
    assert (knows["checkout", "2"], lacks["checkout", "2"], lacks["checkout", "1"]) == (0, 1, 0)


def test_web_process_beside_workers_claims_only_overdue_sagas(scene):
    scene.given(payer=[NOT_SENT]).run(max_sleep_s=0)
    scene.leases().expire_all()
    leases = Leases(scene.database, discover(), "web")
    assert leases.claim(10, 30, overdue_s=60) == []
    assert len(leases.claim(10, 30)) == 1


def test_lost_sagas_are_released_at_once_and_no_others(scene):
    lost, kept = (scene.given(payer=[NOT_SENT]).run(max_sleep_s=0) for _ in range(2))
    scene.leases().expire_all()
    held = {saga.id: saga for saga in scene.leases().claim(10, 30)}
    scene.leases("other").release([held[lost.id]])
    assert scene.leases().claim(10, 30) == [], "it is not the other's to give"
    scene.leases().release([held[lost.id]])
    assert [saga.id for saga in scene.leases().claim(10, 30)] == [lost.id]
    assert held[kept.id].epoch == 2
