"""The error of a saga says why the saga is stuck or went back. The error is removed when it no longer applies."""

from types import SimpleNamespace

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.store.models import JournalRow, SagaRow
from app.views.masking import shown
from machines.checkout import CHECKOUT
from machines.history import steps_of
from tests.integration.engine.scene import REFUSED, answer


def stuck_in_undo(scene):
    saga = scene.given(payer=[REFUSED], undo_reserver_stock=[answer(409, detail="already shipped")]).run()
    assert saga.error == "STUCK_UNDO_RESERVER_STOCK: reserver_stock: 409 already shipped"
    return saga


def step_errors(scene):
    """Return the error of each step as the API shows it."""
    with Session(scene.database) as session:
        saga = session.scalars(select(SagaRow)).one()
        journal = session.scalars(select(JournalRow).order_by(JournalRow.seq)).all()
        return {result.step.name: result.error for result in steps_of(CHECKOUT, saga, journal)}


def stored_error(scene):
    (row,) = scene.rows("SELECT error FROM saga")
    return row["error"]


def test_a_completed_saga_has_no_error_of_a_time_when_it_was_stuck(scene):
    saga = scene.given(confirmer=[answer(409, detail="expired")]).run()
    assert saga.error == "STUCK_CONFIRMER: confirmer: 409 expired"
    assert scene.service.retry(saga.id, "ada", "it works now").error is None
    assert stored_error(scene) is None


def test_a_saga_that_a_person_resolves_to_its_end_has_no_error(scene):
    saga = scene.given(confirmer=[answer(409, detail="expired")]).run()
    assert scene.service.resolve(saga.id, "ada", "done by hand", {}).error is None


@pytest.mark.parametrize("request_of", ["retry", "resolve"])
def test_a_compensated_saga_shows_why_it_went_back_and_not_where_it_was_stuck(scene, request_of):
    saga = stuck_in_undo(scene)
    if request_of == "retry":
        ended = scene.service.retry(saga.id, "ada", "it works now")
    else:
        ended = scene.service.resolve(saga.id, "ada", "done by hand", {})
    assert (ended.status, ended.error) == ("compensated", "ECHEC_PAIEMENT: payer: 409 no")
    assert stored_error(scene) == "ECHEC_PAIEMENT: payer: 409 no"


def test_a_saga_that_a_person_compensates_shows_where_it_was_stuck(scene):
    saga = scene.given(enregistrer_vente=[answer(500)] * 4).run()
    stuck = saga.error
    assert stuck.startswith("STUCK_ENREGISTRER_VENTE: enregistrer_vente: its probe says that it was not done, and no ")
    assert scene.service.compensate(saga.id, "ada", "not paid").error == stuck


def test_a_step_that_was_stuck_and_is_done_has_no_error(scene):
    saga = scene.given(confirmer=[answer(409, detail="expired")]).run()
    assert step_errors(scene)["confirmer"] == "409 expired"
    scene.service.retry(saga.id, "ada", "it works now")
    assert set(step_errors(scene).values()) == {None}


def test_a_step_that_failed_and_was_undone_keeps_its_error(scene):
    scene.given(payer=[answer(500, detail="no")] * 4).run()
    assert step_errors(scene)["payer"] == "500 no"


def test_a_saga_that_an_earlier_release_completed_shows_no_error(scene):
    saga = SimpleNamespace(definition="checkout", status="completed", error="STUCK_CONFIRMER: confirmer: 409 expired")
    assert shown(scene.registry, saga)[0].error is None
    assert shown(scene.registry, SimpleNamespace(**vars(saga) | {"status": "stuck"}))[0].error == saga.error
