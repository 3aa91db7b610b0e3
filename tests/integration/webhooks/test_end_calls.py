"""The calls in at_end= of a table: sent after the end of the saga, until they are delivered."""

from dataclasses import replace

import pytest

from app.calls.limits import LimitedSender
from app.events.end_calls import ATTEMPTS
from app.participant_settings.model import ParticipantSettings
from app.store.audit import Entry
from app.store.data_keys import DataKeys
from app.store.deliveries import Deliveries
from machines import (
    SUCCEEDED,
    Saga,
    compensatable,
    const,
    fallback,
    post,
    put,
    secret,
    text,
)  # fmt: skip
from machines.discovery import discover
from machines.registry import Registry
from machines.transitions import Trigger
from tests.integration.engine.scene import LOST, NOT_SENT, REFUSED, answer

COMPLETED, COMPENSATED = "at_end.completed", "at_end.compensated"
STEPS = (
    compensatable("hold", post("stock", "/hold", who="who"), undo=post("stock", "/undo"), done="HELD", refused="NONE"),
    compensatable("pay", post("bank", "/pay", card="card"), undo=post("bank", "/undo"), done="SENT", refused="POOR"),
)
AT_END = {
    "SENT": post("crm", "/orders/{saga.id}", who="who", place="hold.place", key="saga.key", card="card"),
    "CALLED_OFF": put(
        "crm", "/called-off", headers={"X-Who": "who"}, body={"place": fallback("hold.place", const("none"))}
    ),
}


def table(**columns):
    usual = {
        "name": "gift", "version": 1, "initial": "ASKED", "completed": "SENT", "compensated": "CALLED_OFF",
        "data": {"who": text(), "card": secret(text())}, "participants": ("stock", "bank", "crm"), "steps": STEPS,
        "at_end": AT_END,
    }  # fmt: skip
    return Saga(**(usual | columns))


GIFT = table()
DATA = {"who": "Ada", "card": "4242-4242"}


def known(tables):
    """Return a registry with these tables, beside those of the samples."""
    return Registry([*discover(), *tables])


@pytest.fixture
def gift(scene):
    """Return the scene with the table. The participant `stock` answers with a place."""
    scene.registry = known([GIFT])
    return scene.given(hold=[answer(200, place="A7")] * 9)


def requests_at_end(scene):
    return [request for request in scene.requests if "at_end" in request.headers["Saga-Step"]]


def only(rows):
    (row,) = rows()
    return row


def test_completed_saga_calls_the_participant_once(gift, senders, rows):
    saga = gift.run(GIFT, **DATA)
    assert requests_at_end(gift) == []  # only the sender sends it, after the commit
    assert senders.send() == 1
    (request,) = requests_at_end(gift)
    assert (request.method, request.url) == ("POST", f"{gift.config.participant_url('crm')}/orders/{saga.id}")
    key = f"{saga.id}/{COMPLETED}/do"
    assert request.body == {"who": "Ada", "place": "A7", "key": key, "card": "4242-4242"}
    assert request.headers["Idempotency-Key"] == key
    assert request.headers["Saga-Id"] == str(saga.id)
    assert request.headers["traceparent"].startswith(f"00-{saga.id.hex}-")
    assert only(rows)["delivered_at"] is not None
    assert senders.counted("delivered", "at_end:crm") == 1.0
    assert senders.send() == 0


def test_compensated_saga_makes_the_other_call(gift, senders):
    saga = gift.given(pay=[REFUSED]).run(GIFT, **DATA)
    senders.send()
    (request,) = requests_at_end(gift)
    assert (request.method, request.headers["X-Who"], request.body) == ("PUT", "Ada", {"place": "A7"})
    assert request.headers["Idempotency-Key"] == f"{saga.id}/{COMPENSATED}/do"


def test_reply_that_never_came_is_replaced_by_its_fallback(gift, senders):
    gift.replies.clear()
    gift.given(hold=[REFUSED]).run(GIFT, **DATA)
    senders.send()
    assert requests_at_end(gift)[0].body == {"place": "none"}


def test_call_is_written_by_the_statement_that_ends_the_saga(gift, senders, rows):
    before = []
    gift.at_each_call = lambda _request: before.append(len(rows()))
    gift.run(GIFT, **DATA)
    assert set(before) == {0}
    assert len([sql for sql in gift.statements if not sql.startswith("SELECT")]) == len(STEPS) + 1
    row = only(rows)
    assert (row["webhook"], row["event"], row["attempts"]) == ("at_end:crm", "completed", 0)
    assert row["url"] == "POST crm/orders/{saga.id}"


def test_table_without_at_end_writes_no_message_and_no_word_of_it(gift, senders, rows):
    plain = table(at_end={}, participants=("stock", "bank"))
    gift.registry = known([plain])
    gift.run(plain, **DATA)
    assert rows() == []
    assert "webhooks" not in str(gift.rows("SELECT moves FROM saga")[0]["moves"])
    assert senders.one().receivers.keys() == {"shop"}


def test_end_without_a_call_writes_no_message(gift, rows):
    half = table(at_end={"SENT": AT_END["SENT"]})
    gift.registry = known([half])
    gift.given(pay=[REFUSED]).run(half, **DATA)
    assert rows() == []


def test_stuck_saga_makes_no_call(gift, rows):
    gift.given(pay=[REFUSED], undo_hold=[REFUSED]).run(GIFT, **DATA)
    assert gift.rows("SELECT status FROM saga")[0]["status"] == "stuck"
    assert rows() == []


def test_completed_saga_that_is_taken_back_makes_both_calls_with_two_keys(gift, senders):
    saga = gift.run(GIFT, **DATA)
    senders.send()
    gift.service.compensate(saga.id, "ada", "sent back")
    senders.send()
    keys = [request.headers["Idempotency-Key"] for request in requests_at_end(gift)]
    assert keys == [f"{saga.id}/{COMPLETED}/do", f"{saga.id}/{COMPENSATED}/do"]


@pytest.mark.parametrize("failed", [LOST, NOT_SENT, answer(500), answer(429), answer(202)])
def test_call_in_doubt_or_not_sent_is_sent_again_with_the_same_key_and_body(gift, senders, due, rows, failed):
    saga = gift.given(**{COMPLETED: [failed]}).run(GIFT, **DATA)
    senders.send()
    assert only(rows)["error"]
    assert only(rows)["delivered_at"] is None
    assert senders.send() == 0  # it waits
    due()
    senders.send()
    first, second = requests_at_end(gift)
    assert first.headers["Idempotency-Key"] == second.headers["Idempotency-Key"]
    assert (first.body, first.url) == (second.body, second.url)
    assert only(rows)["delivered_at"] is not None
    assert gift.rows("SELECT state, status, error FROM saga") == [
        {"state": "SENT", "status": "completed", "error": None}
    ]
    assert gift.engine.store.read(saga.id).status == "completed"


def test_refused_call_is_a_dead_letter_at_once_and_the_saga_stays_completed(gift, senders, rows):
    gift.given(**{COMPLETED: [REFUSED]}).run(GIFT, **DATA)
    senders.send()
    assert (only(rows)["due_at"], only(rows)["delivered_at"]) == (None, None)
    assert only(rows)["error"] == "409 no"
    assert gift.rows("SELECT status FROM saga")[0]["status"] == "completed"


def test_call_is_a_dead_letter_after_its_attempts_and_can_be_redelivered(gift, senders, due, rows):
    gift.given(**{COMPLETED: [answer(503)] * ATTEMPTS}).run(GIFT, **DATA)
    for _ in range(ATTEMPTS):
        due()
        assert senders.send() == 1
    assert senders.counted("dead", "at_end:crm") == 1.0
    assert (only(rows)["due_at"], only(rows)["attempts"]) == (None, ATTEMPTS)
    due()
    assert senders.send() == 0
    Deliveries(gift.database, "cli").redeliver(only(rows)["id"], Entry(actor="cli:ada", action="webhook.redeliver"))
    assert senders.send() == 1
    assert only(rows)["delivered_at"] is not None
    assert len({request.headers["Idempotency-Key"] for request in requests_at_end(gift)}) == 1


def test_means_decides_what_a_reply_means(gift, senders, rows):
    meant = table(at_end={"SENT": post("crm", "/orders", who="who", means={409: SUCCEEDED})})
    gift.registry = known([meant])
    gift.given(**{COMPLETED: [REFUSED]}).run(meant, **DATA)
    senders.send()
    assert only(rows)["delivered_at"] is not None


def test_call_over_a_limit_of_its_participant_costs_no_attempt(gift, senders, rows):
    gift.run(GIFT, **DATA)
    sender = senders.one()
    limited = LimitedSender(gift, {"crm": ParticipantSettings(url="", concurrency=1)})
    limited._limits["crm"].enter()
    receiver = sender.receivers["at_end:crm"]
    sender.receivers["at_end:crm"] = replace(receiver, sender=limited)
    for delivery in list(sender.claimed()):
        sender.deliver(delivery)
    assert requests_at_end(gift) == []
    assert (only(rows)["attempts"], only(rows)["error"]) == (0, "the limit of calls to crm is reached")
    assert only(rows)["due_at"] is not None


def test_call_with_encrypted_values_waits_for_the_lost_key(gift, senders, rows):
    store = gift.engine.store
    store.keys = DataKeys(gift.database, [bytes(32)])
    gift.run(GIFT, **DATA)
    store.keys = DataKeys(gift.database)
    senders.send()
    assert requests_at_end(gift) == []
    row = only(rows)
    assert "DATA_KEY is not set" in row["error"]
    assert row["due_at"] is not None
    assert row["attempts"] == 0


def test_error_shows_no_secret(gift, senders, rows):
    gift.given(**{COMPLETED: [answer(409, detail="no card 4242-4242")]}).run(GIFT, **DATA)
    senders.send()
    assert only(rows)["error"] == "409 no card ***"


def test_value_that_is_missing_makes_a_dead_letter_with_its_name(gift, senders, rows):
    gift.replies.clear()
    gift.run(GIFT, **DATA)
    senders.send()
    assert requests_at_end(gift) == []
    assert (only(rows)["error"], only(rows)["due_at"]) == ("hold.place is not known", None)
    assert gift.rows("SELECT status FROM saga")[0]["status"] == "completed"


def test_call_that_was_mended_in_the_table_is_sent_by_the_mended_table(gift, senders, due, rows):
    gift.given(**{COMPLETED: [answer(404, error="no such path")]}).run(GIFT, **DATA)
    senders.send()
    mended = table(at_end={"SENT": post("crm", "/v2/orders", who="who")})
    assert mended.digest == GIFT.digest
    gift.registry = known([mended])
    Deliveries(gift.database, "cli").redeliver(only(rows)["id"], Entry(actor="cli:ada", action="webhook.redeliver"))
    senders.send()
    assert requests_at_end(gift)[-1].url.endswith("/v2/orders")
    assert only(rows)["delivered_at"] is not None


def test_call_that_the_table_no_longer_has_is_a_dead_letter(gift, senders, rows):
    gift.run(GIFT, **DATA)
    gift.registry = known([table(at_end={"CALLED_OFF": AT_END["CALLED_OFF"]})])
    senders.send()
    assert (only(rows)["error"], only(rows)["due_at"]) == (
        "gift v1 has no call in at_end= for SENT any more", None,
    )  # fmt: skip


def test_release_without_the_table_leaves_the_call_to_another_process(gift, senders, due, rows):
    gift.run(GIFT, **DATA)
    other = table(name="other")
    gift.registry = known([other])
    senders.send()
    assert only(rows)["error"] == "saga gift v1 is not defined"
    assert only(rows)["due_at"] is not None
    gift.registry = known([GIFT])
    due()
    senders.send()
    assert only(rows)["delivered_at"] is not None


def test_process_without_such_a_participant_buries_only_old_calls(gift, senders, rows):
    gift.run(GIFT, **DATA)
    deliveries = Deliveries(gift.database, "one")
    assert deliveries.due(["shop"]) == []
    assert deliveries.bury_unknown(["shop"]) == 0
    assert deliveries.due(["shop", "at_end:crm"]) == ["at_end:crm"]


def test_engine_wakes_the_sender_after_the_commit(gift, rows):
    woken = []
    gift.on_delivery = lambda: woken.append(len(rows()))
    gift.run(GIFT, **DATA)
    assert woken == [1]


def test_cancelled_saga_makes_the_call_of_its_end(gift, senders):
    saga = gift.given(pay=[answer(503)] * 4).run(GIFT, max_sleep_s=0.0, **DATA)
    again = gift.recovered()
    gift.engine.request_move(again, Trigger.CANCEL, "ada", "no more")
    gift.engine.run(again, 1000.0)
    assert again.status == "compensated"
    senders.send()
    assert requests_at_end(gift)[0].headers["Idempotency-Key"] == f"{saga.id}/{COMPENSATED}/do"
