"""Steps whose call is accepted with 202 and answered by a callback: what ends the wait, and what follows."""

from contextlib import suppress
from math import inf
from typing import Any
from uuid import UUID

import pytest

from app.calls.client import Request
from app.errors import ConflictError, GoneError, InvalidError, NotFoundError
from app.store.instance import Instance
from app.store.sagas import FencedError
from machines.call import delete, get, post
from machines.fields import text
from machines.keeps import header
from machines.later import callback
from machines.outcomes import ACCEPTED, IN_DOUBT, NOT_SENT, REFUSED, REFUSED_UNDO, Outcome
from machines.registry import Registry
from machines.replies import Reply
from machines.retry import NEVER, Retry
from machines.saga import Saga
from machines.step import Step, pause, pivot, retriable
from machines.transitions import Trigger
from tests.integration.engine import bank
from tests.integration.engine.bank import HOUR, moves, state
from tests.integration.engine.passing import Crash, continue_due, dies_at, pass_time
from tests.integration.engine.scene import LOST, Scene, answer

TAKEN = answer(202)
OUTCOME = get("bank", "/pay/{saga.id}/outcome")


def sale(pay: dict[str, Any] | None = None, *between: Step, **columns: Any) -> Saga:
    """Return a saga with a compensatable step that is answered by a callback, and with a pivot as its last step."""
    return bank.sale(pay, *between, **({"later": callback(within_s=HOUR)} | columns))


def capture(pay: dict[str, Any] | None = None, **columns: Any) -> Saga:
    """Return a saga whose pivot is answered by a callback."""
    return bank.capture(pay, **({"later": callback(within_s=HOUR)} | columns))


def begin(scene: Scene, definition: Saga, *replies: Reply) -> Instance:
    scene.registry = Registry([definition])
    scene.given(pay=list(replies or (TAKEN,)))
    return scene.run(definition, customer="Ada")


def reply_to(scene: Scene) -> tuple[UUID, str, str]:
    """Return the saga id, the step and the token in the URL that the participant received with its call."""
    urls = {request.headers["Saga-Reply-To"] for request in scene.requests if "Saga-Reply-To" in request.headers}
    (url,) = urls
    saga_id, step, token = url.removeprefix("https://sagas.example/api/v1/replies/").split("/")
    return UUID(saga_id), step, token


def say(scene: Scene, reply: Reply | None = None) -> Outcome | None:
    """Send the participant's answer to the URL of its call."""
    return scene.answers.take(*reply_to(scene), reply or answer(200))


def test_202_leads_to_the_waiting_state_and_nothing_holds_the_saga(scene):
    saga = begin(scene, sale())
    (row,) = scene.rows("SELECT state, status, owner, unsure FROM saga")
    assert (row["state"], row["status"], row["owner"], bool(row["unsure"])) == ("AWAITING_PAY", "waiting", None, False)
    assert scene.calls == ["hold", "pay"]
    assert saga.status == "waiting"
    pass_time(scene, HOUR - 60)
    assert continue_due(scene) is None


def test_without_later_a_202_stays_in_doubt(scene):
    begin(scene, sale(later=None), *[TAKEN] * 4)
    assert scene.calls == ["hold", *["pay"] * 4, "undo_pay", "undo_hold"]


def test_the_call_names_the_url_of_its_own_step_alone(scene):
    begin(scene, sale())
    assert "Saga-Reply-To" not in scene.requests[0].headers
    saga_id, step, token = reply_to(scene)
    assert (str(saga_id), step) == (scene.requests[0].headers["Saga-Id"], "pay")
    assert len(token) == 43, "256 bits"


def test_the_url_can_be_sent_in_the_body_and_in_a_header_of_the_participants_choice(scene):
    begin(scene, sale({"body": {"notify": {"url": "saga.reply_to"}}, "headers": {"X-Callback": "saga.reply_to"}}))
    (paid,) = (request for request in scene.requests if request.url.endswith("/pay"))
    assert paid.body["notify"]["url"] == paid.headers["X-Callback"] == paid.headers["Saga-Reply-To"]


def test_the_same_url_is_sent_at_each_attempt(scene):
    begin(scene, sale(), LOST, TAKEN)
    assert len([request for request in scene.requests if "Saga-Reply-To" in request.headers]) == 2
    assert reply_to(scene)


def test_an_answer_ends_the_wait_and_is_the_reply_of_the_step(scene):
    begin(scene, sale({"keeps": {"id": text()}}))
    assert say(scene, answer(200, id="p1", more="is not kept")) is Outcome.SUCCEEDED
    saga = continue_due(scene)
    assert saga.state == "SENT"
    assert saga.results["pay"] == {"id": "p1"}
    assert moves(scene) == [("succeeded", "PAID")]
    (row,) = scene.rows("SELECT * FROM journal WHERE source = 'AWAITING_PAY'")
    assert (row["reason"], row["status_code"]) == ("callback: 200", 200)


def test_an_answer_that_refuses_undoes_the_steps_before_and_not_this_one(scene):
    begin(scene, sale({"means": {"result": {"failed": REFUSED}}}))
    assert say(scene, answer(200, result="failed")) is Outcome.REFUSED
    assert continue_due(scene).state == "CALLED_OFF"
    assert scene.calls == ["hold", "pay", "undo_hold"]


def test_an_answer_with_an_error_status_refuses_as_a_reply_would(scene):
    begin(scene, sale())
    say(scene, answer(409, detail="no cover"))
    assert "callback: 409 no cover" in continue_due(scene).error
    assert scene.calls == ["hold", "pay", "undo_hold"]


def test_an_answer_that_leaves_something_behind_undoes_the_step_too(scene):
    begin(scene, sale({"means": {"result": {"failed": REFUSED_UNDO}}}))
    assert say(scene, answer(200, result="failed")) is Outcome.REFUSED_UNDO
    continue_due(scene)
    assert scene.calls == ["hold", "pay", "undo_pay", "undo_hold"]


@pytest.mark.parametrize("open_", [IN_DOUBT, NOT_SENT, ACCEPTED])
def test_an_answer_that_leaves_the_outcome_open_changes_nothing(scene, open_):
    begin(scene, sale({"means": {"result": {"pending": open_}}}))
    assert say(scene, answer(200, result="pending")) is None
    assert scene.rows("SELECT * FROM arrival") == []
    say(scene, answer(200, result="done"))
    assert continue_due(scene).state == "SENT"


def test_a_success_without_a_kept_field_is_refused_by_name_and_can_be_sent_again(scene):
    begin(scene, sale({"keeps": {"payment.id": text(), "place": header("Location")}}))
    with pytest.raises(InvalidError, match="/payment/id: Missing"):
        say(scene, answer(200))
    say(scene, Reply(status=200, body={"payment": {"id": "p"}}, headers={b"location": b"/p"}))
    assert continue_due(scene).results["pay"] == {"payment": {"id": "p"}, "place": "/p"}


def test_a_reply_that_means_accepted_waits_as_a_202_does(scene):
    table = sale({"means": {"result": {"processing": ACCEPTED}}})
    assert begin(scene, table, answer(200, result="processing")).state == "AWAITING_PAY"


def test_the_same_answer_twice_is_one_move(scene):
    begin(scene, sale({"keeps": {"id": text()}}))
    say(scene, answer(200, id="p1", sent="first"))
    say(scene, answer(200, id="p1", sent="second"))
    continue_due(scene)
    assert say(scene, answer(200, id="p1")) is Outcome.SUCCEEDED
    assert continue_due(scene) is None
    assert len(moves(scene)) == 1


@pytest.mark.parametrize("other", [answer(200, id="p2"), answer(409)])
def test_another_answer_after_the_first_is_refused(scene, other):
    begin(scene, sale())
    say(scene, answer(200, id="p1"))
    with pytest.raises(ConflictError, match="the first answer counts"):
        say(scene, other)
    continue_due(scene)
    with pytest.raises(ConflictError):
        say(scene, other)


def test_the_same_refusal_twice_is_one_move_after_the_saga_went_back(scene):
    begin(scene, sale())
    say(scene, answer(409, detail="no"))
    assert continue_due(scene).state == "CALLED_OFF"
    assert say(scene, answer(409, detail="still no")) is Outcome.REFUSED
    with pytest.raises(ConflictError):
        say(scene)


def test_an_answer_after_the_undo_is_gone(scene):
    begin(scene, sale())
    pass_time(scene, HOUR + 1)
    assert continue_due(scene).state == "CALLED_OFF"
    with pytest.raises(GoneError):
        say(scene)
    assert scene.rows("SELECT * FROM arrival") == []


def test_the_answer_that_counted_is_gone_after_the_undo(scene):
    begin(scene, sale())
    scene.given(send=[answer(409)])
    say(scene)
    assert continue_due(scene).state == "CALLED_OFF"
    with pytest.raises(GoneError):
        say(scene)


@pytest.mark.parametrize("change", ["token", "step", "saga", "secret"])
def test_a_wrong_token_finds_nothing(scene, change):
    begin(scene, sale())
    saga_id, step, token = reply_to(scene)
    wrong = {
        "token": (saga_id, step, ("B" if token[0] == "A" else "A") + token[1:]),
        "step": (saga_id, "hold", token),
        "saga": (UUID(int=saga_id.int ^ 1), step, token),
        "secret": (saga_id, step, token),
    }[change]
    if change == "secret":
        object.__setattr__(scene.config, "secret_key", "another secret, as long as the first")
    with pytest.raises(NotFoundError):
        scene.answers.take(*wrong, answer(200))
    assert scene.rows("SELECT * FROM arrival") == []


def test_a_token_of_a_saga_that_was_pruned_finds_nothing(scene):
    begin(scene, sale())
    with scene.database.connect() as connection:
        connection.exec_driver_sql("DELETE FROM saga")
    with pytest.raises(NotFoundError):
        say(scene)


def answer_during_the_call(scene: Scene, reply: Reply | None = None) -> None:
    """Let the participant send its answer before the engine reads the reply to the call."""

    def at_each_call(request: Request) -> None:
        if request.url.endswith("/pay"):
            say(scene, reply)

    scene.at_each_call = at_each_call


def test_an_answer_before_the_202_is_read_is_taken_when_the_wait_begins(scene):
    answer_during_the_call(scene)
    saga = begin(scene, sale())
    assert saga.state == "AWAITING_PAY"
    assert continue_due(scene).state == "SENT"
    assert scene.calls == ["hold", "pay", "send"]


@pytest.mark.parametrize("early", [False, True])
def test_an_answer_before_the_202_is_read_is_claimed_at_once(scene, early):
    def at_each_call(request: Request) -> None:
        if early and request.url.endswith("/pay"):
            say(scene)
            scene.runner.claim_now.clear()  # the wake-up of the sender came before the saga waited

    scene.at_each_call = at_each_call
    table = sale()
    scene.registry = Registry([table])
    scene.given(pay=[TAKEN])
    saga = Instance.new(table, {"customer": "Ada"}, actor="client", clock=lambda: scene.now)
    scene.runner.run_inline(saga, 0, inf)
    assert saga.state == "AWAITING_PAY"
    assert scene.runner.claim_now.is_set() is early


def test_an_answer_counts_when_the_reply_to_the_call_is_lost(scene):
    answer_during_the_call(scene)
    assert begin(scene, sale(), LOST).state == "SENT"
    assert scene.calls == ["hold", "pay", "send"], "the call is not sent again"


def test_a_reply_and_an_equal_answer_are_one_move(scene):
    begin(scene, sale({"keeps": {"id": text()}}), answer(200, id="p1"))
    assert say(scene, answer(200, id="p1")) is Outcome.SUCCEEDED
    with pytest.raises(ConflictError, match="has its answer already"):
        say(scene, answer(200, id="p2"))


def test_no_answer_in_time_undoes_the_step_itself_too(scene):
    begin(scene, sale())
    pass_time(scene, HOUR + 1)
    saga = continue_due(scene)
    assert saga.state == "CALLED_OFF"
    assert scene.calls == ["hold", "pay", "undo_pay", "undo_hold"]
    assert "callback: none came within 1 h" in saga.error


@pytest.mark.parametrize(
    ("found", "calls"),
    [(answer(200), ["probe_pay", "send"]), (answer(404, title="no"), ["probe_pay", "undo_pay", "undo_hold"])],
)
def test_no_answer_in_time_asks_the_probe_and_never_sends_the_call_again(scene, found, calls):
    begin(scene, sale(probe=OUTCOME))
    scene.given(probe_pay=[found])
    pass_time(scene, HOUR + 1)
    continue_due(scene)
    assert scene.calls == ["hold", "pay", *calls]


def test_a_probe_that_cannot_be_sent_is_asked_again_later(scene):
    begin(scene, sale(probe=OUTCOME))
    scene.given(probe_pay=[Reply(error="no connection", sent=False), answer(200)])
    pass_time(scene, HOUR + 1)
    assert continue_due(scene).state == "AWAITING_PAY"
    pass_time(scene, 60)
    assert continue_due(scene).state == "SENT"


def test_a_pivot_without_an_answer_in_time_is_stuck_and_takes_a_late_answer_at_the_retry(scene):
    saga = begin(scene, capture())
    pass_time(scene, HOUR + 1)
    assert continue_due(scene).state == "STUCK_PAY"
    say(scene)
    assert state(scene) == "STUCK_PAY"
    assert scene.service.retry(saga.id, "user:eve", "it came").state == "SENT"
    assert scene.calls == ["hold", "pay", "send"]


def test_a_stuck_pivot_is_not_compensated_when_its_answer_says_that_it_is_done(scene):
    saga = begin(scene, capture())
    pass_time(scene, HOUR + 1)
    assert continue_due(scene).state == "STUCK_PAY"
    say(scene)
    with pytest.raises(ConflictError, match=r"step pay is done; retry the step"):
        scene.service.compensate(saga.id, "user:eve", "it did not happen")
    assert scene.service.retry(saga.id, "user:eve", "it came").state == "SENT"
    assert scene.calls == ["hold", "pay", "send"]


def test_a_stuck_pivot_is_compensated_when_its_answer_refuses(scene):
    saga = begin(scene, capture())
    pass_time(scene, HOUR + 1)
    assert continue_due(scene).state == "STUCK_PAY"
    say(scene, answer(409))
    assert scene.service.compensate(saga.id, "user:eve", "it was refused").state == "CALLED_OFF"


def test_an_answer_to_a_stuck_pivot_fences_a_request_to_compensate_that_was_decided_before(scene):
    saga = begin(scene, capture())
    pass_time(scene, HOUR + 1)
    assert continue_due(scene).state == "STUCK_PAY"
    decided = scene.engine.store.read(saga.id)
    scene.engine.request_move(decided, Trigger.COMPENSATE, "user:eve", "it did not happen")
    say(scene)
    with pytest.raises(FencedError):
        scene.engine.release(decided, 0.0)


def test_a_pivot_whose_probe_cannot_be_sent_is_stuck_after_the_deadline(scene):
    begin(scene, capture(probe=OUTCOME))
    scene.given(probe_pay=[Reply(error="no connection", sent=False)] * 2)
    pass_time(scene, HOUR + 1)
    assert continue_due(scene).state == "AWAITING_PAY"
    pass_time(scene, 10 * HOUR)
    assert continue_due(scene).state == "STUCK_PAY"


def test_a_process_that_dies_while_it_asks_the_probe_leaves_no_doubt_behind(scene):
    begin(scene, capture(probe=OUTCOME))
    pass_time(scene, HOUR + 1)
    (late,) = scene.leases("engine").claim(1, 1)  # a lease of 1 s is renewed before the probe

    def dies(_request: Request) -> None:
        raise Crash

    scene.at_each_call = dies
    with pytest.raises(Crash):
        scene.engine.run(late, 0)
    scene.at_each_call = lambda _request: None
    say(scene, answer(409))
    assert continue_due(scene).state == "CALLED_OFF", "no attempt was in doubt, so the refusal is believed"


def test_a_pivot_that_waits_is_not_ended_by_the_deadline(scene):
    begin(scene, capture(later=callback(within_s=100 * HOUR)))
    pass_time(scene, 50 * HOUR)
    assert continue_due(scene) is None
    say(scene)
    assert continue_due(scene).state == "SENT"


def test_a_compensatable_that_waits_is_ended_by_the_deadline_and_undone(scene):
    begin(scene, sale(later=callback(within_s=99 * HOUR)))
    pass_time(scene, 2 * HOUR)
    say_nothing = continue_due(scene)
    assert say_nothing is None
    pass_time(scene, 98 * HOUR + 1)
    assert continue_due(scene).state == "CALLED_OFF"
    assert scene.calls == ["hold", "pay", "undo_pay", "undo_hold"]


def test_a_refusal_of_a_pivot_is_believed_when_no_attempt_was_in_doubt(scene):
    begin(scene, capture())
    scene.leases("early").expire_all()
    scene.leases("early").claim(1, 30)  # this process dies while it looks at the waiting saga, and has sent nothing
    scene.leases("early").expire_all()
    say(scene, answer(409))
    assert continue_due(scene).state == "CALLED_OFF"


def test_a_refusal_of_a_pivot_after_an_attempt_in_doubt_is_stuck(scene):
    begin(scene, capture(), LOST, TAKEN)
    say(scene, answer(409))
    assert continue_due(scene).state == "STUCK_PAY"


def test_a_retriable_that_is_refused_by_its_answer_is_stuck(scene):
    table = Saga(
        name="post", version=1, initial="ASKED", completed="SENT", compensated="CALLED_OFF", participants=("bank",),
        data={"customer": text()},
        steps=(
            pivot("hold", post("bank", "/hold"), done="HELD", refused="SHORT"),
            retriable("pay", post("bank", "/pay"), later=callback(within_s=10 * HOUR), done="SENT"),
        ),
    )  # fmt: skip
    begin(scene, table)
    say(scene, answer(409))
    assert continue_due(scene).state == "STUCK_PAY"


def test_a_person_cancels_a_saga_that_waits_and_the_step_itself_is_undone(scene):
    saga = begin(scene, sale())
    assert scene.service.compensate(saga.id, "user:eve", "no need").state == "CALLED_OFF"
    assert scene.calls == ["hold", "pay", "undo_pay", "undo_hold"]
    with pytest.raises(GoneError):
        say(scene)


def test_a_pivot_that_waits_cannot_be_cancelled(scene):
    saga = begin(scene, capture())
    with pytest.raises(ConflictError):
        scene.service.compensate(saga.id, "user:eve", "no need")


REST = pause("rest", for_s=HOUR, done="RESTED", refused="STOPPED")


def test_an_answer_that_was_first_is_taken_before_the_request_to_cancel(scene):
    undo = {"undo": delete("bank", "/pay/{pay.id}"), "repeatable": True}
    saga = begin(scene, sale({"keeps": {"id": text()}}, REST, **undo))
    say(scene, answer(200, id="p1"))
    assert scene.service.compensate(saga.id, "user:eve", "no need").state == "CALLED_OFF"
    assert moves(scene) == [("succeeded", "PAID")]
    assert scene.calls == ["hold", "pay", "undo_pay", "undo_hold"], "the id is known, so the call is not repeated"


def test_a_cancel_is_refused_when_the_answer_has_led_the_saga_to_its_pivot(scene):
    saga = begin(scene, sale())
    say(scene)
    with pytest.raises(ConflictError, match="the saga is running, in PAID"):
        scene.service.compensate(saga.id, "user:eve", "no need")
    assert continue_due(scene).state == "SENT"


def test_an_answer_and_the_end_of_the_time_are_one_commit_that_wins(scene):
    begin(scene, sale())
    pass_time(scene, HOUR + 1)
    (late,) = scene.leases("late").claim(1, 30)
    say(scene)
    with pytest.raises(FencedError):
        scene.engine.run(late, 0)
    assert scene.calls == ["hold", "pay"], "nothing was undone"
    assert continue_due(scene).state == "SENT"


def test_an_answer_while_the_probe_is_asked_wins_over_what_the_probe_leaves_open(scene):
    begin(scene, sale(probe=OUTCOME))
    scene.given(probe_pay=[answer(404, title="no")])
    scene.at_each_call = lambda request: say(scene) if request.url.endswith("/outcome") else None
    pass_time(scene, HOUR + 1)
    (late,) = scene.leases("late").claim(1, 30)
    with pytest.raises(FencedError):
        scene.engine.run(late, 0)
    assert continue_due(scene).state == "SENT"


def test_a_cancel_that_commits_first_wins_over_the_answer(scene):
    saga = begin(scene, sale())
    scene.given(undo_pay=[LOST])
    scene.service.compensate(saga.id, "user:eve", "no need", 0.0)
    with pytest.raises(GoneError):
        say(scene)


def test_a_cancel_that_was_decided_before_the_answer_and_committed_after_it_is_decided_again(scene, monkeypatch):
    saga = begin(scene, sale({}, REST))
    real, said = scene.engine.store.save, []

    def save(*given: Any, **how: Any) -> None:
        if not said:
            said.append(say(scene))
        real(*given, **how)

    monkeypatch.setattr(scene.engine.store, "save", save)
    assert scene.service.compensate(saga.id, "user:eve", "no need").state == "CALLED_OFF"
    assert moves(scene) == [("succeeded", "PAID")], "the answer was first"


def test_the_undo_of_a_saga_that_waits_uses_the_id_of_the_202(scene):
    call = {"keeps": {"id": text(), "receipt": text()}}
    saga = begin(scene, sale(call, undo=delete("bank", "/pay/{pay.id}"), repeatable=True), answer(202, id="p1"))
    assert saga.results["pay"] == {"id": "p1"}
    scene.service.compensate(saga.id, "user:eve", "no need")
    assert scene.calls == ["hold", "pay", "undo_pay", "undo_hold"]
    assert any(request.url.endswith("/pay/p1") for request in scene.requests)


def test_the_undo_recovers_an_id_that_the_202_did_not_have(scene):
    table = sale({"keeps": {"id": text()}}, undo=delete("bank", "/pay/{pay.id}"), repeatable=True)
    saga = begin(scene, table, TAKEN, answer(202, id="p1"))
    scene.service.compensate(saga.id, "user:eve", "no need")
    assert scene.calls == ["hold", "pay", "pay", "undo_pay", "undo_hold"]


def test_never_sent_twice_holds_for_a_step_that_waits(scene):
    begin(scene, sale(retry=NEVER))
    pass_time(scene, HOUR + 1)
    continue_due(scene)
    assert scene.calls.count("pay") == 1


@pytest.mark.parametrize("early", [False, True], ids=["after the 202", "before the 202"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("commit", range(1, 6))
def test_a_crash_at_any_commit_loses_no_answer_and_doubles_no_effect(scene, monkeypatch, commit, after, early):
    """The process dies at each commit of a saga with an accepted call. The participant repeats its answer."""
    table = sale({"keeps": {"id": text()}}, retry=Retry(attempts=4, base_s=0))
    died = dies_at(scene, commit, after=after, monkeypatch=monkeypatch)
    if early:
        answer_during_the_call(scene, answer(200, id="p1"))
    with suppress(Crash):
        begin(scene, table, TAKEN, TAKEN, TAKEN)
    if not scene.rows("SELECT id FROM saga"):  # the process died before its first commit, and so before any call
        assert scene.calls == []
        return
    for _ in range(8):
        scene.leases("next").expire_all()
        for saga in scene.leases("next").claim(1, 30):
            with suppress(Crash):
                scene.engine.run(saga, 0)
        if state(scene) == "AWAITING_PAY":
            with suppress(Crash):
                say(scene, answer(200, id="p1"))
    assert state(scene) == "SENT"
    assert died() or commit > 4, "the boundary was reached"
    assert {request.headers["Idempotency-Key"].split("/", 1)[1] for request in scene.requests} == {
        "hold/do", "pay/do", "send/do",
    }  # fmt: skip
    assert len(scene.rows("SELECT * FROM arrival")) == 1
    rows = scene.rows("SELECT step FROM journal WHERE \"trigger\" = 'succeeded' ORDER BY seq")
    assert [row["step"] for row in rows] == ["hold", "pay", "send"]


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("commit", range(1, 7))
def test_a_crash_at_any_commit_of_the_way_back_undoes_each_step_once(scene, monkeypatch, commit, after):
    """No answer comes. The process dies at each commit that ends the wait or goes back."""
    begin(scene, sale())
    pass_time(scene, HOUR + 1)
    died = dies_at(scene, commit, after=after, monkeypatch=monkeypatch)
    for _ in range(8):
        scene.leases("next").expire_all()
        for saga in scene.leases("next").claim(1, 30):
            with suppress(Crash):
                scene.engine.run(saga, 0)
    assert state(scene) == "CALLED_OFF"
    assert died() or commit > 3
    assert moves(scene) == [("exhausted", "DECLINED")]
    undone = [request.headers["Idempotency-Key"].split("/", 1)[1] for request in scene.requests[2:]]
    assert list(dict.fromkeys(undone)) == ["pay/undo", "hold/undo"]
