"""Branches that run at the same time, and a branch for each item of a list: start, results, failure, compensation."""

import re
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import update

from app.errors import ConflictError, InvalidError
from app.store.database import in_seconds
from app.store.models import SagaRow
from app.views.available_actions import available_actions
from machines.branching import branch, each, sub, together
from machines.call import post
from machines.conditions import is_true
from machines.fields import boolean, integer, list_of, optional, text
from machines.preview import Known
from machines.registry import Registry
from machines.saga import Saga
from machines.step import Step, approval, compensatable, pivot, read, retriable
from machines.templates import const, fallback
from tests.integration.engine.families import begin, ends, settle, the
from tests.integration.engine.scene import LOST, REFUSED, Scene, answer

LINES = [{"sku": f"s{number}", "quantity": number} for number in range(1, 4)]


def step(name: str, **columns: Any) -> Step:
    """Return a compensatable step at the stock."""
    keeps = columns.pop("keeps", {"id": text()})
    sent = columns.pop("sent", {})
    return compensatable(
        name, post("stock", f"/{name}", keeps=keeps, **sent), undo=post("stock", f"/{name}/undo"),
        done=f"{name}_DONE", refused=f"{name}_REFUSED", **columns,
    )  # fmt: skip


def reserve(**columns: Any) -> Step:
    taken = step("reserve", sent={"sku": "item.sku", "place": "index", "customer": "customer"})
    return each("lines", taken, done="RESERVED", refused="SHORT", **columns)


def order(*steps: Step, **columns: Any) -> Saga:
    return Saga(
        name="order", version=1, initial="NEW", completed=steps[-1].done, compensated="CALLED_OFF",
        participants=("stock",), steps=steps, **({"data": DATA, "deadline_s": 3_600.0} | columns),
    )  # fmt: skip


DATA = {"customer": text(), "lines": list_of({"sku": text(), "quantity": integer()}, low=0, high=1_000)}
PAPERS = together(
    step("label"), branch("bill", step("invoice"), step("archive")), name="papers", done="PRINTED", refused="NO_PAPERS"
)
SEND = pivot(
    "send",
    post("stock", "/send", ids="reserve.*.id", first=fallback("reserve.0.id", const(None))),
    done="SENT",
    refused="NOT_SENT",
)
SEND_ALL = pivot("send_all", post("stock", "/send"), done="SENT", refused="NOT_SENT")
SHIP = step("ship", sent={"label": "papers.label.id", "invoice": "papers.bill.invoice.id"})


@pytest.fixture(autouse=True)
def answering(scene: Scene) -> None:
    """Let the participant answer each action that has no prepared reply with an id."""

    def answered(request: Any) -> None:
        _, name, direction = request.headers["Idempotency-Key"].split("/")
        if direction == "do" and not scene.replies[name]:
            scene.replies[name].append(answer(201, id=f"{name}-1"))

    scene.at_each_call = answered


def start(scene: Scene, *steps: Step, lines: Any = LINES, **columns: Any) -> None:
    more = {"gift": False} if "gift" in columns.get("data", ()) else {}
    begin(scene, order(*steps, **columns), customer="Ada", lines=lines, **more)


def children(scene: Scene) -> list[tuple[str, str]]:
    rows = scene.rows("SELECT * FROM saga WHERE parent_id IS NOT NULL ORDER BY definition, child_number")
    return [(row["definition"], row["state"]) for row in rows]


def test_each_item_has_a_child_and_the_results_are_a_list(scene):
    scene.given(reserve=[answer(201, id=f"r{number}") for number in range(3)])
    start(scene, reserve(), SEND)
    assert ends(scene)["order"] == "SENT"
    assert children(scene) == [("order.reserve", "reserve_DONE")] * 3
    sent = [request.body for request in scene.requests[:3]]
    assert sorted(sent, key=lambda body: body["place"]) == [
        {"sku": f"s{place + 1}", "place": place, "customer": "Ada"} for place in range(3)
    ]
    by_place = {body["place"]: f"r{number}" for number, body in enumerate(sent)}
    assert scene.requests[-1].body == {"ids": [by_place[place] for place in range(3)], "first": by_place[0]}


def test_an_empty_list_is_done_at_once(scene):
    start(scene, reserve(), step("ship", sent={"ids": "reserve.*.id"}), lines=[])
    assert ends(scene) == {"order": "ship_DONE"}
    assert scene.requests[-1].body == {"ids": []}


def test_a_group_behind_an_empty_list_still_starts_its_branches(scene):
    start(scene, reserve(), PAPERS, SHIP, lines=[])
    assert ends(scene)["order"] == "ship_DONE"


@pytest.mark.parametrize("at_most", [None, 1])
def test_items_whose_steps_are_all_skipped_are_done_at_once(scene, at_most):
    gifts = step("wrap", when=is_true("gift"), sent={"sku": "item.sku"})
    wraps = each("lines", gifts, at_most=at_most, done="WRAPPED", refused="BARE")
    start(scene, wraps, SEND_ALL, data=DATA | {"gift": boolean()})
    assert ends(scene) == {"order": "SENT", "order.wrap": "wrap_DONE"}
    assert scene.calls == ["send_all"]


def test_a_child_whose_steps_are_all_skipped_is_done_at_once(scene):
    wrapping = Saga(
        name="wrapping", version=1, initial="BARE", completed="wrap_DONE", compensated="TORN", participants=("stock",),
        data={"gift": boolean()}, steps=(step("wrap", when=is_true("gift")),),
    )  # fmt: skip
    wraps = sub("wrapping", data={"gift": "gift"}, done="PACKED", refused="NOT_PACKED")
    parent = order(wraps, SEND_ALL, data={"gift": boolean()})
    begin(scene, parent, wrapping, gift=False)
    assert ends(scene) == {"order": "SENT", "wrapping": "wrap_DONE"}


def test_branches_run_at_the_same_time_and_keep_results_by_name(scene):
    for name in ("label", "invoice", "archive"):
        scene.given(**{name: [answer(201, id=f"{name}-1")]})
    start(scene, PAPERS, SHIP)
    assert ends(scene) == {
        "order": "ship_DONE", "order.papers.label": "label_DONE", "order.papers.bill": "archive_DONE",
    }  # fmt: skip
    assert scene.requests[-1].body == {"label": "label-1", "invoice": "invoice-1"}


def test_all_branches_are_due_after_the_commit_that_enters_the_group(scene):
    scene.registry = Registry([order(reserve(), SEND)])
    scene.run(scene.registry.latest("order"), customer="Ada", lines=LINES)
    rows = scene.rows("SELECT * FROM saga")
    assert {row["due_at"] is not None for row in rows} == {True}
    assert len(rows) == 4
    assert scene.requests == []


def test_at_most_bounds_how_many_items_are_in_work(scene):
    running: list[int] = []
    answered = scene.at_each_call
    unfinished = "SELECT count(*) AS n FROM saga WHERE parent_id IS NOT NULL AND status <> 'completed'"

    def counts(request: Any) -> None:
        running.append(scene.rows(unfinished)[0]["n"])
        answered(request)

    scene.at_each_call = counts
    many = [{"sku": f"s{number}", "quantity": 1} for number in range(9)]
    start(scene, reserve(at_most=2), step("ship"), lines=many)
    assert ends(scene)["order"] == "ship_DONE"
    assert len(children(scene)) == 9
    assert max(running[:-1]) == 2


def test_a_branch_that_is_refused_stops_and_undoes_the_others(scene):
    scene.given(invoice=[REFUSED])
    start(scene, step("hold"), PAPERS, SHIP)
    assert ends(scene) == {
        "order": "CALLED_OFF", "order.papers.label": "LABEL_UNDONE", "order.papers.bill": "BILL_UNDONE",
    }  # fmt: skip
    assert scene.calls[-1] == "undo_hold"
    assert "archive" not in scene.calls
    assert "branch bill goes back: invoice_REFUSED: invoice: 409 no" in the(scene, "order")["error"]


def test_the_reason_of_a_refused_each_names_its_item(scene):
    scene.given(reserve=[answer(200, id="r1"), REFUSED, REFUSED])
    start(scene, reserve())
    assert re.search(r"branch reserve\[[12]\] goes back: reserve_REFUSED", the(scene, "order")["error"])


def test_a_branch_in_doubt_is_undone_too(scene):
    scene.given(label=[LOST] * 3, invoice=[REFUSED])
    start(scene, PAPERS, SHIP)
    assert ends(scene)["order"] == "CALLED_OFF"
    assert scene.calls.count("undo_label") == ("label" in scene.calls)


def test_no_further_item_starts_after_a_refusal(scene):
    many = [{"sku": f"s{number}", "quantity": 1} for number in range(50)]
    scene.given(reserve=[answer(201, id="r"), REFUSED])
    start(scene, reserve(at_most=2), SEND, lines=many)
    assert ends(scene)["order"] == "CALLED_OFF"
    assert len(children(scene)) <= 3
    assert {state for _, state in children(scene)} == {"RESERVE_UNDONE"}


def test_a_stuck_branch_makes_the_parent_wait_and_is_resolved_where_it_is(scene):
    scene.given(undo_invoice=[REFUSED], archive=[REFUSED])
    start(scene, PAPERS, SHIP)
    stuck = the(scene, "order.papers.bill")
    assert (stuck["state"], ends(scene)["order"]) == ("STUCK_UNDO_INVOICE", "UNDOING_PAPERS")
    scene.service.resolve(stuck["id"], "ada", "voided by hand", {}, 0.0)
    settle(scene)
    assert ends(scene)["order"] == "CALLED_OFF"


NOTE = retriable("note", post("stock", "/notes", ids="mark.*.id"), done="NOTED")


def test_a_reply_without_a_field_that_a_branch_needs_leaves_its_step_in_doubt(scene):
    hold = compensatable("hold", post("stock", "/hold"), undo=post("stock", "/unhold"), done="HELD", refused="NOT_HELD")
    scene.given(hold=[answer(200)] * 9)
    start(scene, hold, each("lines", step("reserve", keeps={}, sent={"hold": "hold.id"}), done="ALL", refused="NONE"))
    assert ends(scene) == {"order": "CALLED_OFF"}
    assert scene.calls == [*["hold"] * 4, "undo_hold"]


def stuck_item(scene: Scene) -> Any:
    """Return the item that is stuck: the participant has refused a step that must succeed."""
    marked = retriable("mark", post("stock", "/mark", keeps={"id": text(), "row": optional(integer())}), done="MARKED")
    scene.given(mark=[answer(201, id="m1"), REFUSED, answer(201, id="m3")])
    start(scene, step("hold"), each("lines", marked, done="ALL_MARKED"), NOTE)
    (row,) = scene.rows("SELECT * FROM saga WHERE status = 'stuck'")
    return row


def test_a_stuck_item_is_resolved_with_its_result_and_later_steps_use_it(scene):
    item = UUID(str(stuck_item(scene)["id"]))
    scene.service.resolve(item, "ada", "marked by hand", {"id": "by-hand"}, 0.0)
    settle(scene)
    assert ends(scene)["order"] == "NOTED"
    assert sorted(scene.requests[-1].body["ids"]) == ["by-hand", "m1", "m3"]


@pytest.mark.parametrize("reply", [{}, {"row": 4}, {"id": 7}])
def test_a_stuck_item_is_not_resolved_without_the_result_that_its_saga_keeps(scene, reply):
    item = UUID(str(stuck_item(scene)["id"]))
    with pytest.raises(InvalidError, match="id"):
        scene.service.resolve(item, "ada", "marked by hand", reply, 0.0)
    assert ends(scene)["order"] == "hold_DONE"


def test_the_actions_of_a_stuck_item_ask_for_the_result_that_its_saga_keeps(scene):
    row = stuck_item(scene)
    table = scene.registry.get("order.mark", 1)
    actions = available_actions(table, row["state"], UUID(str(row["id"])), Known(data={}, results={}), in_doubt=False)
    assert {action.name: action.needs for action in actions} == {"retry": (), "resolve": ("id",)}


def stuck_group(scene: Scene, group: Step) -> Any:
    """Return the parent that is stuck in a group that must succeed: its second branch was refused."""
    scene.given(mark=[answer(201, id="m1"), REFUSED])
    start(scene, step("hold"), group, NOTE)
    (row,) = scene.rows("SELECT * FROM saga WHERE status = 'stuck'")
    assert row["definition"] == "order"
    return row


MARKS = each("lines", pivot("mark", post("stock", "/mark", keeps={"id": text(), "row": optional(integer())}),
             done="MARKED", refused="NOT_MARKED"), done="ALL_MARKED")  # fmt: skip


def test_a_stuck_each_is_resolved_with_what_each_item_keeps(scene):
    parent = stuck_group(scene, MARKS)
    scene.service.resolve(
        UUID(str(parent["id"])), "ada", "by hand", {str(n): {"id": f"h{n}", "more": 1} for n in range(3)}, 0.0
    )
    settle(scene)
    assert ends(scene)["order"] == "NOTED"
    assert scene.requests[-1].body["ids"] == ["h0", "h1", "h2"]


@pytest.mark.parametrize(
    ("reply", "ids"),
    [({"1": {"id": "h1"}}, ["m1", "h1"]), ({"0": {"row": 7}, "1": {"id": "h1"}}, ["m1", "h1"]),
     ({"0": {"id": "h0"}, "1": {"id": "h1"}}, ["h0", "h1"])],
)  # fmt: skip
def test_a_stuck_each_is_resolved_without_what_its_completed_items_keep(scene, reply, ids):
    parent = stuck_group(scene, MARKS)
    scene.service.resolve(UUID(str(parent["id"])), "ada", "by hand", reply, 0.0)
    settle(scene)
    assert ends(scene)["order"] == "NOTED"
    assert scene.requests[-1].body["ids"][:2] == ids


@pytest.mark.parametrize(
    ("reply", "problem"),
    [
        ({}, "give 1.id$"),
        ({"*": {"id": "x"}}, r"\* is no item; the items are 0 to 2$"),
        ({"0": {"id": "x"}, "1": {}}, "give 1.id$"),
        ({str(n): {"id": "x"} for n in range(4)}, "3 is no item"),
        ({"0": {"id": "x"}, "1": {"id": 7}, "2": {"id": "x"}}, "1.id is 7, no text"),
        ({"0": {"id": "x"}, "1": "x", "2": {"id": "x"}}, "1 is 'x', no object"),
    ],
)
def test_a_stuck_each_is_not_resolved_with_anything_else(scene, reply, problem):
    parent = stuck_group(scene, MARKS)
    with pytest.raises(InvalidError, match=problem):
        scene.service.resolve(UUID(str(parent["id"])), "ada", "by hand", reply, 0.0)
    assert ends(scene)["order"] == parent["state"]


def test_a_stuck_together_is_resolved_with_values_of_the_right_type(scene):
    must = together(
        pivot("mark", post("stock", "/mark", keeps={"id": text()}), done="MARKED", refused="NOT_MARKED"),
        retriable("file", post("stock", "/file"), done="FILED"),
        name="both", done="BOTH_DONE",
    )  # fmt: skip
    scene.given(mark=[REFUSED])
    start(scene, step("hold"), must, retriable("note", post("stock", "/notes", id="both.mark.id"), done="NOTED"))
    parent = UUID(str(the(scene, "order")["id"]))
    for wrong, problem in (({"mark": {"id": 7}}, "mark.id is 7, no text"), ({}, "give mark.id$")):
        with pytest.raises(InvalidError, match=problem):
            scene.service.resolve(parent, "ada", "by hand", wrong, 0.0)
    scene.service.resolve(parent, "ada", "by hand", {"mark": {"id": "h1"}}, 0.0)
    settle(scene)
    assert scene.requests[-1].body["id"] == "h1"


def test_the_actions_of_a_stuck_each_ask_for_what_each_item_keeps(scene):
    row = stuck_group(scene, MARKS)
    known = Known(data={"lines": [1, 2, 3]}, results={})
    table = scene.registry.get("order", 1)
    actions = available_actions(table, row["state"], UUID(str(row["id"])), known, in_doubt=False)
    assert {action.name: action.needs for action in actions}["resolve"] == ("0.id", "1.id", "2.id")


def test_a_completed_parent_is_compensated_with_its_branches(scene):
    start(scene, reserve(), PAPERS)
    assert ends(scene)["order"] == "PRINTED"
    scene.service.compensate(the(scene, "order")["id"], "ada", "returned", 0.0)
    settle(scene)
    assert ends(scene)["order"] == "CALLED_OFF"
    assert {state for _, state in children(scene)} == {"RESERVE_UNDONE", "LABEL_UNDONE", "BILL_UNDONE"}
    undone = [call for call in scene.calls if call.startswith("undo_")]
    assert undone.index("undo_archive") < undone.index("undo_invoice")
    assert undone[-3:] == ["undo_reserve"] * 3, "the group that was done last is undone first"


def test_a_cancel_of_the_parent_compensates_the_branches(scene):
    waits = approval("agree", role="operator", within_s=600, done="AGREED", refused="NOT_AGREED")
    start(scene, together(step("label"), waits, name="papers", done="PRINTED", refused="NO_PAPERS"), step("ship"))
    assert ends(scene)["order"] == "NEW"
    scene.service.compensate(the(scene, "order")["id"], "ada", "no", 0.0)
    settle(scene)
    assert ends(scene)["order"] == "CALLED_OFF"
    assert scene.calls == ["label", "undo_label"]


def test_the_deadline_of_the_parent_compensates_the_branches(scene):
    waits = approval("agree", role="operator", within_s=600, done="AGREED", refused="NOT_AGREED")
    start(scene, together(step("label"), waits, name="papers", done="PRINTED", refused="NO_PAPERS"), step("ship"))
    with scene.database.connect() as connection:
        over = {"deadline_at": in_seconds(-1.0), "due_at": in_seconds(-1.0)}
        connection.execute(update(SagaRow).where(SagaRow.parent_id.is_(None)).values(over))
    settle(scene)
    assert ends(scene)["order"] == "CALLED_OFF"
    assert scene.calls == ["label", "undo_label"]


def test_a_group_without_refused_waits_until_a_person_lets_its_stuck_branch_succeed(scene):
    mails = together(
        retriable("mail", post("stock", "/mail"), done="MAILED"),
        retriable("log", post("stock", "/log"), done="LOGGED"),
        name="after", done="TOLD",
    )  # fmt: skip
    scene.given(mail=[REFUSED])
    start(scene, step("hold"), mails)
    assert (ends(scene)["order"], ends(scene)["order.after.mail"]) == ("hold_DONE", "STUCK_MAIL")
    scene.service.retry(the(scene, "order.after.mail")["id"], "ada", "mended", 0.0)
    settle(scene)
    assert ends(scene)["order"] == "TOLD"


def test_a_retry_of_a_stuck_group_replaces_only_the_branches_that_were_compensated(scene):
    checks = together(
        read("check", post("stock", "/check"), done="CHECKED", refused="UNCHECKED"),
        retriable("mail", post("stock", "/mail"), done="MAILED"),
        name="after", done="TOLD",
    )  # fmt: skip
    scene.given(check=[REFUSED])
    start(scene, step("hold"), checks)
    assert ends(scene)["order"] == "STUCK_AFTER"
    scene.service.retry(the(scene, "order")["id"], "ada", "mended", 0.0)
    settle(scene)
    assert ends(scene)["order"] == "TOLD"
    assert [
        row["child_number"]
        for row in scene.rows("SELECT child_number FROM saga WHERE parent_id IS NOT NULL ORDER BY 1")
    ] == [1, 2, 3]
    assert scene.calls.count("mail") == 1


def test_groups_and_other_sagas_can_stand_within_branches(scene):
    payment = Saga(
        name="payment", version=1, initial="ASKED", completed="take_DONE", compensated="UNPAID",
        participants=("stock",), data={"customer": text()}, steps=(step("take"),),
    )  # fmt: skip
    pays = sub("payment", data={"customer": "customer"}, done="PAID", refused="NOT_PAID")
    whole = together(branch("goods", reserve()), branch("money", pays), name="both", done="BOTH", refused="NEITHER")
    begin(scene, order(whole, step("ship")), payment, customer="Ada", lines=LINES)
    assert ends(scene)["order"] == "ship_DONE"
    assert ends(scene)["payment"] == "take_DONE"
    assert len(children(scene)) == 2 + 3 + 1
    scene.service.compensate(the(scene, "order")["id"], "ada", "returned", 0.0)
    settle(scene)
    assert ends(scene) == {
        "order": "CALLED_OFF", "order.both.goods": "GOODS_UNDONE", "order.both.money": "MONEY_UNDONE",
        "order.both.goods.reserve": "RESERVE_UNDONE", "payment": "UNPAID",
    }  # fmt: skip


def test_a_group_is_skipped_without_its_condition(scene):
    wrapped = together(
        step("paper"), step("ribbon"), name="gift", when=is_true("gift"), done="WRAPPED", refused="NOT_WRAPPED"
    )
    start(scene, wrapped, step("ship"), data=DATA | {"gift": boolean(default=False)})
    assert ends(scene) == {"order": "ship_DONE"}


def test_a_thousand_items_work(scene):
    many = [{"sku": f"s{number}", "quantity": 1} for number in range(1_000)]
    start_count = len(scene.statements)
    start_many(scene, many)
    assert ends(scene)["order"] == "ship_DONE"
    assert len(scene.requests[-1].body["ids"]) == 1_000
    assert len(scene.statements) > start_count


def start_many(scene: Scene, many: Any) -> None:
    scene.registry = Registry([order(reserve(), step("ship", sent={"ids": "reserve.*.id"}))])
    scene.given(reserve=[answer(201, id=f"r{number}") for number in range(len(many))])
    scene.run(scene.registry.latest("order"), customer="Ada", lines=many)
    while claimed := scene.leases("process").claim(100, 30):
        for saga in claimed:
            scene.engine.run(saga, 1000.0)


def test_a_person_does_not_undo_a_branch_of_a_completed_parent(scene):
    start(scene, PAPERS, SHIP)
    with pytest.raises(ConflictError, match="compensate that saga"):
        scene.service.compensate(the(scene, "order.papers.label")["id"], "ada", "no", 0.0)


def test_the_next_item_starts_when_one_of_those_in_work_has_ended(scene):
    scene.registry = Registry([order(reserve(at_most=2), SEND)])
    parent = scene.run(scene.registry.latest("order"), customer="Ada", lines=[*LINES, *LINES]).id
    first = the(scene, "order.reserve")["id"]
    assert len(children(scene)) == 2
    scene.engine.run(scene.leases("one").claim_one(first, 30), 1000.0)
    waiting = scene.leases("another").claim_one(parent, 30)
    assert waiting is not None, "the end of an item makes the parent due"
    scene.engine.run(waiting, 1000.0)
    assert len(children(scene)) == 3, "one item is still in work, so there is room for one more"


@pytest.mark.parametrize(("status", "state"), [("compensating", "UNDOING_RESERVE"), ("compensated", "RESERVE_UNDONE")])
def test_no_item_starts_beside_one_that_has_gone_back_a_moment_ago(scene, monkeypatch, status, state):
    """The parent has read its children, and one of them goes back before the parent commits."""
    scene.registry = Registry([order(reserve(at_most=2), SEND)])
    scene.run(scene.registry.latest("order"), customer="Ada", lines=[*LINES, *LINES])
    one = SagaRow.id == the(scene, "order.reserve")["id"]
    with scene.database.connect() as connection:
        connection.execute(update(SagaRow).where(one).values(status=status, state=state, due_at=None))
        connection.execute(update(SagaRow).where(SagaRow.parent_id.is_(None)).values(due_at=in_seconds(-1.0)))
    monkeypatch.setattr("machines.families.Families.take", lambda *_: False)
    parent = scene.leases("another").claim_one(the(scene, "order")["id"], 30)
    scene.engine.run(parent, 1000.0)
    assert len(children(scene)) == 2
