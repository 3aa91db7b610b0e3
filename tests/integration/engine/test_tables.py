"""A table that is edited in place: sagas go on by the table they began with, or not at all."""

from dataclasses import replace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from app.errors import ConflictError
from app.store.tables import TableChangedError, Tables
from machines.call import post
from machines.checkout import CHECKOUT
from machines.purchase import PURCHASE
from machines.registry import Registry, discover
from machines.saga import Saga
from tests.integration.engine.inputs import BUY
from tests.integration.engine.scene import NOT_SENT, answer


def edited(saga: Saga, changed: dict[int, dict[str, Any]]) -> Saga:
    """Change columns of some steps of a table, and not its version."""
    kept = {column: getattr(saga, column) for column in saga.__dataclass_fields__}
    steps = tuple(replace(step, **changed.get(number, {})) for number, step in enumerate(saga.steps))
    return Saga(**kept | {"steps": steps})


STOCK, SALE = CHECKOUT.steps[1], CHECKOUT.steps[3]
CONFIRM = post("stock", "/confirmer", reservation_id="retenir_stock.reservation_id")
#: As in finding B1: the step's name is part of the key under which it is undone.
RENAMED = edited(CHECKOUT, {1: {"name": "retenir_stock"}, 4: {"call": CONFIRM}})


def at_hand(*changed: Saga) -> Registry:
    names = {(saga.name, saga.version) for saga in changed}
    return Registry([*changed, *(saga for saga in discover() if (saga.name, saga.version) not in names)])


def settled(scene, registry: Registry | None = None) -> Registry:
    """Let a process start with these tables."""
    registry = registry or at_hand()
    Tables(scene.database, registry, "one").settle()
    return registry


def with_tables(scene, registry: Registry):
    return replace(scene, registry=registry, metrics=CollectorRegistry())


def waiting(scene):
    """A saga that waits behind its first step with an effect."""
    return scene.given(payer=[NOT_SENT]).run(hold_s=0)


def recorded(scene, name="checkout"):
    return [
        row["digest"] for row in scene.rows(f"SELECT digest FROM saga_table WHERE definition = '{name}' ORDER BY id")
    ]


def test_the_first_start_records_what_it_finds_and_the_next_one_nothing_more(scene):
    for _ in range(2):
        settled(scene)
        assert recorded(scene) == [CHECKOUT.digest]


def test_a_table_that_was_changed_under_an_unfinished_saga_is_refused_by_name(scene):
    settled(scene)
    waiting(scene)
    with pytest.raises(TableChangedError) as refused:
        settled(scene, at_hand(RENAMED))
    said = str(refused.value)
    assert "the table of checkout v1 was changed while 1 unfinished saga(s) of it run by another one" in said
    assert "step 'reserver_stock' is now 'retenir_stock'" in said
    assert "give the changed table the next version, version=2" in said
    assert "\n" not in said
    assert recorded(scene) == [CHECKOUT.digest]


def test_a_table_is_taken_and_noted_when_all_its_sagas_have_ended(scene, capsys):
    settled(scene)
    scene.run()
    settled(scene, at_hand(RENAMED))
    assert recorded(scene) == [CHECKOUT.digest, RENAMED.digest]
    assert "definition.changed" in capsys.readouterr().out


def test_what_does_not_change_which_calls_are_made_may_change_under_a_saga(scene):
    settled(scene)
    waiting(scene)
    patient = edited(CHECKOUT, {1: {"timeout_s": 60.0, "dwell_s": 7.0, "retry": replace(STOCK.retry, attempts=9)}})
    settled(scene, at_hand(patient))
    assert recorded(scene) == [CHECKOUT.digest]


@pytest.mark.parametrize(
    ("column", "value"),
    [("done", "STOCK_MIS_DE_COTE"), ("refused", "PLUS_DE_STOCK"), ("undoing", "REPRISE_STOCK"),
     ("undo", replace(STOCK.undo, path="/rendre")), ("call", replace(STOCK.call, path="/prendre")),
     ("probe", replace(SALE.probe, participant="stock"))],
    ids=str,
)  # fmt: skip
def test_what_changes_calls_or_states_may_not(scene, column, value):
    settled(scene)
    waiting(scene)
    with pytest.raises(TableChangedError, match=column):
        settled(scene, at_hand(edited(CHECKOUT, {1: {column: value}})))


def test_processes_with_two_tables_of_one_version_leave_each_others_sagas_alone(scene):
    old, new = scene, with_tables(scene, settled(scene, at_hand(RENAMED)))
    of_old, of_new = waiting(old), new.given(payer=[NOT_SENT]).run(RENAMED, hold_s=0)
    old.leases().expire_all()
    assert [saga.id for saga in old.leases("old").claim(10, 30)] == [of_old.id]
    assert [saga.id for saga in new.leases("new").claim(10, 30)] == [of_new.id]
    for process, foreign in ((old, of_new), (new, of_old)):
        with pytest.raises(ConflictError, match="runs by another table of that version"):
            process.service.compensate(foreign.id, "ada", "why not")


def test_a_saga_of_before_the_upgrade_runs_by_the_table_that_was_recorded_first(scene):
    registry = settled(scene)
    begun = waiting(scene)
    with scene.database.begin() as connection:
        connection.exec_driver_sql("UPDATE saga SET table_digest = NULL")
    with pytest.raises(TableChangedError, match="retenir_stock"):
        settled(scene, at_hand(RENAMED))
    with_tables(scene, registry).leases().expire_all()
    assert [saga.id for saga in with_tables(scene, registry).leases().claim(10, 30)] == [begun.id]


def test_a_completed_saga_of_a_table_that_was_changed_since_is_not_taken_back(scene):
    settled(scene)
    bought = scene.given(RESERVE_INVENTORY=[answer(201, reservation_id="r1")]).service.start(PURCHASE.name, BUY)
    assert bought.status == "completed"
    number = next(number for number, step in enumerate(PURCHASE.steps) if step.name == "PROCESS_PAYMENT")
    changed = edited(PURCHASE, {number: {"undo": replace(PURCHASE.steps[number].undo, path="/elsewhere")}})
    later = with_tables(scene, settled(scene, at_hand(changed)))
    calls = len(scene.requests)
    with pytest.raises(ConflictError, match="another table"):
        later.service.compensate(bought.id, "ada", "wrong size")
    assert len(scene.requests) == calls


def test_a_saga_whose_state_its_table_has_not_is_a_conflict_to_who_would_move_it(scene):
    begun = waiting(scene)
    with scene.database.begin() as connection:
        connection.exec_driver_sql("UPDATE saga SET state = 'NOWHERE'")
    with pytest.raises(ConflictError, match="NOWHERE"):
        scene.service.compensate(begun.id, "ada", "why not")
