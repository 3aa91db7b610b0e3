"""The engine does what the preview says, for every stuck state of every table and every move from it."""

import shutil
from uuid import UUID

import pytest

from app.errors import ConflictError
from machines.discovery import discover
from machines.preview import preview
from machines.progress import OPERATOR_ACTIONS, operator_triggers
from machines.samples import example
from machines.transitions import Phase, Trigger
from tests.integration.engine.scene import LOST, Scene, answer

MOST = 20
#: Values for every field that a later call of any table may refer to.
REPLY = {
    "produits": [{"produit_id": "p", "quantite": 2}], "montant": 21.0, "reservation_id": "r1", "vente_id": 1,
    "commande_id": "c1", "recu_id": "q", "sale_id": 1, "achat": "a1", "retour_id": "r2", "store_id": 1,
    "magasin_id": 1, "client_id": 4,
}  # fmt: skip
STUCK = [
    pytest.param(definition, state, action, id=f"{definition.name}-{state.name}-{action}")
    for definition in map(discover().latest, discover().names)
    for state in definition.states.values()
    if state.phase is Phase.STUCK
    and any(
        transition.dest == state.name and transition.trigger is Trigger.EXHAUSTED
        for transition in definition.transitions
    )
    for action, triggers in OPERATOR_ACTIONS.items()
    if operator_triggers(definition, state.name) & set(triggers)
]


@pytest.fixture
def store_url(sqlite_template, tmp_path):
    """Use SQLite only; the preview depends only on the table of the saga."""
    shutil.copy(sqlite_template, tmp_path / "saga.db")
    return f"sqlite:///{tmp_path / 'saga.db'}"


def stuck_in(scene: Scene, definition, state):
    """Run a saga into a stuck state.

    Only two calls fail: the call in which the saga gets stuck, and, for a stuck undo, the call that makes the saga go
    back.
    """
    replies = {step.name: [answer(200, **REPLY)] for step in definition.steps}
    failing = f"undo_{state.step.name}" if state.undoes else state.step.name
    behind = definition.steps[definition.steps.index(state.step) + 1 :][:1] if state.undoes else ()
    scene.given(**replies | {step.name: [answer(409)] for step in behind} | {failing: [LOST] * MOST})
    saga = scene.run(definition, **example(definition.data))
    if state.undoes and not behind:
        scene.service.compensate(saga.id, "ada", "it was the last step")
    assert scene.engine.store.find(saga.id).state == state.name
    scene.replies.clear()
    scene.requests.clear()
    return saga


@pytest.mark.parametrize(("definition", "state", "action"), STUCK)
def test_move_from_a_stuck_state_ends_as_the_preview_said(scene, definition, state, action):
    saga = stuck_in(scene, definition, state)
    before = scene.states
    trigger = next(
        trigger for trigger in OPERATOR_ACTIONS[action] if trigger in operator_triggers(definition, state.name)
    )
    seen = preview(definition, state.name, trigger, in_doubt=False)
    for step in definition.steps:
        scene.replies[step.name].append(answer(200, **REPLY))

    reply = {"reply": REPLY} if action == "resolve" else {}
    getattr(scene.service, action)(saga.id, "ada", "because", **reply)
    assert scene.states[len(before) :] == [stop.state.name for stop in seen.course]
    sent = [call for call in scene.calls if not call.startswith("probe_")]
    foreseen = [("undo_" if s.state.undoes else "") + s.state.step.name for s in seen.course if s.call and s.state.step]
    assert sent == foreseen
    assert [call for call in scene.calls if call.startswith("probe_")] == [
        f"probe_{stop.state.step.name}" for stop in seen.course if stop.probe and stop.state.step
    ]


@pytest.mark.parametrize("outcome", [Trigger.REFUSED_IN_DOUBT, Trigger.EXHAUSTED])
def test_failed_retry_ends_as_the_preview_said(scene, outcome):
    definition = discover().latest("checkout")
    saga = stuck_in(scene, definition, definition.states["STUCK_ENREGISTRER_VENTE"])
    before = scene.states
    scene.given(enregistrer_vente=[answer(409)] if outcome is Trigger.REFUSED_IN_DOUBT else [LOST] * MOST)
    seen = dict(preview(definition, saga.state, Trigger.RETRY, in_doubt=True).otherwise)[outcome]
    scene.service.retry(saga.id, "ada", "because", wait_s=30)
    assert scene.states[len(before) :] == ["PAIEMENT_EFFECTUE", *(stop.state.name for stop in seen)]


def test_cancel_undoes_what_the_preview_said(scene):
    definition, seen = discover().latest("checkout"), []

    def cancel(request):
        if "/payer/do" in request.headers["Idempotency-Key"] and not seen:
            row = scene.engine.store.find(UUID(request.headers["Saga-Id"]))
            seen.append(preview(definition, row.state, Trigger.CANCEL, in_doubt=row.unsure))
            scene.service.compensate(row.id, "ada", "changed my mind")

    scene.at_each_call = cancel
    scene.service.start("checkout", {"client_id": 4, "magasin_id": 1})
    assert scene.states[-4:] == ["ECHEC_PAIEMENT", *(stop.state.name for stop in seen[0].course)]


def test_request_with_an_outdated_state_moves_nothing(scene):
    definition = discover().latest("checkout")
    saga = stuck_in(scene, definition, definition.states["STUCK_ENREGISTRER_VENTE"])
    for action, more in (("retry", {}), ("compensate", {}), ("resolve", {"reply": REPLY})):
        with pytest.raises(ConflictError, match="from STUCK_CONFIRMER to STUCK_ENREGISTRER_VENTE"):
            getattr(scene.service, action)(saga.id, "ada", "because", seen="STUCK_CONFIRMER", **more)
    assert scene.calls == []
    assert scene.service.retry(saga.id, "ada", "because", seen="STUCK_ENREGISTRER_VENTE").status == "completed"
