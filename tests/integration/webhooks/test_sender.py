"""The messages that a receiver on a real socket gets, and the effects of its answers."""

import json
import socket
import threading

import pytest

from app.events.deliverer import EACH
from app.store.deliveries import Deliveries
from tests.integration.engine.scene import REFUSED
from tests.integration.webhooks.conftest import CHECKOUTS, received
from tests.support.scripted_server import http
from tests.support.webhooks import NEW, OLD, verified

OK = http(b"")


def test_receiver_gets_a_signed_cloudevent(scene, senders, receiver):
    receiver.answers = [OK]
    saga = scene.run()
    assert senders.send() == 1
    headers, event = receiver.headers(), received(receiver)
    assert receiver.received[0].startswith(b"POST /hook HTTP/1.1\r\n")
    assert headers["content-type"] == "application/cloudevents+json"
    assert headers["webhook-timestamp"] == "1800000000"
    assert headers["webhook-id"] == event["id"] == f"{saga.id}/{saga.next_seq - 1}/completed"
    assert verified(headers, receiver.body(), OLD)
    assert (event["specversion"], event["type"], event["source"]) == ("1.0", "saga.completed", "/sagas/checkout")
    assert event["subject"] == str(saga.id)
    assert event["data"]["status"] == "completed"
    assert event["data"]["started_with"] == {"client_id": 4, "magasin_id": 1}


def test_delivered_message_is_not_sent_again(scene, senders, receiver, due, rows):
    receiver.answers = [http(b"", "204 No Content"), OK]
    scene.run()
    assert senders.send() == 1
    assert senders.counted("delivered") == 1.0
    due()
    assert senders.send() == 0
    assert rows()[0]["delivered_at"] is not None


def test_compensated_saga_says_why(scene, senders, receiver):
    receiver.answers = [OK]
    scene.given(payer=[REFUSED]).run()
    senders.send()
    assert received(receiver)["type"] == "saga.compensated"
    assert received(receiver)["data"]["reason"] == scene.rows("SELECT error FROM saga")[0]["error"] != ""


def test_500_and_then_200_delivers_the_same_message(scene, senders, receiver, due, rows):
    receiver.answers = [http(b"", "500 Internal Server Error"), OK]
    scene.run()
    senders.send()
    assert senders.counted("failed") == 1.0
    assert rows()[0]["error"] == "the receiver answered 500"
    assert rows()[0]["delivered_at"] is None
    assert senders.send() == 0  # the message waits for its next attempt
    due()
    senders.now += 60
    assert senders.send() == 1
    assert receiver.body(0) == receiver.body(1)
    assert receiver.headers(0)["webhook-id"] == receiver.headers(1)["webhook-id"]
    assert receiver.headers(1)["webhook-timestamp"] == "1800000060"
    assert verified(receiver.headers(1), receiver.body(1), OLD)


def test_message_becomes_a_dead_letter_after_its_attempts(scene, senders, receiver, due, rows):
    receiver.answers = [http(b"", "500 Internal Server Error")] * 4
    scene.run()
    for _ in range(3):
        due()
        assert senders.send() == 1
    assert senders.counted("dead") == 1.0
    assert (rows()[0]["due_at"], rows()[0]["delivered_at"], rows()[0]["attempts"]) == (None, None, 3)
    due()
    assert senders.send() == 0


def test_410_is_a_dead_letter_at_once(scene, senders, receiver):
    receiver.answers = [http(b"", "410 Gone")]
    scene.run()
    senders.send()
    assert senders.counted("dead") == 1.0


def test_redirect_is_not_followed(scene, senders, receiver, rows):
    receiver.answers = [http(b"", "302 Found", f"Location: {receiver.url}/elsewhere\r\n"), OK]
    scene.run()
    senders.send()
    assert len(receiver.received) == 1
    assert rows()[0]["error"] == "the receiver answered 302; redirects are not followed"


def test_receiver_that_hangs_costs_its_timeout_and_an_attempt(scene, senders, configured, rows):
    configured(f"{CHECKOUTS}\ntimeout_s = 0.5")
    scene.run()
    senders.send()
    assert rows()[0]["error"] == "no answer within 0.5 s"
    assert rows()[0]["delivered_at"] is None


def test_receiver_that_sends_slowly_is_cut_off(scene, senders, receiver, configured, rows):
    configured(f"{CHECKOUTS}\ntimeout_s = 0.5")
    receiver.answers = [(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", *[b"x"] * 60)]
    scene.run()
    senders.send()
    assert rows()[0]["error"] == "no answer within 0.5 s"


def test_large_answer_is_not_read_to_its_end(scene, senders, receiver, rows):
    receiver.answers = [http(b"x" * 3_000_000)]
    scene.run()
    senders.send()
    assert rows()[0]["delivered_at"] is not None  # its status was read, but not its whole body


@pytest.mark.parametrize(("answer", "seconds"), [("503 Later", 120), ("429 Slow Down", 120)])
def test_receiver_may_ask_to_wait(scene, senders, receiver, answer, seconds):
    receiver.answers = [http(b"", answer, f"Retry-After: {seconds}\r\n")]
    scene.run()
    senders.send()
    assert scene.rows(left(scene))[0]["left_s"] == pytest.approx(seconds, abs=5)


def left(scene):
    now, until = (
        ("statement_timestamp()", "extract(epoch FROM due_at - {now})")
        if scene.database.dialect.name == "postgresql"
        else ("julianday('now')", "(julianday(due_at) - {now}) * 86400")
    )
    return f"SELECT {until.format(now=now)} AS left_s FROM webhook_delivery"


def test_waits_grow_and_are_random_within_their_upper_half(senders):
    sender = senders.one()
    assert [sender._delay_s(attempt, 0.0) for attempt in (1, 2, 3, 20)] == [5.0, 20.0, 80.0, 21_600.0]
    sender._jitter = lambda _longest_s: 0.0
    assert [sender._delay_s(attempt, 0.0) for attempt in (1, 2)] == [2.5, 10.0]
    assert sender._delay_s(1, 999_999.0) == 21_600.0


def test_private_address_is_never_connected_to(scene, senders, receiver, configured, rows):
    text = f"[shop]\nurl = 'http://localhost:{receiver.port}/hook'\nsecrets_file = SECRET\nsagas = ['checkout']"
    configured(text, WEBHOOK_NETWORKS="")
    receiver.answers = [OK]
    scene.run()
    senders.send()
    assert receiver.connections == 0
    assert "is an address that must not be called" in rows()[0]["error"]
    assert rows()[0]["due_at"] is not None


def test_name_that_leads_elsewhere_after_the_check_is_not_followed(scene, senders, receiver, configured, rows):
    """DNS rebinding: the sender connects to the address that it has checked, not to a newly looked-up one."""
    configured(
        "[shop]\nurl = 'http://rebound.example/hook'\nsecrets_file = SECRET\nsagas = ['checkout']", WEBHOOK_NETWORKS=""
    )
    scene.run()
    asked = []

    def look_up(host, port, **_):
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", receiver.port))]

    sender = senders.one()
    sender.receivers["shop"].sender._ways._dialer._resolver._look_up = look_up
    for delivery in list(sender.claimed()):
        sender.deliver(delivery)
    assert asked == ["rebound.example"]
    assert receiver.connections == 0
    assert "rebound.example:80 at 127.0.0.1 is an address that must not be called" in rows()[0]["error"]


def test_address_that_the_settings_allow_no_more_is_a_dead_letter(scene, senders, receiver, configured, rows):
    scene.run()
    configured("[shop]\nurl = 'RECEIVER/new'\nsecrets_file = SECRET\nsagas = ['checkout']")
    senders.send()
    assert receiver.connections == 0
    assert rows()[0]["error"].endswith("/hook is no address of this webhook any more")
    assert rows()[0]["due_at"] is None


def test_both_secrets_sign_during_a_rotation(scene, senders, receiver, configured):
    configured(CHECKOUTS, f"{NEW} {OLD}")
    receiver.answers = [OK]
    scene.run()
    senders.send()
    assert verified(receiver.headers(), receiver.body(), OLD)
    assert verified(receiver.headers(), receiver.body(), NEW)


def test_message_is_not_sent_unsigned_when_its_secret_is_spoiled(scene, senders, receiver, tmp_path, rows):
    (tmp_path / "secret").write_text("spoiled")
    scene.webhooks.by_name["shop"].secrets._next_look = 0.0
    scene.run()
    senders.send()
    assert receiver.connections == 0
    assert "has no secret in the form whsec_" in rows()[0]["error"]


def test_failing_webhook_gets_one_message_at_a_time(scene, senders, receiver):
    receiver.answers = [http(b"", "500 Internal Server Error"), OK] * 20
    for _ in range(EACH + 2):
        scene.run()
    sender = senders.one()
    first = list(sender.claimed())
    assert len(first) == EACH
    assert list(sender.claimed()) == []  # this webhook has no free thread
    sender.deliver(first[0])
    for delivery in first[1:]:
        sender._in_flight[delivery.webhook] -= 1
    (one,) = sender.claimed()
    sender.deliver(one)
    assert len(list(sender.claimed())) == 1


def test_attempts_are_bounded_when_each_process_dies(scene, senders, due, rows):
    scene.run()
    for _ in range(3):
        Deliveries(scene.database, "dies").claim("shop", 1, 30)
        due()
    senders.send()
    assert rows()[0]["error"] == "3 attempts ended without a result"
    assert rows()[0]["due_at"] is None


def test_defect_counts_as_a_failed_attempt(scene, senders, rows, monkeypatch):
    monkeypatch.setattr("app.events.webhooks.event_of", lambda *_: 1 / 0)
    scene.run()
    senders.send()
    assert rows()[0]["error"] == "an error in this program: ZeroDivisionError"
    assert senders.counted("failed") == 1.0


def test_thread_sends_what_is_committed_and_ends(scene, senders, receiver, rows):
    receiver.answers = [OK]
    sender = senders.one()
    thread = threading.Thread(target=sender.run)
    thread.start()
    scene.run()
    sender._wake.set()
    while not rows()[0]["delivered_at"]:
        thread.join(0.01)
    sender._stopping.set()
    thread.join(10)
    assert not thread.is_alive()
    assert json.loads(receiver.body())["type"] == "saga.completed"


def test_engine_wakes_the_sender_after_the_commit(scene, configured, rows):
    woken = []
    scene.on_delivery = lambda: woken.append(len(rows()))
    scene.run()
    assert woken == [1]
