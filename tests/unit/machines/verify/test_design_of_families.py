"""Flaws in the design of sagas with children: within a branch, beside it, and between a saga and its children."""

import pytest

from machines import (
    NEVER,
    approval,
    at,
    branch,
    compensatable,
    each,
    get,
    list_of,
    money,
    object_of,
    pause,
    pivot,
    post,
    read,
    retriable,
    sub,
    text,
    together,
    uuid,
    wait,
)
from machines.registry import Registry
from machines.verify import acceptable, verify
from machines.verify.deadlines import SHORT
from machines.verify.design import flaws
from tests.unit.machines.tables import saga

DAY_S = 86_400
PRICE = read("price", get("shop", "/price", keeps={"total": money()}), done="PRICED", refused="NO_PRICE")


def hold(name="hold", **body):
    back = post("shop", f"/{name}/undo")
    word = name.upper()
    return compensatable(name, post("shop", f"/{name}", **body), undo=back, done=word, refused=f"NO_{word}")


def pay(done="PAID", **body):
    return pivot("pay", post("shop", "/pay", keeps={"id": text()}, **body), done=done, refused="NO_PAY")


def tell(done="TOLD"):
    return retriable("tell", post("shop", "/tell"), done=done)


def release(done="RELEASED"):
    return approval("release", role="operator", within_s=5 * DAY_S, done=done, refused="NOT_RELEASED")


def cool(done="COOLED"):
    return pause("cool", for_s=DAY_S, done=done, refused="NOT_COOLED")


def rest(name, done=None):
    return pause(name, for_s=59, done=done or f"RESTED_{name}", refused=f"NOT_RESTED_{name}")


def order(*steps, **columns):
    usual = {"deadline_s": 30 * DAY_S, "data": {"who": text(), "lines": list_of(text())}}
    return saga(*steps, **(usual | columns))


def both(*branches):
    steps = [step for each in branches for step in getattr(each, "steps", (each,))]
    back = all(step.kind not in ("pivot", "retriable") for step in steps)
    return together(*branches, name="both", done="BOTH", refused="NOT_BOTH" if back else None)


def child(*steps, **columns):
    return saga(*steps, name="child", **({"data": {"amount": money()}, "deadline_s": 30 * DAY_S} | columns))


CHARGE = compensatable(
    "charge", post("shop", "/charge", amount="amount"), undo=post("shop", "/back"), done="DONE", refused="NO_CHARGE"
)
CHILD = child(CHARGE)
SLOW_CHILD = child(release(), CHARGE)
END = {"done": "DONE", "refused": "NOT_DONE"}
SUB = sub("part", saga="child", data={"amount": "price.total"}, done="PART_DONE", refused="NO_PART")
LOOKING = child(
    read("look", get("shop", "/look", keeps={"fee": money()}), done="LOOKED", refused="NO_LOOK"),
    hold("keep"), cool("DONE"), data={"who": text()},
)  # fmt: skip
FLAWED = {
    "pivot too early:stock": [
        order(PRICE, both(branch("a", pay(), tell("SENT"))), read("stock", get("shop", "/stock"), done="DONE"))
    ],
    "pivot too early:hold": [order(PRICE, together(branch("a", pay()), hold(), name="both", done="DONE"))],
    "pivot too early:keep": [order(PRICE, each("lines", hold("keep"), pay(), name="all", done="DONE"))],
    "pivot too early:papers": [order(pay(), together(hold(), name="papers", done="DONE"))],
    "pivot too early:part": [
        order(pay(), sub("part", saga="child", data={"amount": "cost"}, done="DONE"), data={"cost": money()}), CHILD,
    ],
    "read before the wait of its saga, used in a branch": [
        order(PRICE, release(), both(hold(total="price.total"), hold("keep")), pay("DONE"))
    ],
    "read before the wait of a branch, used behind the group": [
        order(PRICE, both(branch("a", cool(), hold("keep")), hold()), pay("DONE", total="price.total"))
    ],
    "read before the wait of a branch, used in this branch": [
        order(PRICE, both(branch("a", cool(), hold(total="price.total")), hold("keep")), pay("DONE"))
    ],
    "read in a branch, used after a wait of the saga": [
        order(both(branch("a", PRICE, hold()), hold("keep")), release(),
              pay("DONE", total="both.a.price.total"))
    ],
    "read before a short wait of a branch, and one behind the group": [
        order(PRICE, both(branch("a", rest("a"), hold("keep")), hold()), rest("b"), pay("DONE", total="price.total"))
    ],
    "read in a child before a short wait of it, and one behind it": [
        order(sub("part", saga="child", data={"who": "who"}, keeps={"fee": at("price.fee", money())}, done="PART_DONE",
                  refused="NO_PART"), rest("b"), pay("DONE", fee="part.fee")),
        child(read("price", get("shop", "/fee", keeps={"fee": money()}), done="KNOWN", refused="NO_FEE"), hold("keep"),
              rest("a", "DONE"), data={"who": text()}),
    ],
    "read in a branch, used after a wait of another branch": [
        order(both(PRICE, branch("b", cool(), hold())), pay("DONE", total="both.price.total"))
    ],
    "item of a list that was read before the wait": [
        order(read("price", get("shop", "/cart", keeps={"lines": list_of(text())}), done="CART", refused="NO_CART"),
              cool(), each("price.lines", hold(sku="item"), done="ALL", refused="NOT_ALL"), pay("DONE"))
    ],
    "read before a child that waits": [order(PRICE, SUB, pay("DONE")), SLOW_CHILD],
}  # fmt: skip
NAMES = {name: name if ":" in name else "stale read:price" for name in FLAWED}
NAMES["read in a child before a short wait of it, and one behind it"] = "stale read:part.price"
FLAWED["read in a child that waits, used behind it"] = [
    order(sub("part", saga="child", data={"who": "who"}, keeps={"fee": at("look.fee", money())}, done="PART_DONE",
              refused="NO_PART"), pay("DONE", fee="part.fee")),
    LOOKING,
]  # fmt: skip
NAMES["read in a child that waits, used behind it"] = "stale read:part.look"


@pytest.mark.parametrize("name", FLAWED)
def test_flaw_between_a_saga_and_its_children_is_found(name):
    registry = Registry(FLAWED[name])
    (flaw,) = flaws(FLAWED[name][0], registry)
    assert f"{flaw.property}:{flaw.step}" == NAMES[name]
    assert len(flaw.path) == 3
    assert NAMES[name] in set(acceptable(FLAWED[name][0], registry))


def test_flaw_names_the_step_of_the_branch_that_has_no_way_back():
    table = FLAWED["pivot too early:stock"]
    (flaw,) = flaws(table[0], Registry(table))
    assert flaw.why == "stock is a read that may be refused, after the point of no return pay: the saga is stuck"


WITHIN = [
    order(together(branch("a", PRICE, cool(), hold(total="price.total")), hold("keep"), name="both", **END)),
    order(sub("part", saga="child", data={"amount": "cost"}, **END), data={"cost": money()}, participants=()),
    child(read("price", get("shop", "/p", keeps={"total": money()}), done="PRICED", refused="NO_PRICE"), release(),
          compensatable("charge", post("shop", "/c", total="price.total"), undo=post("shop", "/u"), **END)),
]  # fmt: skip


@pytest.mark.parametrize("tables", [WITHIN[:1], WITHIN[1:]])
def test_flaw_within_a_child_is_found_in_the_search_of_the_child(tables):
    registry = Registry(tables)
    assert not list(flaws(tables[0], registry)), "the table of the child shows it once"
    result = verify(tables[0], registry=registry, most_states=1)
    assert ([each.name for each in result.faults], result.definition != tables[0]) == (["stale read:price"], True)


SOUND = {
    "read after the wait, in the branch": [
        order(release(), both(branch("a", PRICE, hold(total="price.total")), hold("keep")), pay("DONE"))
    ],
    "wait behind the use": [
        order(PRICE, both(hold(total="price.total"), hold("keep")), release(), pay("DONE"))
    ],
    "short waits of two branches at once": [
        order(PRICE, both(branch("a", rest("a"), hold()), branch("b", rest("b"), hold("keep"))),
              pay("DONE", total="price.total"))
    ],
    "short waits of two other branches at once": [
        order(both(PRICE, branch("a", rest("a"), hold()), branch("b", rest("b"), hold("keep"))),
              pay("DONE", total="both.price.total"))
    ],
    "other value of the group": [
        order(both(branch("a", PRICE, hold()), hold("keep")), release(), pay("DONE"))
    ],
    "child that needs the pivot": [
        order(pay(), sub("part", saga="child", data={"who": "pay.id"}, done="DONE")), LOOKING,
    ],
    "child that does not wait": [
        order(PRICE, SUB, pay("DONE")), CHILD,
    ],
    "refusals before the group with the pivot": [
        order(hold(), both(branch("a", pay(), tell("SENT"))), tell("DONE"))
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", SOUND)
def test_sound_design_of_a_family_has_no_flaw(name):
    assert not list(flaws(SOUND[name][0], Registry(SOUND[name])))


LINE = {"sku": text(), "ref": uuid(), "parts": list_of(object_of({"sku": text()}))}


def shipped(*asked):
    query = {f"by{number}": each for number, each in enumerate(asked)}
    back, probe = post("shop", "/back", query=query), get("shop", "/ship", query=query)
    return compensatable(
        "ship", post("shop", "/ship"), undo=back, probe=probe, retry=NEVER, done="SHIPPED", refused="NOT_SHIPPED"
    )


def beside(step):
    return together(step, hold("keep"), name="both", done="BOTH", refused="NOT_BOTH")


def items(step, over="lines", name="all"):
    return each(over, step, name=name, done=f"ALL_{name}", refused=f"NOT_{name}")


@pytest.mark.parametrize(
    ("step", "is_own"),
    [
        (items(shipped("price.total")), False),
        (items(shipped("hold.id")), False),
        (items(shipped("order")), False),
        (items(shipped("item.sku")), False),
        (items(shipped("price.total", "item.sku")), False),
        (items(shipped("hold.id", "item.sku")), True),
        (items(shipped("order", "index")), True),
        (items(shipped("item.ref")), True),
        (items(shipped("saga.id")), True),
        (items(beside(shipped("hold.id"))), False),
        (items(beside(shipped("hold.id", "index"))), True),
        (items(items(shipped("hold.id", "index"), "item.parts", "parts")), False),
        (beside(shipped("hold.id")), True),
        (beside(shipped("order")), True),
    ],
)
def test_call_of_a_branch_tells_the_items_and_the_sagas_apart(step, is_own):
    data = {"order": uuid(), "lines": list_of(object_of(LINE))}
    registry = Registry([order(PRICE, hold(keeps={"id": text()}), step, pay("DONE"), data=data)])
    inner = next(each for each in registry if each.is_branch and each.steps[0].name == "ship")
    assert {flaw.property for flaw in flaws(inner, registry)} == (set() if is_own else {"shared probe", "shared undo"})


def waiting(within_s, **columns):
    sign = wait("sign", signal="sign", within_s=within_s, done="SIGNED", refused="NOT_SIGNED")
    return saga(sign, CHARGE, name="child", data={"amount": money()}, deadline_s=7_200, **columns)


PART = sub("part", saga="child", data={"amount": "amount"}, done="PART_DONE", refused="NO_PART")


@pytest.mark.parametrize(
    ("steps", "found"),
    [
        ([PART, pay("DONE")], ["short deadline:part"]),
        ([pause("cool", for_s=500, done="COOL", refused="NOT_COOL"), PART, pay("DONE")], ["short deadline:part"]),
        ([together(branch("one", PART), branch("two", hold()), name="both", done="BOTH", refused="NOT_BOTH"),
          pay("DONE")], ["short deadline:both"]),
        ([pay(), sub("part", saga="child", data={"amount": "amount"}, done="DONE")], []),
    ],
)  # fmt: skip
def test_child_that_may_wait_longer_than_the_deadline_of_its_parent_is_a_flaw(steps, found):
    parent = saga(*steps, data={"amount": money()}, deadline_s=1_000)
    registry = Registry([parent, waiting(500 if "cool" in parent.steps[0].name else 6_000)])
    assert [f"{SHORT}:{flaw.step}" for flaw in flaws(parent, registry) if flaw.property == SHORT] == found
    assert set(found) <= set(acceptable(parent, registry))
    assert SHORT not in {flaw.property for flaw in flaws(parent, Registry([parent, waiting(400)]))}
