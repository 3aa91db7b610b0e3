import pytest

from app.store.outbox import Outbox
from app.store.sagas import FencedError
from machines.order import ORDER
from machines.transitions import Trigger
from tests.integration.engine.scene import answer
from tests.integration.events.fakes import ANSWERS, ORDERED


def waiting(scene):
    rows = "SELECT event FROM outbox JOIN journal USING (saga_id, seq) ORDER BY outbox.id"
    return [row["event"] for row in scene.rows(rows)]


def test_confirmed_order_publishes_its_events_in_order(scene):
    scene.given(**ANSWERS).run(ORDER, **ORDERED)
    assert waiting(scene) == [
        "CommandeCreate", "ProduitExist", "InventaireReserve", "PaiementConfirm", "TransactionConfirm",
        "CommandeConfirm",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("refused", "events"),
    [
        ("creer_commande", ["CommandeFail", "CommandeCancel"]),
        ("lire_produits", ["CommandeCreate", "ProduitNotFound", "CommandeCancel"]),
        ("reserver_inventaire", ["CommandeCreate", "ProduitExist", "InventaireFail", "CommandeCancel"]),
        ("payer", ["CommandeCreate", "ProduitExist", "InventaireReserve", "PaiementCancel", "CommandeCancel"]),
    ],
)
def test_failed_order_publishes_the_failed_step_and_the_cancellation(scene, refused, events):
    scene.given(**(ANSWERS | {refused: [answer(409)]})).run(ORDER, **ORDERED)
    assert waiting(scene) == events


def test_event_is_written_by_the_statement_of_its_move(scene):
    """At each call, the outbox already contains the event of the previous move. No extra statement writes the event."""
    seen = []
    scene.at_each_call = lambda request: seen.append((request.headers["Saga-Step"], waiting(scene)[-1:]))
    scene.given(**ANSWERS).run(ORDER, **ORDERED)
    assert seen[2:4] == [("reserver_inventaire", ["ProduitExist"]), ("payer", ["InventaireReserve"])]
    wrote = [sql for sql in scene.statements if not sql.startswith("SELECT")]
    assert len(wrote) == sum(step.kind != "read" for step in ORDER.steps) + 1


def test_repeated_call_publishes_no_event_twice(scene):
    scene.given(**(ANSWERS | {"payer": [answer(503), answer(503)]})).run(ORDER, **ORDERED)
    assert waiting(scene).count("InventaireReserve") == waiting(scene).count("PaiementConfirm") == 1


def test_retry_of_a_stuck_order_publishes_no_event_twice(scene):
    stuck = scene.given(**(ANSWERS | {"envoyer_recu": [answer(503)] * 4})).service.start("order_saga", ORDERED)
    assert stuck.status == "stuck"
    assert scene.service.retry(stuck.id, "ada", "receipts can be written again").status == "completed"
    assert waiting(scene).count("PaiementConfirm") == 1
    assert waiting(scene)[-2:] == ["TransactionConfirm", "CommandeConfirm"]


def test_fenced_write_publishes_nothing(scene):
    saga = scene.given(creer_commande=[answer(503)] * 4).run(ORDER, max_sleep_s=0.0, **ORDERED)
    events = waiting(scene)
    scene.recovered("another")
    scene.engine.request_move(saga, Trigger.CANCEL, "late", "too late")
    with pytest.raises(FencedError):
        scene.engine.release(saga, None)
    assert waiting(scene) == events == []


def test_a_saga_whose_table_names_no_events_leaves_the_outbox_empty(scene):
    scene.run()
    assert waiting(scene) == []


def test_one_process_at_a_time_publishes(scene):
    scene.given(**ANSWERS).run(ORDER, **ORDERED)
    one, two = Outbox(scene.database, "one"), Outbox(scene.database, "two")
    assert len(one.take(10, 30)) == 6
    assert two.take(10, 30) == []
    assert len(one.take(10, -1)) == 6  # the same process may take the events again; its lease of -1 s ends at once
    assert len(two.take(10, 30)) == 6


def test_published_event_is_not_taken_again(scene):
    scene.given(**ANSWERS).run(ORDER, **ORDERED)
    outbox = Outbox(scene.database, "one")
    first = outbox.take(2, 30)
    outbox.published([row.id for row in first])
    assert outbox.take(10, 30)[0].event == "InventaireReserve"
