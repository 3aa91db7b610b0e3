"""A table edited without a new version: its sagas continue by the table they started with, or not at all."""

from dataclasses import fields, replace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from app.errors import ConflictError
from app.store.tables import TableChangedError, Tables
from machines.call import post
from machines.checkout import CHECKOUT
from machines.discovery import discover
from machines.purchase import PURCHASE
from machines.registry import Registry
from machines.saga import Saga
from tests.integration.engine.inputs import BUY
from tests.integration.engine.scene import NOT_SENT, answer


def edited(saga: Saga, changed: dict[int, dict[str, Any]]) -> Saga:
    """Return the table with changed columns, the same version, and no titles of states.

    changed: index of the step → its new columns.
    """
    kept = {column.name: getattr(saga, column.name) for column in fields(saga)}
    steps = tuple(replace(step, **changed.get(number, {})) for number, step in enumerate(saga.steps))
    return Saga(**kept | {"steps": steps, "titles": {}})


STOCK, SALE = CHECKOUT.steps[1], CHECKOUT.steps[3]
CONFIRM = post("stock", "/confirmer", reservation_id="retenir_stock.reservation_id")
#: The name of a step is part of the idempotency key of its undo, so renaming a step would lose the undo.
RENAMED = edited(CHECKOUT, {1: {"name": "retenir_stock"}, 4: {"call": CONFIRM}})


def with_known_tables(*changed: Saga) -> Registry:
    names = {(saga.name, saga.version) for saga in changed}
    return Registry([*changed, *(saga for saga in discover() if (saga.name, saga.version) not in names)])


def compared(scene, registry: Registry | None = None) -> Registry:
    """Let a process start with the tables of the registry."""
    registry = registry or with_known_tables()
    Tables(scene.database, registry, "one").compare()
    return registry


def with_tables(scene, registry: Registry):
    return replace(scene, registry=registry, metrics=CollectorRegistry())


def waiting(scene):
    """Make a saga whose next call is deferred: its goods are reserved, and the payment was not sent."""
    return scene.given(payer=[NOT_SENT]).run(max_sleep_s=0)


def recorded(scene, name="checkout"):
    return [
        row["digest"] for row in scene.rows(f"SELECT digest FROM saga_table WHERE definition = '{name}' ORDER BY id")
    ]


def test_first_start_records_the_tables_and_the_next_one_nothing(scene):
    for _ in range(2):
        compared(scene)
        assert recorded(scene) == [CHECKOUT.digest]


def test_table_changed_under_an_unfinished_saga_is_refused_by_name(scene):
    compared(scene)
    waiting(scene)
    with pytest.raises(TableChangedError) as refused:
        compared(scene, with_known_tables(RENAMED))
    said = str(refused.value)
    assert "the table of checkout v1 was changed while 1 unfinished saga(s) of it run by another one" in said
    assert "step 'reserver_stock' is now 'retenir_stock'" in said
    assert "give the changed table the next version, version=2" in said
    assert "\n" not in said
    assert recorded(scene) == [CHECKOUT.digest]


def test_changed_table_is_accepted_when_all_its_sagas_have_ended(scene, capsys):
    compared(scene)
    scene.run()
    compared(scene, with_known_tables(RENAMED))
    assert recorded(scene) == [CHECKOUT.digest, RENAMED.digest]
    assert "definition.changed" in capsys.readouterr().out


def test_column_that_changes_no_call_may_change_under_a_saga(scene):
    compared(scene)
    waiting(scene)
    patient = edited(CHECKOUT, {1: {"timeout_s": 60.0, "dwell_s": 7.0, "retry": replace(STOCK.retry, attempts=9)}})
    compared(scene, with_known_tables(patient))
    assert recorded(scene) == [CHECKOUT.digest]


@pytest.mark.parametrize(
    ("column", "value"),
    [("done", "STOCK_MIS_DE_COTE"), ("refused", "PLUS_DE_STOCK"), ("undoing", "REPRISE_STOCK"),
     ("undo", replace(STOCK.undo, path="/rendre")), ("call", replace(STOCK.call, path="/prendre")),
     ("probe", replace(SALE.probe, participant="stock"))],
    ids=str,
)  # fmt: skip
def test_column_that_changes_calls_or_states_may_not_change(scene, column, value):
    compared(scene)
    waiting(scene)
    with pytest.raises(TableChangedError, match=column):
        compared(scene, with_known_tables(edited(CHECKOUT, {1: {column: value}})))


def test_process_leaves_sagas_of_another_table_of_one_version_alone(scene):
    old, new = scene, with_tables(scene, compared(scene, with_known_tables(RENAMED)))
    of_old, of_new = waiting(old), new.given(payer=[NOT_SENT]).run(RENAMED, max_sleep_s=0)
    old.leases().expire_all()
    assert [saga.id for saga in old.leases("old").claim(10, 30)] == [of_old.id]
    assert [saga.id for saga in new.leases("new").claim(10, 30)] == [of_new.id]
    for process, foreign in ((old, of_new), (new, of_old)):
        with pytest.raises(ConflictError, match="runs by another table of that version"):
            process.service.compensate(foreign.id, "ada", "why not")


def test_saga_from_before_the_upgrade_runs_by_the_first_table(scene):
    registry = compared(scene)
    begun = waiting(scene)
    with scene.database.begin() as connection:
        connection.exec_driver_sql("UPDATE saga SET table_digest = NULL")
    with pytest.raises(TableChangedError, match="retenir_stock"):
        compared(scene, with_known_tables(RENAMED))
    with_tables(scene, registry).leases().expire_all()
    assert [saga.id for saga in with_tables(scene, registry).leases().claim(10, 30)] == [begun.id]


@pytest.mark.parametrize("digest", ["table_digest", "NULL"], ids=["by digest", "from before the upgrade"])
def test_completed_saga_of_a_changed_table_is_not_compensated(scene, digest):
    compared(scene)
    bought = scene.given(RESERVE_INVENTORY=[answer(201, reservation_id="r1")]).service.start(PURCHASE.name, BUY)
    assert bought.status == "completed"
    with scene.database.begin() as connection:
        connection.exec_driver_sql(f"UPDATE saga SET table_digest = {digest}")
    number = next(number for number, step in enumerate(PURCHASE.steps) if step.name == "PROCESS_PAYMENT")
    changed = edited(PURCHASE, {number: {"undo": replace(PURCHASE.steps[number].undo, path="/elsewhere")}})
    later = with_tables(scene, compared(scene, with_known_tables(changed)))
    calls = len(scene.requests)
    with pytest.raises(ConflictError, match="another table"):
        later.service.compensate(bought.id, "ada", "wrong size")
    assert len(scene.requests) == calls


def test_move_of_a_saga_whose_table_lacks_its_state_is_a_conflict(scene):
    begun = waiting(scene)
    with scene.database.begin() as connection:
        connection.exec_driver_sql("UPDATE saga SET state = 'NOWHERE'")
    with pytest.raises(ConflictError, match="NOWHERE"):
        scene.service.compensate(begun.id, "ada", "why not")
