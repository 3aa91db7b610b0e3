"""Steps with `when=`: done, skipped or refused, and never undone when they were skipped."""

from decimal import Decimal
from typing import Any

import pytest

from app.engine.batch import Start
from app.store.instance import Instance
from app.store.loading import journals
from machines import (
    above,
    all_of,
    boolean,
    compensatable,
    computed,
    const,
    equal,
    fallback,
    get,
    is_true,
    money,
    not_,
    one_of,
    optional,
    pause,
    pivot,
    post,
    present,
    read,
    retriable,
    text,
    wait,
)
from machines.later import callback
from machines.registry import Registry
from machines.saga import Saga
from machines.step import Step
from machines.transitions import Trigger
from tests.integration.engine.passing import Crash, dies_at
from tests.integration.engine.scene import REFUSED, Scene, answer

DATA = {"gift": boolean(), "country": text(2, 2), "amount": money(), "note": optional(text())}
ADA: dict[str, Any] = {"gift": False, "country": "FR", "amount": "99.50"}


def order(*steps: Step, **columns: Any) -> Saga:
    usual = {"completed": steps[-1].done, "participants": ("shop",), "data": DATA} | columns
    return Saga(name="order", version=1, initial="ASKED", compensated="CALLED_OFF", steps=steps, **usual)


def does(name: str, **columns: Any) -> Step:
    usual = {"undo": post("shop", f"/{name}/undo"), "done": f"{name.upper()}_DONE", "refused": f"NO_{name.upper()}"}
    return compensatable(name, post("shop", f"/{name}"), **(usual | columns))


def pays(**columns: Any) -> Step:
    return pivot("pay", post("shop", "/pay"), **({"done": "PAID", "refused": "DECLINED"} | columns))


RESERVE, PAY = does("reserve"), pays()
WRAP = does("wrap", when=is_true("gift"))


def run(scene: Scene, table: Saga, **data: Any) -> Instance:
    scene.registry = Registry([table])
    return scene.run(table, **(ADA | data))


def moves(scene: Scene) -> list[tuple[str, str]]:
    return [(row["trigger"], row["dest"]) for row in scene.rows("SELECT trigger, dest FROM journal ORDER BY seq")]


def row_of(scene: Scene, trigger: str) -> Any:
    (row,) = scene.rows(f"SELECT * FROM journal WHERE trigger = '{trigger}' AND direction = 'do' AND step IS NOT NULL")
    return row


def published(scene: Scene) -> list[str]:
    return [row["event"] for row in scene.rows("SELECT event FROM journal WHERE event IS NOT NULL ORDER BY seq")]


def test_a_step_whose_condition_holds_is_done(scene):
    assert run(scene, order(RESERVE, WRAP, PAY), gift=True).state == "PAID"
    assert scene.calls == ["reserve", "wrap", "pay"]
    row = row_of(scene, "begin")
    assert (row["step"], row["reason"]) == ("wrap", "gift is true")


def test_a_step_whose_condition_does_not_hold_is_skipped_in_the_commit_before_it(scene):
    saga = run(scene, order(RESERVE, WRAP, PAY))
    assert saga.state == "PAID"
    assert scene.calls == ["reserve", "pay"]
    assert saga.version == 3  # as many commits as without the step: the start, after `reserve`, and the end


def test_the_skip_is_journalled_with_the_values_that_decided(scene):
    when = all_of(not_(equal("country", "CA")), above("amount", 100))
    saga = run(scene, order(RESERVE, does("customs", when=when), PAY))
    row = row_of(scene, "skip")
    assert (row["step"], row["reason"]) == ("customs", 'country is FR and amount is "99.50"')
    assert saga.definition.conditional
    (move,) = [move for move in stored_moves(scene, saga) if move.trigger == "skip"]
    assert move.reply == {"country": "FR", "amount": "99.50"}


def stored_moves(scene: Scene, saga: Instance) -> list[Any]:
    with scene.database.connect() as connection:
        return journals(connection, [saga.id])[saga.id]


def test_a_condition_sees_the_reply_of_the_commit_in_which_it_is_decided(scene):
    table = order(read("quote", get("shop", "/quote"), done="QUOTED", refused="NO_QUOTE"),
                  does("insure", when=above("quote.total", "99.99")), PAY)  # fmt: skip
    scene.given(quote=[answer(200, total=Decimal("100.00"))])
    run(scene, table)
    assert scene.calls == ["quote", "insure", "pay"]


def test_numbers_are_compared_exactly(scene):
    table = order(RESERVE, does("insure", when=above("amount", "0.30")), PAY)
    run(scene, table, amount="0.30")
    assert scene.calls == ["reserve", "pay"]


@pytest.mark.parametrize("how", ["same process", "after the death of the process"])
def test_a_skipped_step_is_not_undone(scene, monkeypatch, how):
    events = {"UNDOING_WRAP": "WrapUndone", "UNDOING_RESERVE": "ReserveUndone"}
    table = order(RESERVE, WRAP, does("book"), PAY, events=events)
    scene.given(book=[REFUSED])
    if how == "same process":
        saga = run(scene, table)
    else:
        dies_at(scene, 2, after=True, monkeypatch=monkeypatch)
        with pytest.raises(Crash):
            run(scene, table)
        saga = scene.recovered("other")
        scene.engine.run(saga, 1000.0)
    assert saga.state == "CALLED_OFF"
    assert "undo_wrap" not in scene.calls
    assert scene.calls[-1] == "undo_reserve"
    assert published(scene) == ["ReserveUndone"]


def test_a_step_that_was_done_is_undone(scene):
    scene.given(pay=[REFUSED])
    assert run(scene, order(RESERVE, WRAP, PAY), gift=True).state == "CALLED_OFF"
    assert scene.calls == ["reserve", "wrap", "pay", "undo_wrap", "undo_reserve"]


def test_a_skipped_step_publishes_no_event_but_the_end_does(scene):
    events = {"WRAP_DONE": "Wrapped", "SENT": "Sent"}
    send = retriable("send", post("shop", "/send"), done="SENT", when=is_true("gift"))
    assert run(scene, order(RESERVE, WRAP, PAY, send, events=events)).state == "SENT"
    assert published(scene) == ["Sent"]


def test_all_steps_skipped_completes_the_saga_without_a_call(scene):
    table = order(does("reserve", when=is_true("gift")), pays(when=is_true("gift")))
    saga = run(scene, table)
    assert (saga.state, saga.status, scene.calls, saga.version) == ("PAID", "completed", [], 1)
    assert moves(scene) == [("start", "ASKED"), ("skip", "RESERVE_DONE"), ("skip", "PAID")]


def test_a_completed_saga_of_skipped_steps_is_taken_back_without_a_call(scene):
    table = order(does("reserve", when=is_true("gift")), does("wrap", when=is_true("gift")))
    saga = run(scene, table)
    assert scene.service.compensate(saga.id, "user:eve", "mistake").state == "CALLED_OFF"
    assert scene.calls == []


def test_a_skipped_pivot_is_the_point_of_no_return(scene):
    send = retriable("send", post("shop", "/send"), done="SENT")
    scene.given(send=[REFUSED])
    saga = run(scene, order(RESERVE, pays(when=above("amount", 1000)), send))
    assert saga.state == "STUCK_SEND"
    assert scene.calls == ["reserve", "send"]


def test_skipped_waits_and_pauses_do_not_wait(scene):
    table = order(
        RESERVE,
        pause("cool_off", for_s=60, done="RESTED", refused="STOPPED", when=is_true("gift")),
        wait("confirm", signal="yes", within_s=60, done="CONFIRMED", refused="DENIED", when=is_true("gift")),
        does("book", later=callback(within_s=60), when=is_true("gift")),
        PAY,
    )  # fmt: skip
    assert run(scene, table).state == "PAID"
    assert scene.calls == ["reserve", "pay"]


def test_a_wait_whose_condition_holds_waits_in_a_state_of_its_own(scene):
    table = order(RESERVE, pause("cool_off", for_s=60, done="RESTED", refused="STOPPED", when=is_true("gift")), PAY)
    saga = run(scene, table, gift=True)
    assert (saga.state, saga.status) == ("DOING_COOL_OFF", "waiting")


def test_a_choice_does_the_one_or_the_other(scene):
    card = does("card", when=one_of("country", "CA", "US"))
    transfer = does("transfer", when=not_(one_of("country", "CA", "US")))
    run(scene, order(card, transfer, PAY), country="US")
    run(scene, order(card, transfer, PAY), country="FR")
    assert scene.calls == ["card", "pay", "transfer", "pay"]


def test_a_missing_value_is_seen_by_present_and_by_fallback(scene):
    table = order(
        does("engrave", when=all_of(present("note"), equal("note", "Ada"))),
        does("print", when=equal(fallback("note", const("none")), "none")),
        PAY,
    )
    run(scene, table)
    run(scene, table, note="Ada")
    assert scene.calls == ["print", "pay", "engrave", "pay"]


@pytest.mark.parametrize("total", ["much", True, None, [1], {"a": 1}])
def test_an_undecided_condition_refuses_the_step_before_the_pivot(scene, total):
    table = order(RESERVE, read("quote", get("shop", "/quote"), done="QUOTED", refused="NO_QUOTE"),
                  does("insure", when=above("quote.total", 100)), PAY)  # fmt: skip
    scene.given(quote=[answer(200, total=total)])
    saga = run(scene, table)
    assert saga.state == "CALLED_OFF"
    assert scene.calls == ["reserve", "quote", "undo_reserve"]
    assert saga.error.startswith(
        "NO_INSURE: insure: condition: quote.total is above 100 cannot be decided: quote.total"
    )


def test_an_undecided_condition_after_the_pivot_makes_the_saga_stuck_and_a_retry_does_the_step(scene):
    table = order(PAY, retriable("send", post("shop", "/send"), done="SENT", when=equal("pay.kind", "parcel")))
    scene.given(pay=[answer(200, kind=7)])
    saga = run(scene, table)
    assert (saga.state, scene.calls) == ("STUCK_SEND", ["pay"])
    assert scene.service.retry(saga.id, "user:eve", "it is a parcel").state == "SENT"
    assert scene.calls == ["pay", "send"]


def test_a_function_that_fails_decides_nothing(scene):
    table = order(RESERVE, does("insure", when=is_true(computed(_broken, "amount"))), PAY)
    saga = run(scene, table)
    assert saga.state == "CALLED_OFF"
    assert "ZeroDivisionError" in saga.error


def _broken(_amount: str) -> bool:
    return bool(1 // 0)


def test_a_reply_without_a_value_that_a_condition_needs_leaves_the_step_in_doubt(scene):
    table = order(does("quote"), does("insure", when=above("quote.total", 100)), PAY)
    scene.given(quote=[answer(200), answer(200, total=5)])
    run(scene, table)
    assert scene.calls == ["quote", "quote", "pay"]


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("commit", [1, 2, 3, 4])
def test_a_death_at_any_commit_decides_the_same(scene, monkeypatch, commit, after):
    table = order(RESERVE, WRAP, does("label", when=equal("country", "FR")), PAY)
    died = dies_at(scene, commit, after=after, monkeypatch=monkeypatch)
    with pytest.raises(Crash):
        run(scene, table)
    assert died()
    if not scene.rows("SELECT 1 AS one FROM saga"):  # it died before its first commit
        run(scene, table)
    elif scene.rows("SELECT state FROM saga")[0]["state"] != "PAID":
        scene.engine.run(scene.recovered("other"), 1000.0)
    assert scene.rows("SELECT state FROM saga")[0]["state"] == "PAID"
    assert list(dict.fromkeys(scene.calls)) == ["reserve", "label", "pay"]
    assert len(scene.rows("SELECT 1 AS one FROM journal WHERE trigger = 'skip'")) == 1


def test_a_resolved_step_lets_the_next_condition_see_the_reply_of_the_person(scene):
    table = order(PAY, retriable("send", post("shop", "/send"), done="SENT", when=equal("pay.kind", "parcel")))
    scene.given(pay=[answer(500)] * 10)
    saga = run(scene, table)
    assert saga.state == "STUCK_PAY"
    assert scene.service.resolve(saga.id, "user:eve", "by hand", {"kind": "letter"}).state == "SENT"
    assert "send" not in scene.calls


def test_a_draft_whose_steps_are_all_skipped_completes_when_it_is_executed(scene):
    table = order(does("reserve", when=is_true("gift")), pays(when=is_true("gift")))
    scene.registry = Registry([table])
    draft = scene.service.create("order", ADA, None)
    assert draft.status == "pending"
    assert scene.service.execute(draft.id).status == "completed"
    assert scene.calls == []


def test_a_table_without_conditions_is_never_asked_for_one():
    table = order(RESERVE, PAY)
    assert not table.conditional
    assert not [each for each in table.transitions if each.trigger is Trigger.SKIP or each.when]


def test_a_batch_whose_steps_are_all_skipped_completes(scene):
    table = order(does("reserve", when=is_true("gift")), pays(when=is_true("gift")))
    scene.registry = Registry([table])
    scene.batches.start(table, [Start(key="one", data=ADA, sent=ADA)], "key:shop")
    for saga in scene.leases("other").claim(1, 30):
        scene.engine.run(saga, 0)
    (row,) = scene.rows("SELECT status, due_at FROM saga")
    assert (row["status"], row["due_at"], scene.calls) == ("completed", None, [])
