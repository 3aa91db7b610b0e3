"""The engine does what the status diagrams say: every journal contains only the drawn changes of status."""

import shutil
from itertools import pairwise

import pytest

from diagrams.lifecycle import EXECUTE, lifecycles
from machines.checkout import CHECKOUT
from machines.purchase import PURCHASE
from machines.statuses import SAGA_STATUSES, status_of, step_status
from machines.transitions import Phase
from tests.integration.engine.inputs import BUY, CART
from tests.integration.engine.scene import LOST, REFUSED, answer

SAGAS, STEPS = lifecycles([CHECKOUT, PURCHASE])
RESERVED = [answer(201, reservation_id="r1")]
SCENES = {
    "all goes well": {},
    "refused": {"payer": [REFUSED]},
    "never answered": {"payer": [LOST] * 4},
    "sent again": {"payer": [LOST]},
    "stuck at the pivot": {"enregistrer_vente": [LOST] * 4},
    "stuck in its undo": {"enregistrer_vente": [REFUSED], "undo_payer": [REFUSED]},
}


@pytest.fixture
def store_url(sqlite_template, tmp_path):
    """Use SQLite only; a status does not depend on the database."""
    shutil.copy(sqlite_template, tmp_path / "saga.db")
    return f"sqlite:///{tmp_path / 'saga.db'}"


def changes_of(definition, journal, step=None):
    """Return each change of status in a journal, of the saga or of one of its steps."""
    seen, action_triggers, undo_triggers = ["pending"], set(), set()
    for row in journal:
        if step and row["step"] == step.name:
            (undo_triggers if row["direction"] == "undo" else action_triggers).add(row["trigger"])
        phase = definition.states[row["dest"]].phase
        if phase is Phase.PASSING:
            continue
        status = status_of(phase, pending=False)
        if step is None:
            seen.append(SAGA_STATUSES[status])
            continue
        seen.append(
            step_status(
                definition, step, state=row["dest"], status=status,
                action_triggers=action_triggers, undo_triggers=undo_triggers,
            )
        )  # fmt: skip
    return {(before, after) for before, after in pairwise(seen) if before != after}


def drawn_and_not(definition, scene):
    journal = scene.rows("SELECT step, direction, trigger, dest FROM journal ORDER BY seq")
    found = changes_of(definition, journal) - set(SAGAS.changes)
    for step in definition.steps:
        found |= changes_of(definition, journal, step) - set(STEPS.changes)
    return found


@pytest.mark.parametrize("replies", SCENES.values(), ids=SCENES)
def test_journal_contains_only_drawn_status_changes(scene, replies):
    scene.given(**replies).run()
    assert drawn_and_not(CHECKOUT, scene) == set()


@pytest.mark.parametrize("ask", ["retry", "compensate", "resolve"])
def test_requests_of_a_person_change_statuses_as_drawn(scene, ask):
    saga = scene.given(enregistrer_vente=[LOST] * 4).run()
    reply = ({"vente_id": 1},) if ask == "resolve" else ()
    getattr(scene.service, ask)(saga.id, "ada", "asked the shop", *reply)
    assert drawn_and_not(CHECKOUT, scene) == set()


def test_compensated_purchase_changes_statuses_as_drawn(scene):
    scene.given(RESERVE_INVENTORY=RESERVED)
    saga_id = scene.service.start(PURCHASE.name, BUY).id
    scene.service.compensate(saga_id, "ada", "not wanted")
    assert ("completed", "in_progress") in changes_of(PURCHASE, scene.rows("SELECT * FROM journal ORDER BY seq"))
    assert drawn_and_not(PURCHASE, scene) == set()


def test_a_pending_saga_that_is_cancelled_is_compensated_at_once(scene):
    saga_id = scene.service.create(CHECKOUT.name, CART).id
    ended = scene.service.compensate(saga_id, "ada", "not wanted")
    assert SAGAS.changes["pending", SAGA_STATUSES[ended.status]] == ("cancel",)
    assert SAGAS.changes["pending", "in_progress"] == (EXECUTE,)
