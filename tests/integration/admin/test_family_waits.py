"""What the page, the API, the command line and a refused action say of a saga that waits for its children."""

import re
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from saga_client import StuckSaga
from saga_client.results import details_of

from app.errors import ConflictError, InvalidError, NotFoundError
from app.services import services
from app.store import queries
from app.views.signals import signal_step
from machines import Saga, anything, approval, compensatable, each, list_of, pivot, post, retriable, sub, text, together
from machines.step import Step
from tests.integration.admin.conftest import seen
from tests.integration.engine.families import the
from tests.integration.engine.scene import REFUSED, answer

LINES = list_of({"sku": text()}, high=100)


def undoable(name: str) -> Step:
    return compensatable(
        name, post("shop", f"/{name}"), undo=post("shop", f"/{name}/undo"), done=f"{name.upper()}_DONE",
        refused=f"{name.upper()}_REFUSED",
    )  # fmt: skip


def must(name: str) -> Step:
    return retriable(name, post("shop", f"/{name}"), done=f"{name.upper()}_DONE")


def table(name: str, *steps: Step, **data: Any) -> Saga:
    return Saga(
        name=name, version=1, initial=f"NEW_{name.upper()}", completed=steps[-1].done,
        compensated=f"{name.upper()}_CALLED_OFF", participants=("shop",), data=data, steps=steps,
    )  # fmt: skip


PAPERS = together(undoable("label"), undoable("bill"), name="papers", done="PRINTED", refused="BARE")
BACKWARD = table("order", PAPERS, undoable("send"))
BOTH = together(must("pay"), must("call"), name="both", done="BOTH", title="Pay and call")
FORWARD = table("order", undoable("hold"), BOTH, must("end"))
OUTER = each("boxes", each("item.lines", must("wrap"), name="wraps", done="WRAPPED"), name="pack", done="PACKED")
DEEP = table("order", undoable("hold"), OUTER, must("end"), boxes=list_of({"lines": LINES}, high=9))
BOXES = [{"lines": [{"sku": "a"}, {"sku": "b"}]}]


def backward(family: Any) -> tuple[Any, Any]:
    """Return a saga on its way back, whose branch `label` is stuck in its undo."""
    return family(BACKWARD, replies={"send": [REFUSED], "undo_label": [REFUSED]})


def forward(family: Any) -> tuple[Any, Any]:
    """Return a saga whose branch `call` must succeed and is stuck."""
    return family(FORWARD, replies={"call": [REFUSED]})


def deep(family: Any) -> tuple[Any, Any]:
    """Return a saga with a stuck saga two levels below it."""
    return family(DEEP, replies={"wrap": [REFUSED]}, boxes=BOXES)


CASES = {
    "backward": (backward, "order.papers.label", "the branches of papers: 1 of 2 undone, 1 stuck"),
    "forward": (forward, "order.both.call", "the branches of both: 1 of 2 done, 1 stuck"),
    "deep": (deep, "order.pack.wraps", "the branches of pack: 0 of 1 done, 1 stuck"),
}
each_case = pytest.mark.parametrize(("case", "child", "waits"), CASES.values(), ids=CASES)


def stuck_one(scene: Any, name: str) -> Any:
    (row,) = scene.rows(f"SELECT id, state FROM saga WHERE definition = '{name}' AND status = 'stuck'")
    return {"id": str(the_id(row["id"])), "state": row["state"]}


def with_title(waits: str) -> str:
    """Return what people read of a wait; the API names the group by its identifier."""
    return waits.replace("branches of both", "branches of Pay and call (both)")


def titled(child: str) -> str:
    return child.replace("order.both.call", "Pay and call (order.both.call)")


def the_id(value: object) -> str:
    """Return an id as text with dashes; SQLite stores it without them."""
    word = str(value).replace("-", "")
    return "-".join((word[:8], word[8:12], word[12:16], word[16:20], word[20:]))


def test_page_names_the_sagas_below_by_their_titles(family):
    take = retriable("take", post("shop", "/take"), title="Take the money", done="TAKEN")
    paid = replace(table("payment", undoable("ask"), take), title="The payment")
    parent = table("order", undoable("hold"), sub("payment", pivot=True, done="PAID", refused="UNPAID"), must("end"))
    scene, client = family(parent, paid, replies={"take": [REFUSED]})
    stuck, order = stuck_one(scene, "payment"), the(scene, "order")["id"]
    page = seen(client.get(f"/admin/sagas/{order}"))
    name, state = f"The payment (payment) {stuck['id'][-8:]}", f"stuck: Take the money ({stuck['state']})"
    assert f"saga The payment (payment): 1 stuck. Act on the stuck saga {name} in {state}." in page
    assert "The saga The payment (payment) is under way: see the sagas that payment has started." in page


@each_case
def test_page_names_the_stuck_saga_that_the_parent_waits_for(family, case, child, waits):
    scene, client = case(family)
    stuck, parent = stuck_one(scene, child), the(scene, "order")["id"]
    answer = client.get(f"/admin/sagas/{parent}")
    page = seen(answer)
    assert f"{with_title(waits)}. Act on the stuck saga {titled(child)} {stuck['id'][-8:]} in {stuck['state']}." in page
    head = answer.text.partition("Started sagas")[0]
    assert f'href="/admin/sagas/{stuck["id"]}"' in head
    assert "The engine is running the saga" not in page
    assert "None here: act on the stuck saga that this saga waits for" in page
    assert "Waits until" not in page, "time does not end this wait"


@each_case
def test_api_says_what_the_parent_waits_for_and_which_saga_is_stuck(family, case, child, waits):
    scene, client = case(family)
    stuck, parent = stuck_one(scene, child), the(scene, "order")["id"]
    saga = client.get(f"/api/v1/sagas/{parent}").json
    assert (saga["waiting_for"], saga["waiting_until"]) == (waits, None)
    assert saga["stuck_below"] == [stuck | {"type": child}]
    assert details_of(saga).stuck_below == (StuckSaga(id=UUID(stuck["id"]), type=child, state=stuck["state"]),)


@each_case
def test_show_says_what_the_parent_waits_for_and_which_saga_is_stuck(family, monkeypatch, case, child, waits):
    monkeypatch.setenv("COLUMNS", "200")
    scene, client = case(family)
    stuck, parent = stuck_one(scene, child), the(scene, "order")["id"]
    shown = client.application.test_cli_runner().invoke(args=["saga", "show", str(parent)]).output
    assert f"waiting for {with_title(waits)}\n" in shown
    assert f"{titled(child)} {stuck['id']} in {stuck['state']}: it waits for a person" in shown
    assert "continues" not in shown


@each_case
@pytest.mark.parametrize("action", ["retry", "resolve", "compensate", "send_now"])
def test_a_refused_action_names_the_stuck_saga(family, case, child, waits, action):
    scene, _ = case(family)
    stuck, parent = stuck_one(scene, child), the(scene, "order")["id"]
    act = getattr(scene.service, action)
    given = [{}] if action == "resolve" else []
    words = rf"it waits for saga {stuck['id']} \({child}\), which is stuck in {stuck['state']}; act on it"
    with pytest.raises(ConflictError, match=words):
        act(parent, "ada", "try", *given, 0.0)


def test_a_refused_cancel_names_the_child_that_has_a_pivot(family):
    agrees = approval("agree", role="operator", within_s=600, done="AGREED", refused="NOT_AGREED")
    child = table("payment", agrees, pivot("pay", post("shop", "/pay"), done="PAID", refused="POOR"))
    pays = sub("payment", pivot=True, done="PAID_FOR", refused="NOT_PAID_FOR")
    scene, _ = family(table("order", undoable("hold"), pays, must("end")), child, replies={})
    payment = the(scene, "payment")
    with pytest.raises(ConflictError, match=rf"it waits for saga {payment['id']} \(payment\), which is waiting in"):
        scene.service.compensate(the(scene, "order")["id"], "ada", "no", 0.0)


def test_the_effect_of_a_group_names_no_participant_and_no_key(family):
    _, client = forward(family)
    parent = client.get("/api/v1/sagas").json["sagas"][0]["id"]
    effects = seen(client.get(f"/admin/sagas/{parent}")).partition(" Effects ")[2].partition(" Available actions")[0]
    name = "Pay and call (both)"
    assert f"The branches of {name} are under way: see the sagas that {name} has started." in effects
    for wrong in ("START", "both/do", "Check at", "is being called"):
        assert wrong not in effects


@pytest.mark.parametrize("started", ["group", "sub"])
def test_a_signal_to_the_parent_names_the_child_that_waits_for_it(family, started):
    agrees = approval("agree", role="operator", within_s=600, done="AGREED", refused="NOT_AGREED")
    child = table("consent", agrees, undoable("sign"))
    starts = {
        "group": together(undoable("label"), agrees, name="papers", done="PRINTED", refused="BARE"),
        "sub": sub("consent", done="PRINTED", refused="BARE"),
    }[started]
    tables = (table("order", starts, undoable("send")), *([child] if started == "sub" else []))
    scene, _ = family(*tables, replies={})
    name = {"group": "order.papers.agree", "sub": "consent"}[started]
    row = queries.find(the(scene, "order")["id"])
    with pytest.raises(NotFoundError, match=f"send it to its child {name}$"):
        signal_step(services().registry, row, "agree")
    with pytest.raises(NotFoundError, match="it waits for no signal at all"):
        signal_step(services().registry, row, "other")


def drawn(client: Any, saga_id: object) -> list[str]:
    """Return the lines of `saga show --tree`, with `ID` for each id."""
    text = (
        client.application.test_cli_runner()
        .invoke(args=["saga", "show", str(saga_id), "--tree"], env={"COLUMNS": "300"})
        .output
    )
    return re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "ID", text).splitlines()


def test_tree_has_the_lines_of_a_tree_and_names_a_state_once(family):
    boxes = [BOXES[0], {"lines": [{"sku": "c"}]}]
    scene, client = family(DEEP, replies={"wrap": [REFUSED]}, boxes=boxes)
    lines = drawn(client, the(scene, "order")["id"])
    assert lines[0] == "order ID waiting HOLD_DONE"
    assert [re.sub(r"ID .*", "ID", line) for line in lines[1:]] == [
        "├ pack[0]: order.pack ID",
        "│ ├ wraps[0]: order.pack.wraps ID",
        "│ └ wraps[1]: order.pack.wraps ID",
        "└ pack[1]: order.pack ID",
        "  └ wraps[0]: order.pack.wraps ID",
    ]
    (stuck,) = [line for line in lines if "STUCK" in line]
    assert stuck.endswith("order.pack.wraps ID stuck STUCK_WRAP: wrap: 409 no")


def test_tree_of_many_items_draws_the_stuck_ones_first_and_counts_the_rest(family):
    wraps = table("order", undoable("hold"), each("lines", must("wrap"), name="wraps", done="WRAPPED"), lines=LINES)
    replies = {"wrap": [*[answer(200)] * 24, REFUSED]}
    scene, client = family(wraps, replies=replies, lines=[{"sku": str(number)} for number in range(25)])
    lines = drawn(client, the(scene, "order")["id"])
    assert len(lines) == 22
    assert "stuck STUCK_WRAP" in lines[1]
    assert lines[-1] == "└ wraps: 5 more of 25: 5 completed"


def test_what_the_saga_would_refuse_is_not_offered(family):
    """A completed child belongs to its parent, and a parent does not go past a child that is not undone."""
    scene, client = family(BACKWARD, replies={})
    child = the(scene, "order.papers.label")["id"]
    page = client.get(f"/admin/sagas/{child}")
    assert "Not now: it is done for saga" in seen(page)
    assert 'name="action" value="compensate"' not in page.text
    shown = client.application.test_cli_runner().invoke(args=["saga", "show", str(child)]).output
    assert "you may" not in shown
    with pytest.raises(ConflictError, match="it is done for saga"):
        scene.service.compensate(child, "ada", "no", 0.0)
    whole = client.get(f"/admin/sagas/{the(scene, 'order')['id']}")
    assert "Not now" not in seen(whole)
    assert 'name="action" value="compensate"' in whole.text


def test_a_saga_that_is_stuck_at_a_list_that_is_none_can_go_back(family):
    ask = compensatable(
        "ask", post("shop", "/ask", keeps={"rows": anything()}), undo=post("shop", "/ask/undo"), done="ASKED",
        refused="NOT_ASKED",
    )  # fmt: skip
    goes = each("ask.rows", undoable("pack"), name="all", done="PACKED", refused="NOT_PACKED")
    scene, client = family(table("order", ask, goes, undoable("send")), replies={"ask": [answer(201, rows="none")]})
    parent = the(scene, "order")
    assert parent["status"] in {"stuck", "compensated"}, "it went back, or waits for a person"
    assert client.get(f"/admin/sagas/{parent['id']}").status_code == 200


@pytest.mark.parametrize("rows", ["none", 7])
def test_a_group_without_a_list_is_not_resolved_with_items(family, rows):
    """A text has a length, too, and its characters are no items."""
    ask = compensatable(
        "ask", post("shop", "/ask", keeps={"rows": anything()}), undo=post("shop", "/ask/undo"), done="ASKED",
        refused="NOT_ASKED",
    )  # fmt: skip
    pack = retriable("pack", post("shop", "/pack", keeps={"id": text()}), done="PACK_DONE")
    tell = retriable("tell", post("shop", "/tell", ids="all.*.id"), done="TOLD")
    goes = each("ask.rows", pack, name="all", done="PACKED")
    scene, client = family(table("order", ask, goes, tell), replies={"ask": [answer(201, rows=rows)]})
    parent = the(scene, "order")["id"]
    page = client.get(f"/admin/sagas/{parent}")
    assert page.status_code == 200
    assert 'name="reply.' not in page.text
    with pytest.raises(InvalidError, match=r"ask\.rows is no list"):
        scene.service.resolve(parent, "ada", "by hand", {"0": {"id": "x"}}, 0.0)
