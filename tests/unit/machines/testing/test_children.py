"""A test runs a saga with its children: sub(), together() and each()."""

from dataclasses import replace

import pytest

from machines import (
    Saga,
    branch,
    compensatable,
    each,
    equal,
    get,
    integer,
    list_of,
    poll,
    post,
    retriable,
    sub,
    text,
    together,
    wait,
)  # fmt: skip
from machines.testing import (
    NotAllowedError,
    accepted,
    always,
    died,
    down,
    every_outcome,
    every_outcome_of,
    given,
    items,
    lost,
    ok,
    pending,
    refused,
)


def step(name, **columns):
    keeps = columns.pop("keeps", {"id": text()})
    return compensatable(
        name, post("shop", f"/{name}", keeps=keeps, **columns.pop("sent", {})), undo=post("shop", f"/{name}/undo"),
        done=f"{name.upper()}_DONE", refused=f"{name.upper()}_REFUSED", **columns,
    )  # fmt: skip


def order(*steps, data=None, **columns):
    return Saga(
        name="order", version=1, initial="NEW", completed=steps[-1].done, compensated="OFF", participants=("shop",),
        data={"customer": text(), "lines": list_of({"sku": text()}, high=9)} | (data or {}), steps=steps, **columns,
    )  # fmt: skip


PAYMENT = Saga(
    name="payment", version=1, initial="OPEN", completed="CHARGED", compensated="NOT_CHARGED",
    data={"amount": integer()}, participants=("bank",),
    steps=(
        compensatable(
            "hold", post("bank", "/holds", amount="amount"), undo=post("bank", "/holds/undo"), done="HELD",
            refused="NOT_HELD",
        ),
        compensatable(
            "charge", post("bank", "/charges", keeps={"receipt": text()}), undo=post("bank", "/charges/undo"),
            done="CHARGED", refused="POOR",
        ),
    ),
)  # fmt: skip
PAY = sub(
    "pay", saga="payment", data={"amount": "price"}, keeps={"charge.receipt": text()}, done="PAID", refused="UNPAID"
)
PAID = order(PAY, step("ship", sent={"receipt": "pay.charge.receipt"}), data={"price": integer()})
RESERVE = each("lines", step("reserve", sent={"sku": "item.sku"}), done="RESERVED", refused="SHORT")
LINES = {"lines": [{"sku": "a"}, {"sku": "b"}, {"sku": "c"}]}
BASKET = order(RESERVE, step("ship", sent={"ids": "reserve.*.id"}))
PAPERS = order(
    together(step("label"), branch("bill", step("invoice"), step("archive")), name="papers", done="OK", refused="NO"),
    step("ship"),
)  # fmt: skip


def test_each_item_is_done_and_shown_with_its_number():
    saga = given(BASKET, LINES).run()
    assert saga.calls == ["reserve[0]", "reserve[1]", "reserve[2]", "ship"]
    assert (saga.ended, [call.body for call in saga.calls[:3]]) == ("SHIP_DONE", [{"sku": sku} for sku in "abc"])
    assert saga.calls[3].body == {"ids": ["text", "text", "text"]}
    assert saga.effects == {f"reserve[{number}]": "took effect" for number in range(3)} | {"ship": "took effect"}
    assert len({call.headers["Idempotency-Key"] for call in saga.calls}) == 4


def test_item_that_is_refused_undoes_the_others():
    saga = given(BASKET, LINES).when(reserve=items(ok, refused("NONE_LEFT"))).run()
    assert saga.calls == ["reserve[0]", "reserve[1]", "reserve[2]", "undo reserve[0]", "undo reserve[2]"]
    assert saga.ended == "OFF"
    assert saga.effects == {
        "reserve[0]": "undone",
        "reserve[1]": "not done",
        "reserve[2]": "undone",
        "ship": "not done",
    }
    assert "NONE_LEFT" in saga.error
    assert [child.ended for child in saga.children] == ["RESERVE_UNDONE"] * 3


def test_answers_without_items_are_for_each_item():
    saga = given(BASKET, LINES).when(reserve=[lost, ok]).run()
    assert sorted(saga.calls) == sorted(["reserve[0]", "reserve[1]", "reserve[2]"] * 2 + ["ship"])
    assert given(BASKET, LINES).when(reserve=items(ok, [lost, refused()])).run().calls.count("reserve[1]") == 2


def test_step_behind_the_group_undoes_every_branch():
    saga = given(PAPERS).when(ship=refused()).run()
    assert saga.calls[:4] == ["label", "invoice", "archive", "ship"]
    assert sorted(saga.calls[4:]) == ["undo archive", "undo invoice", "undo label"]
    assert (saga.ended, saga.took_effect) == ("OFF", [])


def test_refused_step_of_a_branch_undoes_its_branch_and_the_others():
    saga = given(PAPERS).when(archive=refused("FULL")).run()
    assert sorted(saga.calls) == ["archive", "invoice", "label", "undo invoice", "undo label"]
    assert (saga.ended, saga.child("bill").ended, saga.took_effect) == ("OFF", "BILL_UNDONE", [])


def test_undo_that_fails_leaves_its_branch_stuck_where_a_person_acts():
    saga = given(PAPERS).when(ship=refused()).when_undone(label=refused("LOCKED")).run()
    assert (saga.status, saga.ended, saga.due_in_s) == ("compensating", None, 900)
    label = saga.child("label")
    assert (label.stuck, label.allowed()) == (True, ["retry", "resolve"])
    label.retry()
    assert (saga.ended, saga.took_effect) == ("OFF", [])


def test_a_name_means_in_a_branch_what_it_means_in_its_saga():
    papers = together(
        step("label", sent={"how": "label"}), step("bill", keeps={}), name="papers", done="OK", refused="NO"
    )
    later = each("lines", step("send", sent={"label": "papers.label.id"}), done="SENT", refused="UNSENT")
    saga = given(order(papers, later, data={"label": text()}), {"label": "gold", "lines": [{"sku": "a"}]}).run()
    assert [call.body for call in saga.calls] == [{"how": "gold"}, {}, {"label": "text"}]


def test_child_gets_its_data_and_gives_its_replies():
    saga = given(PAID, {"price": 7}, children=[PAYMENT]).run()
    assert saga.calls == ["pay.hold", "pay.charge", "ship"]
    assert (saga.calls[0].body, saga.calls[2].body) == ({"amount": 7}, {"receipt": "text"})
    assert saga.child("pay").ended == "CHARGED"
    assert saga.effects == {"pay.hold": "took effect", "pay.charge": "took effect", "ship": "took effect"}


def test_child_that_is_refused_makes_its_parent_go_back():
    saga = given(PAID).when(pay=given(PAYMENT).when(charge=refused("NO_MONEY"))).run()
    assert saga.calls == ["pay.hold", "pay.charge", "undo pay.hold"]
    assert (saga.ended, saga.child("pay").ended, saga.took_effect) == ("OFF", "NOT_CHARGED", [])
    assert "NO_MONEY" in saga.error


def test_later_refusal_compensates_the_child_in_reverse():
    saga = given(PAID, children=[PAYMENT]).when(ship=refused()).run()
    assert saga.calls[-2:] == ["undo pay.charge", "undo pay.hold"]


def test_path_of_a_failed_test_has_those_of_the_children():
    shown = str(given(PAID).when(pay=given(PAYMENT).when(charge=refused("NO_MONEY"))).run())
    assert "order v1 is compensated in OFF" in shown
    assert "\n    payment v1 is compensated in NOT_CHARGED" in shown
    assert "      │ charge: refused (409 NO_MONEY)" in shown


def test_time_and_signals_reach_a_child():
    asked = wait("approve", signal="approve", within_s=600, done="YES", refused="NO_ANSWER")
    table = order(together(step("label"), branch("check", asked), name="both", done="OK", refused="NO"), step("ship"))
    saga = given(table).run()
    assert (saga.status, saga.due_in_s) == ("waiting", 600)
    with pytest.raises(NotAllowedError, match=r"its child waits for it: run.child\('check', …\)"):
        saga.signal("approve")
    saga.child("check").signal("approve")
    assert saga.ended == "SHIP_DONE"
    late = given(table).run().after(minutes=10)
    assert (late.ended, late.calls) == ("OFF", ["label", "undo label"])
    assert given(table).with_signal("approve").run().ended == "SHIP_DONE"
    with pytest.raises(NotAllowedError, match="waits for no signal yes"):
        given(table).with_signal("yes").run()


def test_polls_and_waits_of_branches_pass_at_the_same_time():
    asked = step("ask", keeps={}, later=poll(get("shop", "/asks"), every_s=30, within_s=600))
    table = order(together(asked, step("label"), name="both", done="OK", refused="NO"), step("ship"))
    saga = given(table).when(ask=accepted, label=[down, down]).when_polled(ask=[pending]).run()
    assert (saga.status, "label" in saga.calls) == ("waiting", True)
    assert saga.after(minutes=2).ended == "SHIP_DONE"
    slow = given(BASKET, LINES).when(reserve=down(retry_after_s=60)).run()
    assert slow.seconds == 60  # the three items wait beside each other


def test_process_of_a_branch_dies_and_another_goes_on():
    saga = given(BASKET, LINES).when(reserve=items(ok, died)).run()
    assert (saga.calls.count("reserve[1]"), saga.ended, saga.seconds) == (2, "SHIP_DONE", 30)


def test_person_cancels_the_saga_while_a_branch_is_stuck():
    needed = each("lines", retriable("tell", post("shop", "/tell"), done="TOLD"), done="ALL_TOLD")
    saga = given(order(step("ship"), needed), LINES).when(tell=items(ok, always(refused("NEVER")))).run()
    assert (saga.status, saga.child("tell", 1).stuck) == ("waiting", True)
    with pytest.raises(NotAllowedError, match="cannot compensate"):
        saga.compensate()
    saga.child("tell", 1).resolve("done by hand")
    assert saga.ended == "ALL_TOLD"
    with pytest.raises(NotAllowedError):
        given(PAPERS).run().child("label").compensate()  # its parent uses the result


def test_at_most_bounds_the_items_that_are_in_work():
    limited = each("lines", step("reserve"), at_most=1, done="RESERVED", refused="SHORT")
    saga = given(order(limited, step("ship")), LINES).when(reserve=items(ok, refused())).run()
    assert saga.calls == ["reserve[0]", "reserve[1]", "undo reserve[0]"]


def test_groups_stand_within_groups():
    inner = together(step("pick"), step("pack"), name="box", done="BOXED", refused="NO_BOX")
    table = order(each("lines", inner, name="line", done="LINES_DONE", refused="LINES_NOT"), step("ship"))
    saga = given(table, LINES).when(pack=items(ok, ok, refused())).run()
    assert saga.ended == "OFF"
    assert sorted(saga.calls)[:6] == ["pack[0]", "pack[1]", "pack[2]", "pick[0]", "pick[1]", "pick[2]"]
    assert saga.took_effect == []
    paying = order(
        each("lines", PAY, name="bill", done="ALL_PAID", refused="NOT_ALL"), step("ship"), data={"price": integer()}
    )
    saga = given(paying, LINES).when(pay=items(given(PAYMENT), given(PAYMENT).when(charge=refused()))).run()
    assert "pay[1].charge" in saga.calls
    assert (saga.ended, saga.took_effect) == ("OFF", [])


def test_branches_within_each_know_its_item():
    inner = together(
        step("pick", sent={"sku": "item.sku", "place": "index"}), step("pack"), name="box", done="B", refused="N"
    )
    table = order(each("lines", inner, name="line", done="LINES_DONE", refused="LINES_NOT"), step("ship"))
    saga = given(table, LINES).run()
    sent = [call.body for call in saga.calls if call.step == "pick"]
    assert sent == [{"sku": sku, "place": place} for place, sku in enumerate("abc")]


def test_saga_goes_on_at_once_after_a_branch_without_a_step_to_do():
    skipped = together(step("gift", when=equal("customer", "Eve")), name="extra", done="OK", refused="NO")
    saga = given(order(skipped, step("ship")), {"customer": "Ada"}).run()
    assert (saga.ended, saga.seconds, saga.effects["gift"]) == ("SHIP_DONE", 0, "skipped")


def test_wrong_words_about_children_are_named():
    with pytest.raises(ValueError, match=r"starts 'payment'.*given\(TABLE, data, children=\[…\]\)"):
        given(PAID).run()
    with pytest.raises(ValueError, match=r"pay starts the saga payment; write pay=given\(TABLE\)"):
        given(PAID).when(pay=refused())
    with pytest.raises(ValueError, match="pay gives the child its data"):
        given(PAID).when(pay=given(PAYMENT, {"amount": 1}))
    with pytest.raises(ValueError, match=r"ship is done once; items\(\) is for steps within each\(\)"):
        given(BASKET).when(ship=items(ok))
    with pytest.raises(ValueError, match="no step papers with a call; it has label, invoice, archive, ship"):
        given(PAPERS).when(papers=ok)
    with pytest.raises(LookupError, match="has started no child pages; it has label, bill"):
        given(PAPERS).run().child("pages")


@pytest.mark.parametrize("table", [BASKET, PAPERS, PAID], ids=["each", "together", "sub"])
def test_every_outcome_of_children_leaves_all_effects_or_none(table):
    scenarios = every_outcome(table, LINES if table is BASKET else None, children=[PAYMENT])
    names = [scenario.__name__ for scenario in scenarios]
    expected = {BASKET: "reserve: refused", PAPERS: "undo archive: refused", PAID: "pay: undo hold: refused"}[table]
    assert expected in names
    for scenario in scenarios:
        saga = scenario.run().after(days=2)
        if saga.ended == table.completed:
            assert "not done" not in saga.effects.values(), scenario.name
        elif saga.ended:
            assert saga.took_effect == [], f"{scenario.name}\n{saga}"
        else:
            assert saga.needs_a_person, f"{scenario.name}\n{saga}"


def test_undo_of_the_last_step_of_a_child_has_outcomes_too():
    scenarios = {each.name: each for each in every_outcome(PAID, children=[PAYMENT])}
    saga = scenarios["pay: undo charge: refused"].run()
    assert saga.calls == ["pay.hold", "pay.charge", "ship", "undo pay.charge"]
    assert list(scenarios).count("pay: undo hold: refused") == 1
    nested = order(sub("whole", saga="order", data={"customer": "customer", "lines": "lines", "price": "price"},
                       done="WHOLE", refused="NONE"), step("close"), data={"price": integer()})  # fmt: skip
    outer = replace(nested, name="outer")
    names = [each.name for each in every_outcome(outer, children=[PAID, PAYMENT])]
    assert "whole: undo ship: never answered" in names
    assert len(names) == len(set(names))


def test_parent_of_a_stuck_child_needs_a_person():
    start = given(PAID).when(ship=refused(), pay=given(PAYMENT).when_undone(charge=refused()))
    saga = start.run()
    assert (saga.stuck, saga.needs_a_person, saga.child("pay").needs_a_person) == (False, True, True)
    saga.child("pay").retry()
    assert (saga.ended, saga.needs_a_person) == ("OFF", False)


def test_every_outcome_keeps_the_answers_of_the_child():
    start = given(PAID).when(pay=given(PAYMENT).replying(charge={"receipt": "R7"}))
    bodies = {call.body["receipt"] for each in every_outcome_of(start) for call in each.run().calls if call == "ship"}
    assert bodies == {"R7"}
