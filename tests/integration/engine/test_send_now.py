"""*Send now*: an operator has the next attempt made at once, or ends a pause. One commit wins every race."""

from typing import Any

import pytest

from app.errors import ConflictError
from app.store.instance import Instance
from app.views.available_actions import AvailableAction, available_actions, sends_now
from machines.call import get
from machines.later import callback
from machines.outcomes import SUCCEEDED
from machines.preview import Known
from machines.registry import Registry
from machines.step import Step, pause, wait
from tests.integration.engine.bank import HOUR, sale
from tests.integration.engine.passing import continue_due, pass_time
from tests.integration.engine.scene import LOST, NOT_SENT, REFUSED, Scene, answer

TAKEN = answer(202)
REST = pause("rest", for_s=HOUR, done="RESTED", refused="STOPPED")
APPROVE = wait("approve", signal="decision", within_s=HOUR, over=SUCCEEDED, done="APPROVED", refused="DENIED")


def begin(scene: Scene, *between: Step, **columns: Any) -> Instance:
    """Run a saga until it must wait, and release it there."""
    table = sale(None, *between, **columns)
    scene.registry = Registry([table])
    return scene.run(table, 0.0, customer="Ada")


def now(scene: Scene, saga: Instance) -> str:
    return scene.service.send_now(saga.id, "user:eve", "the bank is back").state


def row(scene: Scene) -> Any:
    return scene.rows("SELECT * FROM saga")[0]


def why_not(scene: Scene, saga: Instance) -> str:
    """Return why *send now* is refused. Check that nothing was changed by it."""
    before = row(scene)
    with pytest.raises(ConflictError) as refused:
        now(scene, saga)
    assert row(scene) == before
    assert scene.rows("SELECT * FROM audit") == []
    return str(refused.value.detail)


def offered(scene: Scene, saga: Instance) -> dict[str, AvailableAction]:
    """Return the available actions by name, as the page of the saga shows them."""
    found, table = scene.engine.store.find(saga.id), saga.definition
    actions = available_actions(
        table,
        found.state,
        found.id,
        Known(data=found.data, results={}),
        in_doubt=False,
        send_now=sends_now(table, found),
    )
    return {action.name: action for action in actions}


@pytest.mark.parametrize("failure", [LOST, NOT_SENT, answer(503, detail="busy")])
def test_a_saga_that_backs_off_makes_its_next_attempt_at_once(scene, failure):
    scene.given(pay=[failure])
    saga = begin(scene)
    assert (row(scene)["state"], row(scene)["owner"], scene.calls) == ("HELD", None, ["hold", "pay"])
    assert continue_due(scene) is None, "it waits"
    assert now(scene, saga) == "SENT"
    assert scene.calls == ["hold", "pay", "pay", "send"]
    assert len({request.headers["Idempotency-Key"] for request in scene.requests[1:3]}) == 1


def test_an_undo_that_backs_off_is_sent_at_once(scene):
    scene.given(pay=[REFUSED], undo_hold=[NOT_SENT])
    saga = begin(scene)
    assert row(scene)["status"] == "compensating"
    assert now(scene, saga) == "CALLED_OFF"


def test_a_pause_ends_now_and_the_journal_says_by_whom_and_why(scene):
    saga = begin(scene, REST)
    assert row(scene)["status"] == "waiting"
    assert now(scene, saga) == "SENT"
    (move,) = scene.rows("SELECT * FROM journal WHERE step = 'rest'")
    assert (move["trigger"], move["actor"], move["reason"]) == ("succeeded", "user:eve", "the bank is back")


@pytest.mark.parametrize("between", [(), (REST,)], ids=["backs off", "pauses"])
def test_the_audit_trail_has_one_row_with_the_reason(scene, between):
    scene.given(**({} if between else {"pay": [NOT_SENT]}))
    saga = begin(scene, *between)
    now(scene, saga)
    (entry,) = scene.rows("SELECT * FROM audit")
    assert (entry["actor"], entry["action"], entry["reason"]) == ("user:eve", "saga.send_now", "the bank is back")


def test_the_wait_for_a_signal_is_ended_by_the_signal_alone(scene):
    saga = begin(scene, APPROVE)
    assert "waits for the signal decision, and only this signal ends the wait" in why_not(scene, saga)
    assert list(offered(scene, saga)) == ["compensate"]


def test_the_wait_for_an_answer_is_ended_by_the_answer_alone(scene):
    scene.given(pay=[TAKEN])
    saga = begin(scene, later=callback(within_s=HOUR))
    assert "waits for the answer of bank, and only this answer ends the wait" in why_not(scene, saga)
    assert list(offered(scene, saga)) == ["compensate"]


def test_a_probe_that_backs_off_after_the_time_for_the_answer_is_sent_at_once(scene):
    scene.given(pay=[TAKEN], probe_pay=[NOT_SENT])
    saga = begin(scene, later=callback(within_s=HOUR), probe=get("bank", "/pay/{saga.id}/outcome"))
    pass_time(scene, HOUR + 1)
    assert continue_due(scene).state == "AWAITING_PAY"
    assert [str(planned.call.path) for planned in offered(scene, saga)["send_now"].planned.calls] == [
        "/pay/{saga.id}/outcome",
        "/send",
    ]
    scene.given(probe_pay=[answer(200)])
    assert now(scene, saga) == "SENT"
    assert scene.calls == ["hold", "pay", "probe_pay", "probe_pay", "send"]


def test_a_saga_that_a_process_holds_is_left_to_it(scene):
    scene.given(pay=[NOT_SENT])
    saga = begin(scene)
    scene.recovered("other")
    assert "a process sends its call now" in why_not(scene, saga)
    assert scene.calls == ["hold", "pay"]


def test_a_saga_that_has_ended_is_stuck_or_has_not_started_is_refused_with_the_remedy(scene):
    saga = begin(scene)
    assert "nothing is left to send" in why_not(scene, saga)
    created = scene.service.create("sale", {"customer": "Bo"})
    with pytest.raises(ConflictError, match="is pending, in ASKED: execute it"):
        scene.service.send_now(created.id, "user:eve", "now")
    scene.given(send=[LOST] * 9)
    stuck = scene.service.start("sale", {"customer": "Cy"})
    assert stuck.status == "stuck"
    with pytest.raises(ConflictError, match="retry, compensate or resolve it"):
        scene.service.send_now(stuck.id, "user:eve", "now")


@pytest.mark.parametrize("between", [(), (REST,)], ids=["backs off", "pauses"])
def test_a_process_that_claims_the_saga_first_wins(scene, between, monkeypatch):
    """The request reads the saga; then a process claims it and makes the next attempt; then the request commits."""
    scene.given(**({} if between else {"pay": [NOT_SENT]}))
    saga = begin(scene, *between)
    service, read, claimed = scene.service, scene.engine.store.read, []

    def read_then_claim(saga_id: Any) -> Any:
        found = read(saga_id)
        if not claimed:
            pass_time(scene, HOUR + 1)
            claimed.append(continue_due(scene))
        return found

    monkeypatch.setattr(scene.engine.store, "read", read_then_claim)
    with pytest.raises(ConflictError, match="the saga is completed, in SENT"):
        service.send_now(saga.id, "user:eve", "now")
    assert scene.calls == ["hold", "pay", *([] if between else ["pay"]), "send"]
    assert scene.rows("SELECT * FROM audit") == []


@pytest.mark.parametrize("between", [(), (REST,)], ids=["backs off", "pauses"])
def test_a_process_that_read_the_saga_before_the_request_changes_nothing(scene, between):
    scene.given(**({} if between else {"pay": [NOT_SENT]}))
    saga = begin(scene, *between)
    stale = scene.engine.store.read(saga.id)
    assert now(scene, saga) == "SENT"
    with pytest.raises(ConflictError, match="has moved from"):
        scene.service.send_now(saga.id, "user:eve", "now", seen=stale.state)
    assert scene.calls.count("pay") == (1 if between else 2)


def test_the_deadline_still_ends_a_saga_whose_pause_was_ended(scene):
    saga = begin(scene, REST)
    pass_time(scene, 100 * HOUR + 1)
    assert now(scene, saga) == "CALLED_OFF"
    assert "send" not in scene.calls


@pytest.mark.parametrize("failure", ["backs off", "pauses"])
def test_the_page_previews_the_calls_that_follow(scene, failure):
    scene.given(**({"pay": [NOT_SENT]} if failure == "backs off" else {}))
    saga = begin(scene, *([REST] if failure == "pauses" else []))
    first = offered(scene, saga)["send_now"]
    assert first.title == {"backs off": "Send now", "pauses": "End the pause"}[failure]
    before = len(scene.calls)
    now(scene, saga)
    assert [planned.step for planned in first.planned.calls] == scene.calls[before:]
    assert first.preview.end.name == "SENT"


def test_a_saga_that_no_attempt_has_failed_yet_does_not_back_off(scene):
    """A batch stores sagas that are due at once: a process claims them, and nothing is to be sent earlier."""
    table = sale()
    scene.registry = Registry([table])
    saga = Instance.new(table, {"customer": "Ada"}, actor="client", clock=lambda: scene.now)
    scene.engine.release(saga, 0.0)
    assert "a process sends its call now" in why_not(scene, saga)
