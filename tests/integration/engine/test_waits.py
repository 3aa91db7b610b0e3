"""Pauses and waits for a signal: what ends them, and what follows."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any
from uuid import UUID

import pytest

from app.calls.client import Request
from app.errors import ConflictError, KeyReusedError, NotFoundError
from app.store.arrivals import Arrivals, Signal
from app.store.instance import Instance
from app.store.sagas import FencedError
from machines.call import post
from machines.fields import boolean, date, datetime, text
from machines.outcomes import REFUSED, SUCCEEDED
from machines.registry import Registry
from machines.saga import Saga
from machines.step import Step, compensatable, pause, pivot, retriable, wait
from tests.integration.engine.passing import Crash, continue_due, dies_at, pass_time
from tests.integration.engine.scene import Scene

HOUR = 3_600.0
APPROVE = wait(
    "approve", signal="decision", within_s=HOUR, brings={"ok": boolean(), "by": text(low=1)},
    means={"ok": {False: REFUSED}}, done="APPROVED", refused="DENIED",
)  # fmt: skip


def loan(*between: Step, pay: dict[str, Any] | None = None, **columns: Any) -> Saga:
    """Return a saga that holds money, waits, and pays."""
    return Saga(
        name="loan", version=1, initial="ASKED", completed="PAID", compensated="CALLED_OFF",
        participants=("bank",),
        steps=(
            compensatable("hold", post("bank", "/hold"), undo=post("bank", "/release"), done="HELD", refused="SHORT"),
            *between,
            pivot("pay", post("bank", "/pay", **(pay or {})), done="PAID", refused="DECLINED"),
        ),
        **({"data": {"customer": text()}, "deadline_s": 100 * HOUR} | columns),
    )  # fmt: skip


def begin(scene: Scene, definition: Saga, **data: Any) -> Instance:
    scene.registry = Registry([definition])
    return scene.run(definition, **(data or {"customer": "Ada"}))


def send(scene: Scene, saga: Instance, body: dict[str, Any], **how: Any) -> str:
    scene.service.signal(saga.id, Signal(name="decision", body=body, **({"sender": "user:eve"} | how)))
    return str(scene.rows("SELECT state FROM saga")[0]["state"])


YES, NO = {"ok": True, "by": "eve"}, {"ok": False, "by": "eve"}


def test_a_pause_holds_no_thread_and_no_lease(scene):
    saga = begin(scene, loan(pause("cool_off", for_s=HOUR, done="RESTED", refused="STOPPED")))
    (row,) = scene.rows("SELECT state, status, owner FROM saga")
    assert (row["state"], row["status"], row["owner"]) == ("HELD", "waiting", None)
    assert scene.calls == ["hold"]
    assert saga.status == "waiting"


def test_the_saga_goes_on_when_the_pause_is_over_and_not_before(scene):
    begin(scene, loan(pause("cool_off", for_s=HOUR, done="RESTED", refused="STOPPED")))
    pass_time(scene, HOUR - 60)
    assert continue_due(scene) is None
    pass_time(scene, 61)
    saga = continue_due(scene)
    assert saga is not None
    assert saga.state == "PAID"
    assert scene.calls == ["hold", "pay"]


def test_a_pause_of_years_is_never_claimed_and_writes_no_row_before_its_end(scene):
    years = 9 * 366 * 24 * HOUR
    begin(scene, loan(pause("cool_off", for_s=years, done="RESTED", refused="STOPPED"), deadline_s=years + HOUR))
    before = scene.rows("SELECT version, claims, updated_at FROM saga"), scene.rows("SELECT count(*) AS n FROM journal")
    for _ in range(8):
        pass_time(scene, years / 8 - 60)
        assert continue_due(scene) is None
    after = scene.rows("SELECT version, claims, updated_at FROM saga"), scene.rows("SELECT count(*) AS n FROM journal")
    assert before == after
    pass_time(scene, 8 * 60 + 1)
    assert continue_due(scene).state == "PAID"


def test_a_process_that_claims_a_pause_early_leaves_its_end_where_it_was(scene):
    begin(scene, loan(pause("cool_off", for_s=HOUR, done="RESTED", refused="STOPPED")))
    pass_time(scene, HOUR / 2)
    scene.engine.run(scene.recovered("other"), 0)
    pass_time(scene, HOUR / 2 - 60)
    assert continue_due(scene) is None
    pass_time(scene, 61)
    assert continue_due(scene).state == "PAID"


@pytest.mark.parametrize(
    ("kind", "past", "future"),
    [
        (date, "2020-01-31", "2999-01-31"),
        (datetime, "2020-01-31T09:30:00+01:00", "2999-01-31T09:30:00+01:00"),
    ],
)
def test_a_pause_until_a_date_ends_at_that_date(scene, kind: Callable[[], Any], past: str, future: str):
    table = loan(pause("until", until="when", done="RESTED", refused="STOPPED"), data={"when": kind()})
    assert begin(scene, table, when=past).state == "PAID"
    assert begin(scene, table, when=future).state == "HELD"


def test_a_pause_does_not_outlast_the_deadline_that_ends_it(scene):
    table = loan(pause("until", until="when", done="RESTED", refused="STOPPED"), data={"when": date()})
    begin(scene, table, when="2999-01-31")
    pass_time(scene, 100 * HOUR + 1)
    saga = continue_due(scene)
    assert saga.state == "CALLED_OFF"
    assert scene.calls == ["hold", "undo_hold"]


def test_a_signal_ends_the_wait_and_its_body_is_the_reply_of_the_step(scene):
    saga = begin(scene, loan(APPROVE, pay={"body": {"by": "approve.by"}}))
    assert saga.status == "waiting"
    assert send(scene, saga, YES) == "PAID"
    assert scene.requests[-1].body == {"by": "eve"}
    (row,) = scene.rows("SELECT * FROM journal WHERE step = 'approve'")
    assert (row["trigger"], row["reason"]) == ("succeeded", "signal decision from user:eve")


def test_a_signal_that_refuses_undoes_the_steps_before(scene):
    saga = begin(scene, loan(APPROVE))
    assert send(scene, saga, NO) == "CALLED_OFF"
    assert scene.calls == ["hold", "undo_hold"]


def test_a_signal_that_comes_before_the_wait_is_taken_when_the_wait_begins(scene):
    early: list[str] = []

    def send_early(_request: Request) -> None:
        if not early:
            saga_id = UUID(str(scene.rows("SELECT id FROM saga")[0]["id"]))
            early.append(scene.service.signal(saga_id, Signal(name="decision", body=YES, sender="a")).state)

    scene.at_each_call = send_early
    begin(scene, loan(APPROVE))
    assert early == ["ASKED"]
    assert continue_due(scene).state == "PAID"
    assert scene.calls == ["hold", "pay"]


def test_the_same_signal_twice_is_one_move(scene):
    saga = begin(scene, loan(APPROVE))
    assert send(scene, saga, YES, key="k") == send(scene, saga, YES, key="k") == "PAID"
    assert len(scene.rows("SELECT seq FROM journal WHERE step = 'approve'")) == 1


def test_another_signal_after_the_first_is_refused(scene):
    saga = begin(scene, loan(APPROVE))
    scene.engine.waits.arrivals.add(saga.id, Signal(name="decision", body=YES, sender="a"), lambda *_: None)
    with pytest.raises(ConflictError, match="a has sent the signal decision before"):
        send(scene, saga, NO)
    with pytest.raises(ConflictError):
        send(scene, saga, YES, sender="b")


def test_a_key_of_another_body_is_refused(scene):
    saga = begin(scene, loan(APPROVE))
    send(scene, saga, YES, key="k")
    with pytest.raises(KeyReusedError):
        send(scene, saga, NO, key="k")


def test_a_signal_to_a_saga_that_has_ended_is_refused(scene):
    saga = begin(scene, loan(APPROVE))
    pass_time(scene, HOUR + 1)
    assert continue_due(scene).state == "CALLED_OFF"
    with pytest.raises(ConflictError, match="it has ended in CALLED_OFF"):
        send(scene, saga, YES)
    assert scene.rows("SELECT * FROM arrival") == []


def test_a_signal_that_no_step_waits_for_is_refused(scene):
    saga = begin(scene, loan(APPROVE))
    with pytest.raises(NotFoundError, match="loan v1 waits for no signal other"):
        scene.service.signal(saga.id, Signal(name="other", body={}, sender="a"))


def test_no_signal_in_time_refuses_before_the_pivot(scene):
    begin(scene, loan(APPROVE))
    pass_time(scene, HOUR + 1)
    saga = continue_due(scene)
    assert saga.state == "CALLED_OFF"
    assert "no signal decision came within 1 h" in saga.error


def test_no_signal_in_time_succeeds_where_the_table_says_so(scene):
    step = wait("approve", signal="decision", within_s=HOUR, over=SUCCEEDED, done="APPROVED", refused="DENIED")
    begin(scene, loan(step))
    pass_time(scene, HOUR + 1)
    assert continue_due(scene).state == "PAID"


def delivery() -> Saga:
    return Saga(
        name="parcel", version=1, initial="ASKED", completed="CLOSED", compensated="CALLED_OFF",
        participants=("bank",), data={"customer": text()},
        steps=(
            pivot("pay", post("bank", "/pay"), done="PAID", refused="DECLINED"),
            wait("deliver", signal="decision", within_s=HOUR, brings={"by": text(low=1)}, done="DELIVERED"),
            retriable("close", post("bank", "/close", body={"by": "deliver.by"}), done="CLOSED"),
        ),
    )  # fmt: skip


def test_no_signal_in_time_after_the_pivot_is_stuck_and_a_later_signal_is_taken_at_the_retry(scene):
    saga = begin(scene, delivery())
    pass_time(scene, HOUR + 1)
    assert continue_due(scene).state == "STUCK_DELIVER"
    assert send(scene, saga, {"by": "eve"}) == "STUCK_DELIVER"
    assert scene.service.retry(saga.id, "user:eve", "it came").state == "CLOSED"


def test_a_person_resolves_a_wait_with_what_its_signal_would_have_brought(scene):
    saga = begin(scene, delivery())
    pass_time(scene, HOUR + 1)
    continue_due(scene)
    assert scene.service.resolve(saga.id, "user:eve", "seen", {"by": "eve"}).state == "CLOSED"
    assert scene.requests[-1].body == {"by": "eve"}


def test_a_person_cancels_a_waiting_saga(scene):
    saga = begin(scene, loan(APPROVE))
    assert scene.service.compensate(saga.id, "user:eve", "no need").state == "CALLED_OFF"
    with pytest.raises(ConflictError):
        send(scene, saga, YES)


def test_a_signal_takes_a_waiting_saga_from_the_process_that_looks_at_it(scene):
    """A process has read that no signal has arrived. Then the signal comes, so this process may not end the wait."""
    saga = begin(scene, loan(APPROVE))
    holder = scene.recovered("holder")
    Arrivals(scene.database).add(saga.id, Signal(name="decision", body=YES, sender="a"), lambda *_: None)
    pass_time(scene, HOUR + 1)
    holder.entered -= HOUR + 1
    with pytest.raises(FencedError):
        scene.engine.run(holder, 0)
    assert continue_due(scene).state == "PAID"


def test_a_signal_that_has_arrived_goes_before_the_deadline(scene):
    saga = begin(scene, loan(APPROVE))
    Arrivals(scene.database).add(saga.id, Signal(name="decision", body=NO, sender="a"), lambda *_: None)
    pass_time(scene, 101 * HOUR)
    assert continue_due(scene).error.endswith(": signal decision from a refused it")


def test_a_request_to_cancel_comes_after_the_signal_that_has_arrived(scene):
    saga = begin(scene, loan(APPROVE, pause("rest", for_s=HOUR, done="RESTED", refused="STOPPED")))
    Arrivals(scene.database).add(saga.id, Signal(name="decision", body=YES, sender="a"), lambda *_: None)
    assert scene.service.compensate(saga.id, "user:eve", "no need").state == "CALLED_OFF"
    triggers = [row["trigger"] for row in scene.rows("SELECT * FROM journal WHERE source IN ('HELD', 'APPROVED')")]
    assert sorted(triggers) == ["cancel", "succeeded"]


def test_a_signal_for_a_later_wait_does_not_keep_the_present_wait_busy(scene):
    first = wait("first", signal="first", within_s=HOUR, done="FIRST", refused="DENIED_FIRST")
    saga = begin(scene, loan(first, APPROVE))
    send(scene, saga, YES)
    while continue_due(scene):
        assert len(scene.statements) < 100
    (row,) = scene.rows("SELECT state, status FROM saga")
    assert (row["state"], row["status"]) == ("HELD", "waiting")
    scene.service.signal(saga.id, Signal(name="first", body={}, sender="a"))
    while continue_due(scene):
        pass
    assert scene.rows("SELECT state FROM saga")[0]["state"] == "PAID"


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("commit", range(1, 8))
def test_a_crash_at_any_commit_loses_no_signal_and_doubles_no_effect(scene, monkeypatch, commit, after):
    """The process dies at each commit of a saga with a wait, a pause and a pivot. The sender repeats the signal."""
    rest = pause("rest", for_s=HOUR, done="RESTED", refused="STOPPED")
    table = loan(APPROVE, rest, pay={"body": {"by": "approve.by"}})
    died = dies_at(scene, commit, after=after, monkeypatch=monkeypatch)
    with suppress(Crash):
        begin(scene, table)
    rows = scene.rows("SELECT id FROM saga")
    if not rows:  # the process died before its first commit, and so before any call
        assert scene.calls == []
        return
    saga_id = UUID(str(rows[0]["id"]))
    for _ in range(8):
        scene.leases("next").expire_all()
        for saga in scene.leases("next").claim(1, 30):
            with suppress(Crash):
                scene.engine.run(saga, 0)
        if scene.rows("SELECT status FROM saga")[0]["status"] == "waiting":
            with suppress(Crash):
                scene.service.signal(saga_id, Signal(name="decision", body=YES, sender="a", key="k"))
            pass_time(scene, HOUR / 2 + 1)
    (row,) = scene.rows("SELECT state FROM saga")
    assert row["state"] == "PAID"
    assert died() or commit > 5, "the boundary was reached"
    keys = {request.headers["Idempotency-Key"] for request in scene.requests}
    assert len(keys) == 2, "hold and pay, each with one key at every attempt"
    assert all(request.body == {"by": "eve"} for request in scene.requests if request.url.endswith("/pay"))
    assert len(scene.rows("SELECT * FROM arrival")) == 1
    succeeded = [
        row["step"] for row in scene.rows("SELECT step FROM journal WHERE \"trigger\" = 'succeeded' ORDER BY seq")
    ]
    assert succeeded == ["hold", "approve", "rest", "pay"]
