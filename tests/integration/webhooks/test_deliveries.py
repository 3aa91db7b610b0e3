"""A message to a webhook is written in the commit of the move that it reports, and claimed by one process."""

import pytest

from app.store.audit import Entry
from app.store.deliveries import Deliveries
from app.store.instance import Instance
from app.store.sagas import FencedError
from machines.checkout import CHECKOUT
from machines.transitions import Trigger
from tests.integration.engine.scene import CART, REFUSED, answer

STUCK = {"confirmer": [REFUSED]}


def events(rows):
    return [(row["webhook"], row["event"]) for row in rows()]


def test_completed_saga_writes_one_message(scene, configured, rows):
    scene.run()
    (row,) = rows()
    assert (row["webhook"], row["event"], row["attempts"], row["delivered_at"]) == ("shop", "completed", 0, None)
    assert row["url"].endswith("/hook")
    assert row["due_at"] is not None


def test_compensated_saga_writes_one_message(scene, configured, rows):
    scene.given(payer=[REFUSED]).run()
    assert events(rows) == [("shop", "compensated")]


def test_stuck_saga_writes_a_message_and_its_end_another(scene, configured, rows):
    stuck = scene.given(**STUCK).service.start("checkout", {"client_id": 4, "magasin_id": 1})
    assert stuck.status == "stuck"
    assert events(rows) == [("shop", "stuck")]
    scene.replies.clear()
    assert scene.service.retry(stuck.id, "ada", "it works again").status == "completed"
    assert events(rows) == [("shop", "stuck"), ("shop", "completed")]


def test_message_is_written_by_the_statement_that_ends_the_saga(scene, configured, rows):
    """Before the last commit there is no message. No statement besides the commits is sent."""
    before = []
    scene.at_each_call = lambda _request: before.append(len(rows()))
    scene.run()
    assert set(before) == {0}
    wrote = [sql for sql in scene.statements if not sql.startswith("SELECT")]
    assert len(wrote) == sum(step.kind != "read" for step in CHECKOUT.steps) + 1
    assert len(rows()) == 1


def test_saga_without_a_webhook_writes_no_message_and_no_word_of_it(scene, configured, rows):
    configured("[shop]\nurl = 'RECEIVER/hook'\nsecrets_file = SECRET\nsagas = ['order_saga']")
    scene.run()
    assert rows() == []
    assert "webhooks" not in str(scene.rows("SELECT moves FROM saga")[0]["moves"])


def test_webhook_receives_only_the_events_that_its_settings_name(scene, configured, rows):
    text = "[shop]\nurl = 'RECEIVER/hook'\nsecrets_file = SECRET\nsagas = ['checkout']\nevents = ['compensated']"
    configured(text)
    scene.run()
    assert rows() == []


def test_fenced_write_writes_no_message(scene, configured, rows):
    saga = scene.given(reserver_stock=[answer(503)] * 4).run(max_sleep_s=0.0)
    scene.recovered("another")
    scene.engine.request_move(saga, Trigger.CANCEL, "late", "too late")
    with pytest.raises(FencedError):
        scene.engine.release(saga, None)
    assert rows() == []


def test_start_names_a_webhook_that_survives_a_reload(scene, configured, rows):
    text = "[shop]\nprefix = 'RECEIVER/hooks'\nsecrets_file = SECRET"
    url = f"{configured(text).by_name['shop'].prefix}17"
    saga = Instance.new(CHECKOUT, {"client_id": 4, "magasin_id": 1}, actor="client", clock=lambda: scene.now)
    saga.webhook = url
    scene.given(lire_panier=[answer(200, **CART)], reserver_stock=[answer(503)])
    scene.engine.run(saga, 0.0)
    again = scene.recovered()
    assert again.webhook == url
    scene.engine.run(again, 1000.0)
    (row,) = rows()
    assert (row["webhook"], row["url"]) == ("shop", url)


def test_early_insert_keeps_the_webhook(scene):
    saga = Instance.new(CHECKOUT, {"client_id": 4, "magasin_id": 1}, actor="client")
    saga.webhook = "shop"
    assert saga.as_started().webhook == "shop"


def test_one_message_is_claimed_by_one_process(scene, configured):
    scene.run()
    one, two = Deliveries(scene.database, "one"), Deliveries(scene.database, "two")
    assert one.due(["shop", "other"]) == ["shop"]
    assert len(one.claim("shop", 10, 30)) == 1
    assert two.claim("shop", 10, 30) == []
    assert two.due(["shop"]) == []


def test_message_of_a_dead_process_is_claimed_again_after_its_lease(scene, configured):
    scene.run()
    (first,) = Deliveries(scene.database, "one").claim("shop", 10, -1)
    (second,) = Deliveries(scene.database, "two").claim("shop", 10, 30)
    assert (first.id, first.attempts, second.attempts) == (second.id, 1, 2)


def test_late_result_of_a_former_process_changes_nothing(scene, configured, rows):
    scene.run()
    one, two = Deliveries(scene.database, "one"), Deliveries(scene.database, "two")
    (late,) = one.claim("shop", 10, -1)
    (now,) = two.claim("shop", 10, 30)
    one.failed(late, "too late", None)
    assert rows()[0]["due_at"] is not None
    two.delivered(now)
    one.failed(late, "too late", 5.0)
    assert rows()[0]["delivered_at"] is not None
    assert rows()[0]["due_at"] is None


def test_late_result_of_an_earlier_attempt_of_the_same_process_changes_nothing(scene, configured, rows):
    scene.run()
    one = Deliveries(scene.database, "one")
    (late,) = one.claim("shop", 10, -1)
    (now,) = one.claim("shop", 10, 30)
    one.failed(late, "too late", None)
    assert rows()[0]["error"] is None
    one.delivered(now)
    assert rows()[0]["delivered_at"] is not None


def test_late_result_changes_nothing_after_a_redelivery(scene, configured, rows):
    """The late process cannot be recognized by the number of attempts: the redelivered message has the same number."""
    scene.run()
    one, two = Deliveries(scene.database, "one"), Deliveries(scene.database, "two")
    (late,) = one.claim("shop", 10, -1)
    two.failed(two.claim("shop", 10, 30)[0], "dead", None)
    assert two.redeliver(late.id, Entry(actor="cli:ada", action="webhook.redeliver"))
    two.claim("shop", 10, 30)
    one.delivered(late)
    assert rows()[0]["delivered_at"] is None


def test_message_to_an_unknown_webhook_is_buried_only_after_an_hour(scene, configured, rows):
    scene.run()
    deliveries = Deliveries(scene.database, "one")
    assert deliveries.bury_unknown(["other"]) == 0
    with scene.database.connect() as connection:
        connection.exec_driver_sql("UPDATE webhook_delivery SET at = '2020-01-01 00:00:00.000000'")
    assert deliveries.bury_unknown(["shop"]) == 0
    assert deliveries.bury_unknown(["other"]) == 1
    assert rows()[0]["due_at"] is None
    assert "no webhook of this name" in deliveries.dead()[0].error
