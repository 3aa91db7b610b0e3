"""A cancel at any moment of a saga's life: it succeeds, or it is refused and changes nothing."""

from uuid import UUID

import pytest

from app.errors import ConflictError

CART = {"client_id": 4, "magasin_id": 1}
STEPS = ["reserver_stock", "payer", "enregistrer_vente", "confirmer"]
#: Whether a cancel succeeds while the action of this step is in flight. The pivot is `enregistrer_vente`.
WINS = {"reserver_stock": True, "payer": True, "enregistrer_vente": False, "confirmer": False}


@pytest.mark.parametrize("step", STEPS)
def test_cancel_succeeds_until_the_pivot_is_in_flight(scene, step):
    results = []

    def cancel(request):
        if f"/{step}/do" in request.headers["Idempotency-Key"] and not results:
            results.append("asked")
            try:
                results.append(
                    scene.service.compensate(UUID(request.headers["Saga-Id"]), "ada", "changed my mind").status
                )
            except ConflictError as error:
                results.append(error.detail)

    scene.at_each_call = cancel
    ended = scene.service.start("checkout", CART)
    if WINS[step]:
        assert results[1] == ended.status == "compensated"
        assert scene.calls.count(f"undo_{step}") == 1, "the call in flight may have happened"
    else:
        assert "its table has no such move from this state" in results[1]
        assert ended.status == "completed"
    for done in STEPS:
        assert scene.calls.count(done) == (1 if WINS[step] is False or STEPS.index(done) <= STEPS.index(step) else 0)


@pytest.mark.parametrize("step", ["reserver_stock", "payer"])
def test_cancel_is_tried_again_after_a_commit_of_the_engine(scene, step):
    """The operator's request has read the saga. Before the cancel is written, the engine moves the saga."""
    asked = []
    save = scene.engine.store.save

    def save_after_another_move(saga, *arguments):
        if saga.unsaved[0].actor == "ada" and not asked:
            asked.append(saga.state)
            scene.at_each_call = lambda _request: None
            other = scene.leases("other")
            other.expire_all()
            (taken,) = other.claim(1, 30)
            scene.engine.run(taken, 1000)
        return save(saga, *arguments)

    scene.engine.store.save = save_after_another_move

    def cancel(request):
        if f"/{step}/do" in request.headers["Idempotency-Key"]:
            with pytest.raises(ConflictError, match="its pivot enregistrer_vente has succeeded"):
                scene.service.compensate(UUID(request.headers["Saga-Id"]), "ada", "changed my mind")

    scene.at_each_call = cancel
    ended = scene.service.start("checkout", CART)
    assert ended.status == "completed"
    assert not [call for call in scene.calls if call.startswith("undo")]
    assert scene.rows("SELECT count(*) AS moves FROM journal WHERE trigger = 'cancel'") == [{"moves": 0}]
