"""Steps whose call is accepted with 202 and whose answer is asked for: what ends the polls, and what follows."""

from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from app.calls.client import Request
from app.errors import ConflictError
from app.store.sagas import FencedError
from machines.call import delete, get
from machines.fields import text
from machines.keeps import header
from machines.later import poll
from machines.outcomes import ACCEPTED, IN_DOUBT, NOT_SENT, REFUSED, REFUSED_UNDO, SUCCEEDED
from machines.registry import Registry
from machines.replies import Reply
from machines.retry import NEVER, Retry
from machines.saga import Saga
from tests.integration.engine import bank
from tests.integration.engine.bank import HOUR, moves, state
from tests.integration.engine.passing import Crash, continue_due, dies_at, pass_time
from tests.integration.engine.scene import LOST, Scene, answer
from tests.integration.engine.scene import NOT_SENT as UNSENT

ASKED = get("bank", "/pay/{pay.id}/status")
TAKEN = answer(202, id="p1")
PENDING = answer(202)
OUTCOME = get("bank", "/pay/{saga.id}/outcome")


def asks(call: Any = ASKED, **how: Any) -> Any:
    return poll(call, **({"every_s": 10, "within_s": HOUR} | how))


def sale(pay: dict[str, Any] | None = None, **columns: Any) -> Saga:
    """Return a saga with a compensatable step whose answer is asked for, and with a pivot as its last step."""
    return bank.sale(pay, **({"later": asks()} | columns))


def capture(**columns: Any) -> Saga:
    """Return a saga whose pivot is answered by polls."""
    return bank.capture(**({"later": asks()} | columns))


def begin(scene: Scene, definition: Saga, *polls: Reply, taken: Reply = TAKEN) -> Any:
    """Start a saga whose call is accepted, and whose polls get these replies."""
    scene.registry = Registry([definition])
    scene.given(pay=[taken], poll_pay=list(polls))
    return scene.run(definition, customer="Ada")


def look(scene: Scene, times: int = 1) -> Any:
    """Let the time pass until the next polls are due, and send them. Return the saga after the last one."""
    saga = None
    for _ in range(times):
        pass_time(scene, due_in(scene))
        saga = continue_due(scene)
    return saga


def due_in(scene: Scene) -> float:
    """Return the seconds until the saga is due."""
    left = {
        "sqlite": "(julianday(due_at) - julianday('now')) * 86400",
        "postgresql": "extract(epoch FROM due_at - clock_timestamp())",
    }[scene.database.dialect.name]
    return float(scene.rows(f"SELECT {left} AS seconds FROM saga")[0]["seconds"])


def test_a_202_waits_and_nothing_holds_the_saga_until_the_first_poll(scene):
    saga = begin(scene, sale())
    (row,) = scene.rows("SELECT state, status, owner, deferrals FROM saga")
    assert (row["state"], row["status"], row["owner"], row["deferrals"]) == ("AWAITING_PAY", "waiting", None, 0)
    assert saga.status == "waiting"
    assert scene.calls == ["hold", "pay"]
    assert scene.slept == []
    assert 8 < due_in(scene) <= 10
    assert continue_due(scene) is None


def test_a_poll_asks_at_the_address_of_the_202_and_its_answer_is_the_reply_of_the_step(scene):
    begin(scene, sale(), answer(200, receipt="r7"))
    saga = look(scene)
    assert saga.state == "SENT"
    assert scene.calls == ["hold", "pay", "poll_pay", "send"]
    (asked,) = (request for request in scene.requests if request.url.endswith("/status"))
    assert (asked.method, asked.url.rpartition("/pay/")[2], asked.body) == ("GET", "p1/status", None)
    assert saga.results["pay"] == {"id": "p1", "receipt": "r7"}, "what the 202 has brought stays known"
    assert moves(scene) == [("succeeded", "PAID")]
    (row,) = scene.rows("SELECT reason, status_code FROM journal WHERE source = 'AWAITING_PAY'")
    assert (row["reason"], row["status_code"]) == ("poll 1: 200", 200)


def test_polls_without_an_answer_are_counted_and_not_journalled(scene):
    begin(scene, sale(), *[PENDING] * 4, answer(200))
    before = scene.rows("SELECT count(*) AS n FROM journal")[0]["n"]
    look(scene, 4)
    (row,) = scene.rows("SELECT state, owner, deferrals, claims, unsure FROM saga")
    assert (row["state"], row["owner"], row["deferrals"], row["claims"]) == ("AWAITING_PAY", None, 4, 0)
    assert not row["unsure"], "a poll leaves no attempt in doubt"
    assert scene.rows("SELECT count(*) AS n FROM journal")[0]["n"] == before
    assert look(scene).state == "SENT"
    assert scene.rows("SELECT reason FROM journal WHERE source = 'AWAITING_PAY'")[0]["reason"] == "poll 5: 200"


def test_the_polls_back_off_up_to_the_slowest_one(scene):
    begin(scene, sale(later=asks(slowest_s=20)), *[PENDING] * 4)
    waits = [due_in(scene)]
    for _ in range(3):
        look(scene)
        waits.append(due_in(scene))
    assert waits == pytest.approx([10, 15, 20, 20], abs=1.5)


def test_the_wait_before_a_poll_is_random_from_half_to_whole(scene):
    scene.longest_wait_s = 1
    begin(scene, sale())
    assert due_in(scene) == pytest.approx(6, abs=1.5)


def test_the_wait_before_a_poll_is_at_least_the_retry_after(scene):
    begin(scene, sale(), replace(PENDING, retry_after_s=600.0), taken=replace(TAKEN, retry_after_s=120.0))
    assert due_in(scene) == pytest.approx(120, abs=2)
    look(scene)
    assert due_in(scene) == pytest.approx(600, abs=2)


def test_no_wait_is_longer_than_the_time_that_is_left(scene):
    begin(scene, sale(later=asks(every_s=50, within_s=60)), PENDING)
    look(scene)
    assert due_in(scene) < 11


@pytest.mark.parametrize(
    "said",
    [
        LOST, UNSENT, PENDING, answer(503), answer(500), answer(401), answer(429), answer(404, title="no job"),
        answer(410, title="gone"), answer(400, title="what?"), answer(303), Reply(status=200, body=None),
        Reply(error="breaker open", sent=False),
    ],
    ids=lambda reply: str(reply.status or reply.error),
)  # fmt: skip
def test_a_poll_without_an_answer_is_sent_again_and_proves_nothing(scene, said):
    begin(scene, sale(), said, said, answer(200))
    look(scene, 2)
    assert (state(scene), moves(scene)) == ("AWAITING_PAY", [])
    assert look(scene).state == "SENT"
    assert scene.calls.count("pay") == 1, "the call itself is not sent again"


@pytest.mark.parametrize("open_", [IN_DOUBT, NOT_SENT, ACCEPTED])
def test_the_call_says_what_a_field_of_the_poll_means(scene, open_):
    means = {"means": {"result": {"pending": open_, "failed": REFUSED}}}
    begin(scene, sale(means), answer(200, result="pending"), answer(200, result="failed"))
    look(scene)
    assert state(scene) == "AWAITING_PAY"
    assert look(scene).state == "CALLED_OFF"
    assert scene.calls == ["hold", "pay", "poll_pay", "poll_pay", "undo_hold"]


def test_a_status_in_the_means_of_the_call_says_nothing_about_the_poll(scene):
    begin(scene, sale({"means": {404: REFUSED}}), answer(404, title="no job"))
    look(scene)
    assert state(scene) == "AWAITING_PAY"


def test_the_poll_may_say_itself_what_its_reply_means(scene):
    asked = get("bank", "/pay/{pay.id}/status", means={303: SUCCEEDED, 404: REFUSED})
    begin(scene, sale(later=asks(asked)), answer(404, title="no"))
    look(scene)
    assert state(scene) == "CALLED_OFF"


def test_a_refusal_by_a_poll_undoes_the_steps_before_and_not_this_one(scene):
    begin(scene, sale(), answer(409, detail="no cover"))
    saga = look(scene)
    assert saga.state == "CALLED_OFF"
    assert "poll 1: 409 no cover" in saga.error
    assert scene.calls == ["hold", "pay", "poll_pay", "undo_hold"]


def test_a_refusal_that_leaves_something_behind_undoes_the_step_too(scene):
    begin(scene, sale({"means": {"result": {"failed": REFUSED_UNDO}}}), answer(200, result="failed"))
    look(scene)
    assert scene.calls == ["hold", "pay", "poll_pay", "undo_pay", "undo_hold"]


def test_a_success_without_a_kept_field_is_asked_for_again(scene):
    keeps = {"keeps": {"id": text(), "receipt": text()}}
    begin(scene, sale(keeps), answer(200, result="done"), answer(200, receipt="r7", more="is not kept"))
    look(scene)
    assert state(scene) == "AWAITING_PAY"
    assert look(scene).results["pay"] == {"id": "p1", "receipt": "r7"}


def test_a_reply_at_once_needs_no_poll(scene):
    begin(scene, sale(), taken=answer(200))
    assert scene.calls == ["hold", "pay", "send"]


LOCATION = {"keeps": {"place": header("Location")}}
AT_LOCATION = get("bank", "{pay.place}")


@pytest.mark.parametrize(
    "place", ["/bank/pay/p1/status", "{base}/pay/p1/status", "{base}/pay/p1/status?token=a%2Fb#top"]
)
def test_the_address_of_the_poll_comes_from_the_location_of_the_202(scene, place):
    base = scene.config.participant_url("bank")
    place = place.replace("{base}", base)
    taken = Reply(status=202, body={}, headers={b"location": place.encode()})
    begin(scene, sale(LOCATION, later=asks(AT_LOCATION)), answer(200), taken=taken)
    assert look(scene).state == "SENT"
    (asked,) = (request for request in scene.requests if "/status" in request.url)
    assert asked.url == f"{base}/pay/p1/status" + ("?token=a%2Fb" if "?" in place else "")


@pytest.mark.parametrize("place", ["http://169.254.169.254/latest/meta-data", "//evil.example/bank/x", "/admin", ""])
def test_a_202_with_an_address_elsewhere_is_in_doubt_and_no_address_elsewhere_is_called(scene, place):
    table = sale(LOCATION, later=asks(AT_LOCATION), retry=Retry(attempts=2, base_s=0))
    taken = Reply(status=202, body={}, headers={b"location": place.encode()})
    scene.given(pay=[taken])
    saga = begin(scene, table, taken=taken)
    assert scene.calls == ["hold", "pay", "pay", "undo_pay", "undo_hold"]
    assert "202, but the answer cannot be asked for" in saga.error
    base = scene.config.participant_url("bank")
    assert all(request.url.startswith(base) for request in scene.requests)


def test_a_202_without_the_id_of_the_poll_is_in_doubt_and_sent_again(scene):
    scene.given(pay=[answer(202)])
    begin(scene, sale(retry=Retry(base_s=0)), answer(200), taken=TAKEN)
    assert scene.calls == ["hold", "pay", "pay"]
    assert look(scene).state == "SENT"


def test_a_setting_that_changed_meanwhile_proves_nothing_about_the_call(scene):
    base = scene.config.participant_url("bank")
    taken = Reply(status=202, body={}, headers={b"location": f"{base}/pay/p1/status".encode()})
    begin(scene, sale(LOCATION, later=asks(AT_LOCATION)), taken=taken)
    scene.config._urls["bank"] = "https://moved.example"
    look(scene)
    assert state(scene) == "AWAITING_PAY"
    assert scene.calls == ["hold", "pay"]


def test_no_answer_in_time_undoes_the_step_itself_too_after_a_last_poll(scene):
    begin(scene, sale(), answer(202, detail="working"))
    pass_time(scene, HOUR + 1)
    saga = continue_due(scene)
    assert saga.state == "CALLED_OFF"
    assert scene.calls == ["hold", "pay", "poll_pay", "undo_pay", "undo_hold"]
    assert "poll 1: 202 working" in saga.error
    assert "no answer came within 1 h" in saga.error


def test_an_answer_at_the_last_poll_counts_although_no_process_ran_in_time(scene):
    begin(scene, sale(), answer(200))
    pass_time(scene, 50 * HOUR)
    assert continue_due(scene).state == "SENT"


@pytest.mark.parametrize(
    ("found", "calls"),
    [(answer(200), ["probe_pay", "send"]), (answer(404, title="no"), ["probe_pay", "undo_pay", "undo_hold"])],
)
def test_no_answer_in_time_asks_the_probe_and_never_sends_the_call_again(scene, found, calls):
    begin(scene, sale(probe=OUTCOME), LOST)
    scene.given(probe_pay=[found])
    pass_time(scene, HOUR + 1)
    continue_due(scene)
    assert scene.calls == ["hold", "pay", "poll_pay", *calls]


def test_a_pivot_without_an_answer_in_time_is_stuck_and_is_sent_again_by_a_person_alone(scene):
    saga = begin(scene, capture(), LOST)
    pass_time(scene, HOUR + 1)
    assert continue_due(scene).state == "STUCK_PAY"
    scene.given(pay=[answer(200)])
    assert scene.service.retry(saga.id, "user:eve", "it works again").state == "SENT"


def test_a_refusal_of_a_pivot_is_believed_when_no_attempt_was_in_doubt(scene):
    begin(scene, capture(), LOST, answer(409))
    assert look(scene, 2).state == "CALLED_OFF"


def test_a_refusal_of_a_pivot_after_an_attempt_in_doubt_is_stuck(scene):
    scene.given(pay=[LOST])
    begin(scene, capture(retry=Retry(base_s=0)), answer(409))
    assert look(scene).state == "STUCK_PAY"


def test_a_compensatable_is_ended_by_the_deadline_and_undone(scene):
    begin(scene, sale(later=asks(within_s=99 * HOUR, every_s=10 * HOUR, slowest_s=90 * HOUR)), *[PENDING] * 9)
    pass_time(scene, 100 * HOUR)
    assert continue_due(scene).state == "CALLED_OFF"
    assert scene.calls[-2:] == ["undo_pay", "undo_hold"]


def test_a_person_cancels_a_saga_that_polls_and_the_step_itself_is_undone(scene):
    saga = begin(scene, sale(), PENDING)
    look(scene)
    assert scene.service.compensate(saga.id, "user:eve", "no need").state == "CALLED_OFF"
    assert scene.calls == ["hold", "pay", "poll_pay", "undo_pay", "undo_hold"]


def test_a_pivot_that_polls_cannot_be_cancelled(scene):
    saga = begin(scene, capture())
    with pytest.raises(ConflictError):
        scene.service.compensate(saga.id, "user:eve", "no need")


def test_a_cancel_during_a_poll_wins_over_the_answer_that_was_not_committed(scene):
    saga = begin(scene, sale(), answer(200))
    pass_time(scene, 10)
    (polling,) = scene.leases("polling").claim(1, 30)

    def cancel(request: Request) -> None:
        if request.url.endswith("/status"):
            scene.at_each_call = lambda _request: None
            assert scene.service.compensate(saga.id, "user:eve", "no need").state == "CALLED_OFF"

    scene.at_each_call = cancel
    with pytest.raises(FencedError):
        scene.engine.run(polling, 0)
    assert scene.calls == ["hold", "pay", "poll_pay", "undo_pay", "undo_hold"]


def test_a_cancel_that_is_decided_before_the_answer_is_committed_applies_to_the_saga_after_it(scene, monkeypatch):
    saga = begin(scene, sale(), answer(200))
    real, looked = scene.engine.store.save, []

    def save(*given: Any, **how: Any) -> None:
        if not looked:
            looked.append(True)
            look(scene)
        real(*given, **how)

    monkeypatch.setattr(scene.engine.store, "save", save)
    with pytest.raises(ConflictError):
        scene.service.compensate(saga.id, "user:eve", "no need")
    assert state(scene) == "SENT"


def test_a_process_that_dies_while_it_polls_leaves_no_doubt_behind(scene):
    begin(scene, capture(), answer(409))

    def dies(_request: Request) -> None:
        raise Crash

    pass_time(scene, 10)
    scene.at_each_call = dies
    with pytest.raises(Crash):
        continue_due(scene)
    scene.at_each_call = lambda _request: None
    scene.leases("next").expire_all()
    assert continue_due(scene).state == "CALLED_OFF", "no attempt was in doubt, so the refusal is believed"


def test_a_lost_commit_of_a_poll_puts_nothing_in_doubt(scene):
    """The runner gives the claim back after a commit that the database did not confirm."""
    begin(scene, capture(), PENDING)
    pass_time(scene, 10)
    leases = scene.leases("polling")
    (saga,) = leases.claim(1, 30)
    scene.engine.calls.poll(saga)
    leases.uncount_claim(saga)
    assert not scene.rows("SELECT unsure FROM saga")[0]["unsure"]


def test_the_undo_uses_the_id_of_the_202(scene):
    call = {"keeps": {"id": text(), "receipt": text()}}
    table = sale(call, undo=delete("bank", "/pay/{pay.id}"), repeatable=True)
    saga = begin(scene, table, PENDING)
    scene.service.compensate(saga.id, "user:eve", "no need")
    assert scene.calls == ["hold", "pay", "undo_pay", "undo_hold"]
    assert any(request.url.endswith("/pay/p1") for request in scene.requests)


def test_the_undo_recovers_what_the_202_did_not_have(scene):
    call = {"keeps": {"job": text(), "id": text()}}
    table = sale(
        call, undo=delete("bank", "/pay/{pay.id}"), later=asks(get("bank", "/jobs/{pay.job}/status")), repeatable=True
    )
    saga = begin(scene, table, taken=answer(202, job="j1"))
    scene.given(pay=[answer(200, job="j1", id="p1")])
    assert scene.service.compensate(saga.id, "user:eve", "no need").state == "CALLED_OFF"
    assert scene.calls == ["hold", "pay", "pay", "undo_pay", "undo_hold"]
    assert scene.requests[-2].url.endswith("/pay/p1")


def test_never_sent_twice_holds_for_a_step_that_polls(scene):
    begin(scene, sale(retry=NEVER), LOST, LOST)
    look(scene)
    pass_time(scene, HOUR + 1)
    continue_due(scene)
    assert scene.calls.count("pay") == 1


def test_the_call_of_a_step_that_polls_has_no_reply_url(scene):
    begin(scene, sale())
    assert not any("Saga-Reply-To" in request.headers for request in scene.requests)


def test_polls_are_counted_by_status(scene):
    begin(scene, sale(), answer(503), PENDING, answer(200))
    look(scene, 3)
    scene.telemetry.queue.flush()
    counted = {
        sample.labels["status_code"]: sample.value
        for metric in scene.metrics.collect()
        for sample in metric.samples
        if sample.name == "saga_participant_calls_total" and sample.labels["endpoint"] == ASKED.path and sample.value
    }
    assert counted == {"503": 1, "202": 1, "200": 1}


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("commit", range(1, 8))
def test_a_crash_at_any_commit_loses_no_answer_and_doubles_no_effect(scene, monkeypatch, commit, after):
    """The process dies at each commit of a saga whose answer comes at the third poll."""
    table = sale({"keeps": {"id": text()}}, retry=Retry(attempts=4, base_s=0))
    died = dies_at(scene, commit, after=after, monkeypatch=monkeypatch)
    with suppress(Crash):
        begin(scene, table, PENDING, PENDING, *[answer(200, id="p1")] * 9)
    if not scene.rows("SELECT id FROM saga"):  # the process died before its first commit, and so before any call
        assert scene.calls == []
        return
    scene.replies["pay"].clear()
    scene.given(pay=[TAKEN] * 9)
    for _ in range(9):
        scene.leases("next").expire_all()
        for saga in scene.leases("next").claim(1, 30):
            with suppress(Crash):
                scene.engine.run(saga, 0)
    assert state(scene) == "SENT"
    assert died()
    assert {request.headers["Idempotency-Key"].split("/", 1)[1] for request in scene.requests} == {
        "hold/do", "pay/do", "send/do",
    }  # fmt: skip


def test_send_now_asks_at_once(scene):
    saga = begin(scene, sale(), answer(200))
    assert scene.service.send_now(saga.id, "user:eve", "the bank has called").state == "SENT"
    assert scene.calls == ["hold", "pay", "poll_pay", "send"]
