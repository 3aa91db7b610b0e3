"""The preview of an action lists the calls of the sagas that the steps of a saga start or have started."""

import re
from typing import Any

import pytest

from machines import Saga, at, branch, compensatable, each, list_of, pivot, post, retriable, sub, text, together
from machines.step import Step
from tests.integration.engine.families import settle, the
from tests.integration.engine.scene import REFUSED, answer

LINES = list_of({"sku": text()}, high=100)


def undoable(name: str, path: str = "", **sent: Any) -> Step:
    keeps = {"id": text()} if name == "charge" else {}
    return compensatable(
        name, post("shop", path or f"/{name}", keeps=keeps, **sent), undo=post("shop", f"/{name}/undo", **sent),
        done=f"{name.upper()}_DONE", refused=f"{name.upper()}_REFUSED",
    )  # fmt: skip


def table(name: str, *steps: Step, **data: Any) -> Saga:
    return Saga(
        name=name, version=1, initial=f"NEW_{name.upper()}", completed=steps[-1].done,
        compensated=f"{name.upper()}_CALLED_OFF", participants=("shop",), data=data, steps=steps,
    )  # fmt: skip


PAYMENT = table("payment", undoable("charge", amount="amount"), amount=text())
RESERVE = each("lines", undoable("reserve", sku="item.sku"), done="RESERVED", refused="SHORT")
PAY = sub("payment", data={"amount": "amount"}, keeps={"id": at("charge.id", text())}, done="PAID", refused="NOT_PAID")
PAPERS = together(
    undoable("label"),
    branch("bills", undoable("bill"), undoable("file")),
    name="papers",
    done="PRINTED",
    refused="BARE",
)
ORDER = table("order", RESERVE, PAY, PAPERS, undoable("send"), lines=LINES, amount=text())
DATA: dict[str, Any] = {"lines": [{"sku": "a"}, {"sku": "b"}], "amount": "5"}


def sends(page: str, title: str) -> list[str]:
    """Return what an action sends, one text for each call."""
    (action,) = re.findall(rf'<details class="action"[^>]*>\s*<summary><b>{title}</b>.*?<form', page, re.DOTALL)
    calls = re.findall(r"<li><b>(.*?)</li>", action, re.DOTALL)
    rest = re.findall(r'<p class="hint small">(The calls of .*?)</p>', action)
    return [
        re.sub(r"\s+", " ", re.sub(r"(?s)<details.*?</details>|<[^>]+>", " ", words)).strip() for words in calls
    ] + rest


def short(scene: Any, definition: str) -> str:
    return str(the(scene, definition)["id"])[-8:]


def test_take_back_lists_the_undos_of_every_child(family):
    scene, client = family(ORDER, PAYMENT, replies={"charge": [answer(200, id="c1")]}, **DATA)
    order = the(scene, "order")
    assert order["status"] == "completed"
    calls = sends(client.get(f"/admin/sagas/{order['id']}").text, "Take back")
    by = {name: short(scene, name) for name in ("order.papers.label", "order.papers.bills", "payment")}
    assert calls[:5] == [
        "undo send at shop POST /send/undo",
        f"undo label at shop by order.papers.label {by['order.papers.label']} POST /label/undo",
        f"undo file at shop by order.papers.bills {by['order.papers.bills']} POST /file/undo",
        f"undo bill at shop by order.papers.bills {by['order.papers.bills']} POST /bill/undo",
        f"undo charge at shop by payment {by['payment']} POST /charge/undo",
    ]
    assert [re.sub(r" [0-9a-f]{8} ", " ID ", call) for call in calls[5:]] == [
        "undo reserve at shop by order.reserve ID POST /reserve/undo"
    ] * 2
    sent = len(scene.calls)
    scene.service.compensate(order["id"], "ada", "returned", 0.0)
    settle(scene)
    planned = [re.sub(r"undo (\w+) .*", r"undo_\1", call) for call in calls]
    assert sorted(scene.calls[sent:]) == sorted(planned), "the preview is what happens"


def test_children_beyond_the_first_are_counted(family):
    many = [{"sku": str(number)} for number in range(23)]
    scene, client = family(table("order", RESERVE, lines=LINES), replies={}, lines=many)
    calls = sends(client.get(f"/admin/sagas/{the(scene, 'order')['id']}").text, "Take back")
    assert len(calls) == 21
    assert calls[-1] == "The calls of 3 more sagas of reserve are not listed."


def test_all_steps_of_a_saga_share_the_room_for_listed_children(family):
    holds = each("lines", undoable("hold", sku="item.sku"), done="HELD", refused="NOT_HELD")
    many = [{"sku": str(number)} for number in range(15)]
    scene, client = family(table("order", holds, RESERVE, lines=LINES), replies={}, lines=many)
    calls = sends(client.get(f"/admin/sagas/{the(scene, 'order')['id']}").text, "Take back")
    assert [call.split(" at ")[0] for call in calls] == [
        *["undo reserve"] * 15, *["undo hold"] * 5, "The calls of 10 more sagas of hold are not listed."
    ]  # fmt: skip


def test_calls_of_groups_within_groups_are_listed(family):
    papers = together(undoable("label"), name="papers", done="PRINTED", refused="BARE")
    scene, client = family(
        table("order", each("lines", papers, name="pack", done="PACKED", refused="NOT_PACKED"), lines=LINES),
        replies={}, lines=DATA["lines"],
    )  # fmt: skip
    calls = sends(client.get(f"/admin/sagas/{the(scene, 'order')['id']}").text, "Take back")
    assert [re.sub(r" [0-9a-f]{8} ", " ID ", call) for call in calls] == [
        "undo label at shop by order.pack.papers.label ID POST /label/undo"
    ] * 2


BOTH = together(undoable("pay"), undoable("call"), name="both", done="BOTH")
MUST = table("must", undoable("hold"), BOTH, retriable("end", post("shop", "/end"), done="ENDED"))


def test_retry_of_a_group_lists_the_calls_of_the_branches_that_start_again(family):
    scene, client = family(MUST, replies={"pay": [REFUSED]})
    must = the(scene, "must")
    assert must["state"] == "STUCK_BOTH"
    page = client.get(f"/admin/sagas/{must['id']}").text
    again = ["pay"] if the(scene, "must.both.call")["status"] == "completed" else ["pay", "call"]
    assert sends(page, "Retry now") == [
        *(f"do {name} at shop by new must.both.{name} POST /{name}" for name in again), "do end at shop POST /end",
    ]  # fmt: skip
    assert "with the same key" not in page
    assert "Starts each branch of both that was compensated again, as a new saga with new keys." in page
    sent = len(scene.calls)
    scene.service.retry(must["id"], "ada", "try", 0.0)
    settle(scene)
    assert scene.calls[sent:] == [*again, "end"], "the preview is what happens"


def test_retry_of_a_step_that_starts_a_saga_lists_the_calls_of_the_new_saga(family):
    pays = sub("payment", data={"amount": "amount"}, done="PAID")
    end = retriable("end", post("shop", "/end"), done="ENDED")
    order = table("order", undoable("hold"), pays, end, amount=text())
    scene, client = family(order, PAYMENT, replies={"charge": [REFUSED]}, amount="5")
    order = the(scene, "order")
    assert order["state"] == "STUCK_PAYMENT"
    page = client.get(f"/admin/sagas/{order['id']}").text
    assert sends(page, "Retry now") == ["do charge at shop by new payment POST /charge", "do end at shop POST /end"]
    assert "with the same key" not in page


@pytest.mark.parametrize("over", ["lines", "list.lines"])
def test_calls_of_children_to_come_are_listed_also_when_their_data_are_not_known_yet(family, over):
    keeps = {"lines": LINES}
    lists = retriable("list", post("shop", "/list", keeps=keeps), done="LISTED")
    takes = each(over, retriable("take", post("shop", "/take/{item.sku}"), done="TAKEN"), done="ALL_TAKEN")
    pays = sub("invoice", data={"amount": "amount"}, done="PAID")
    invoice = table("invoice", undoable("mail"), amount=text())
    scene, client = family(
        table("order", undoable("hold"), lists, takes, pays, lines=LINES, amount=text()),
        invoice,
        replies={"list": [REFUSED]},
        **DATA,
    )
    page = client.get(f"/admin/sagas/{the(scene, 'order')['id']}").text
    takes = ["do take at shop by new order.take for each item of list.lines POST /take/{item.sku}"]
    if over == "lines":
        takes = [f"do take at shop by new order.take, index {place} POST /take/{'ab'[place]}" for place in range(2)]
    mail = "do mail at shop by new invoice POST /mail"
    assert sends(page, "Retry now") == ["do list at shop POST /list", *takes, mail]


def test_dry_run_of_many_sagas_lists_the_calls_of_their_children(family):
    _, client = family(MUST, replies={"pay": [REFUSED]})
    group = re.search(r'href="(/admin/stuck/group[^"]*)"', client.get("/admin/stuck").text)
    assert group is not None
    page = client.get(group[1].replace("&amp;", "&")).text
    assert "POST shop/pay<" in page
    assert "with the same key" not in page


def test_resolving_a_group_asks_only_for_the_results_that_nobody_knows(family):
    def keeping(name: str) -> Step:
        return pivot(name, post("shop", f"/{name}", keeps={"id": text()}), done=name.upper(), refused=f"NO_{name}")

    both = together(keeping("pay"), keeping("call"), name="both", done="BOTH")
    note = retriable("note", post("shop", "/note", pay="both.pay.id", call="both.call.id"), done="NOTED")
    order = table("order", undoable("hold"), both, note)
    scene, client = family(order, replies={"pay": [answer(200, id="p1")], "call": [REFUSED]})
    page = f"/admin/sagas/{the(scene, 'order')['id']}"
    assert re.findall(r'name="reply\.([^"]+)"', client.get(page).text) == ["call.id"]
    form = {"action": "resolve", "seen": "STUCK_BOTH", "reason": "called", "reply.call.id": "c1"}
    assert client.post(page, data=form | {"reply.call": "1"}).status_code == 400
    assert client.post(page, data=form).status_code == 200
    assert the(scene, "order")["state"] == "BOTH"
