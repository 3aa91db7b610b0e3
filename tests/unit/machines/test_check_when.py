"""The checks of `when=`: each bad condition is refused at import, with the step, the problem and the remedy."""

from typing import Any

import pytest

from machines import (
    TableError,
    above,
    all_of,
    amount,
    any_of,
    anything,
    between,
    boolean,
    choice,
    const,
    date,
    delete,
    each_item,
    equal,
    fallback,
    get,
    integer,
    is_true,
    list_of,
    maybe,
    money,
    not_,
    object_of,
    one_of,
    optional,
    post,
    present,
    secret,
    text,
)
from machines.choices import choice_notes
from machines.digest import change
from machines.saga import Saga
from machines.step import Kind, Step, compensatable, pause, pivot, read, retriable

DATA: dict[str, Any] = {
    "gift": boolean(default=False),
    "country": text(2, 2),
    "price": money(1_000),
    "pieces": integer(1, 9),
    "note": optional(text()),
    "where": optional(object_of({"city": text()})),
    "day": date(),
    "way": choice("card", "invoice"),
    "address": object_of({"city": text()}),
    "lines": list_of({"sku": text()}),
    "pin": secret(text()),
    "shop": text(),
    "any": anything(),
    "tip": amount(),
}
PAY = pivot("pay", post("shop", "/pay"), done="PAID", refused="DECLINED")


def order(*steps: Step) -> Saga:
    return Saga(
        name="order",
        version=1,
        initial="ASKED",
        completed=steps[-1].done,
        compensated="CALLED_OFF",
        data=DATA,
        participants=("shop",),
        steps=steps,
    )


def look(name: str = "look", when: Any = None, call: Any = None) -> Step:
    call = call or get("shop", f"/{name}")
    return read(name, call, done=f"{name.upper()}_DONE", refused=f"NO_{name.upper()}", when=when)


def problem(*steps: Step) -> str:
    with pytest.raises(TableError) as found:
        order(*steps)
    return "\n".join(found.value.problems)


@pytest.mark.parametrize(
    ("when", "says"),
    [
        ("gift", "when= is 'gift', no condition; write is_true('field') or equal('field', 'CA')"),
        (equal("country"), "when: equal() lacks constant; it has value, constant"),
        (all_of(), "all_of() joins no conditions; give it one"),
        (all_of(is_true("gift"), "x"), "when= is 'x', no condition"),
        (equal(3, "CA"), "equal() takes a reference, not 3; write equal('field'…)"),
        (is_true(maybe("gift")), "and maybe() is none here; use fallback() or present()"),
        (present(fallback("note", const(1))), "present() takes a reference, not a Function"),
        (one_of("country"), "one_of() has no constants; write one_of('field', 'CA', 'US')"),
        (one_of("country", "CA", 3), "one_of() has constants of several types; give them one type"),
        (between("price", 5, 1), "between() has nothing between 5 and 1; swap them"),
        (above("tip", 0.5), "above() compares with 0.5, which is not exact; write Decimal('0.5')"),
        (equal("country", None), "equal() compares with None; write not_(present('field'))"),
        (equal("country", ["CA"]), "equal() compares with a list; give it a text, a number, True or False"),
        (above("price", "much"), "above() compares with 'much'; give it a number, or a date such as '2027-01-31'"),
        (equal("contry", "CA"), "when: 'contry' is no field of data; did you mean 'country'?"),
        (equal("saga.id", "x"), "'saga.id' is no value of data and of no reply; name one of those"),
        (equal("pay.id", "x"), "'pay.id' refers to no earlier step; move step pay up"),
        (
            equal("note", "x"),
            "'note' may be missing; write fallback('note', …), or all_of(present('note'), …) around it",
        ),
        (any_of(present("note"), equal("note", "x")), "'note' may be missing; write fallback('note', …)"),
        (
            equal("country", "shop"),
            "'shop' is a field of data, and equal() compares with a constant; write const('shop')",
        ),
        (equal("pin", "1234"), "pin is secret, and the journal shows what a condition saw; compare another field"),
        (present("pin"), "pin is secret, and the journal shows what a condition saw; compare another field"),
        (is_true("country"), "'country' is of type text, and is_true() takes a boolean; use equal()"),
        (above("country", 3), "'country' is of type text, which has no order; use equal() or one_of()"),
        (equal("address", "x"), "'address' is an object, which equal() does not take; name a field of one value"),
        (
            equal("price", "12.50"),
            "'price' is of type decimal, and equal() compares it with '12.50'; write Decimal('12.50')",
        ),
        (
            equal("price", "cheap"),
            "'price' is of type decimal, and equal() compares it with 'cheap'; write a number",
        ),
        (
            equal("gift", "true"),
            "compares 'gift' with a constant that is 'true', neither true nor false; mend",
        ),
        (
            equal("way", "cash"),
            "compares 'way' with a constant that is 'cash', none of card, invoice; mend",
        ),
        (
            equal("country", "CAN"),
            "compares 'country' with a constant that has 3 characters, not 2 to 2; mend",
        ),
        (above("pieces", 10), "compares 'pieces' with a constant that is 10, not from 1 to 9; mend the constant"),
        (above("pieces", 9), "pieces is above 9 never holds, so the step is never done; mend the condition"),
        (one_of("way", "card", "invoice"), "always holds, so the step is never skipped; drop when="),
        (above("day", 3), "compares 'day' with a constant that is 3, no date"),
        (equal(fallback("nothing", const(1)), 1), "when: 'nothing' is no field of data"),
    ],
)
def test_a_condition_that_cannot_be_meant_is_refused(when, says):
    found = problem(look("look", when), PAY)
    assert says in found
    assert found.startswith("order v1: step look: ")


def test_a_condition_that_is_nested_too_deep_is_refused():
    when = is_true("gift")
    for _ in range(30):
        when = not_(when)
    assert "when= is nested deeper than 20; make it flatter" in problem(look("look", when), PAY)


def test_a_step_that_was_made_by_hand_needs_a_state_of_its_own():
    step = Step(name="look", kind=Kind.READ, call=get("shop", "/"), done="SEEN", refused="NO", when=is_true("gift"))
    assert "it has when= and no doing=; use read()" in problem(step, PAY)


@pytest.mark.parametrize(
    "when",
    [
        above("price", "99.99"),
        all_of(present("note"), equal("note", "x")),
        any_of(not_(present("note")), equal("note", "x")),
        equal(fallback("note", const("none")), "none"),
        equal("shop", const("shop")),
        above("day", "2027-01-31"),
        equal("any", 3),
        present("where"),
        is_true("gift"),
        equal("lines.0.sku", "a"),
        not_(one_of("way", "card")),
    ],
    ids=str,
)
def test_a_legal_condition_is_accepted(when):
    assert order(look("look", when), PAY).conditional


GIFT, NO_GIFT = is_true("gift"), not_(is_true("gift"))
ID = get("shop", "/wrap", keeps={"id": text()})


def uses(value: Any, when: Any = None) -> Step:
    return pivot("pay", post("shop", "/pay", body={"id": value}), done="PAID", refused="DECLINED", when=when)


@pytest.mark.parametrize(
    ("step", "when"),
    [
        (uses("wrap.id"), ""),
        (uses("wrap.id", above("price", 5)), ""),
        (uses("wrap.id", NO_GIFT), ""),
        (look("next", call=get("shop", "/{wrap.id}")), ""),
        (look("next", equal("wrap.id", "x")), ""),
        (uses(fallback("note", "wrap.id")), ""),
        (uses([{"deep": "wrap.id"}]), ""),
        (uses(each_item("lines", {"sku": "item.sku", "wrap": "wrap.id"})), ""),
        (look("next", any_of(GIFT, equal("wrap.id", "x"))), ""),
        (pause("rest", until="wrap.day", done="RESTED", refused="STOPPED"), "day"),
    ],
)
@pytest.mark.parametrize("keeps", [True, False])
def test_a_reply_that_may_be_missing_is_refused(step, when, keeps):
    call = get("shop", "/wrap", keeps={"id": text(), "day": date()}) if keeps or when else get("shop", "/wrap")
    steps = [look("wrap", GIFT, call), step, *([] if step.name == "pay" else [PAY])]
    found = problem(*steps)
    name = when or "id"
    assert (
        f"'wrap.{name}' may be missing: step wrap is skipped unless gift is true; write fallback('wrap.{name}', …)"
        in found
    )


@pytest.mark.parametrize(
    "step",
    [
        uses(fallback("wrap.id", const("none"))),
        uses(maybe("wrap.id")),
        uses("wrap.id", GIFT),
        uses("wrap.id", all_of(above("price", 5), GIFT)),
        look("next", present("wrap.id")),
        look("next", all_of(present("wrap.id"), equal("wrap.id", "x"))),
        look("next", all_of(GIFT, equal("wrap.id", "x"))),
        look("next", any_of(NO_GIFT, equal("wrap.id", "x"))),
    ],
)
def test_a_reply_that_is_there_whenever_it_is_needed_is_accepted(step):
    steps = [look("wrap", GIFT, ID), step, *([] if step.name == "pay" else [PAY])]
    assert order(*steps).conditional


def test_the_undo_of_a_step_may_refer_to_its_own_reply_and_to_those_under_its_condition():
    wrap = compensatable(
        "wrap",
        post("shop", "/wrap", keeps={"id": text()}),
        undo=delete("shop", "/wrap/{wrap.id}"),
        repeatable=True,
        done="WRAPPED",
        refused="NO_WRAP",
        when=GIFT,
    )
    label = compensatable(
        "label",
        post("shop", "/label"),
        undo=delete("shop", "/label/{wrap.id}"),
        done="LABELLED",
        refused="NO_LABEL",
        when=GIFT,
    )
    assert order(wrap, label, PAY).conditional


def test_a_later_step_may_use_the_reply_of_whichever_step_of_a_choice_was_done():
    card = look("card", equal("way", "card"), ID)
    assert order(
        card, look("invoice", not_(equal("way", "card")), ID), uses(fallback("card.id", "invoice.id"))
    ).conditional
    other = look("invoice", all_of(equal("way", "invoice"), above("price", 5)), ID)
    assert "'invoice.id' may be missing: step invoice is skipped unless" in problem(
        card, other, uses(fallback("card.id", "invoice.id"))
    )


@pytest.mark.parametrize(
    ("one", "other", "notes"),
    [
        (equal("country", "CA"), not_(equal("country", "CA")), []),
        (equal("way", "card"), equal("way", "invoice"), []),
        (above("price", 100), not_(above("price", 100)), []),
        (above("price", 100), above("price", 50), ["both", "none"]),
        (equal("country", "CA"), equal("country", "US"), ["none"]),
        (not_(equal("country", "CA")), not_(equal("country", "US")), ["both"]),
        (is_true("gift"), above("price", 5), []),  # no choice: they compare different values
        (equal(fallback("note", const("a")), "a"), equal(fallback("note", const("a")), "b"), []),  # nothing is certain
    ],
)
def test_a_choice_that_overlaps_or_leaves_a_gap_is_noted(one, other, notes):
    found = list(choice_notes(order(look("one", one), look("other", other), PAY)))
    assert ["both" if "both" in note else "none" for note in found] == notes


def test_a_note_gives_an_example():
    (note,) = choice_notes(order(look("low", not_(above("pieces", 4))), look("high", above("pieces", 5)), PAY))
    assert note == "none of the steps low, high is done, for example when pieces is 5"


def test_a_condition_is_part_of_the_digest_and_its_change_is_told_as_the_table_writes_it():
    plain, gift, note = (
        order(look("wrap", when), PAY) for when in (None, GIFT, equal(fallback("note", const("")), "x"))
    )
    assert len({plain.digest, gift.digest, note.digest}) == 3
    assert 'when was is_true("gift") and is equal(fallback("note", const("")), "x")' in change(
        gift.content, note.content
    )


def test_a_retriable_may_have_a_condition_and_the_first_step_may_be_skipped():
    send = retriable("send", post("shop", "/send"), done="SENT", when=GIFT)
    table = order(look("wrap", GIFT), PAY, send)
    assert {each.dest for each in table.transitions if each.trigger == "skip"} == {"WRAP_DONE", "SENT"}


def test_a_call_after_the_end_cannot_need_the_reply_of_a_step_that_may_be_skipped():
    steps, call = (look("wrap", GIFT, ID), PAY), post("shop", "/parcels", wrap="wrap.id")
    columns = {"name": "order", "version": 1, "initial": "ASKED", "completed": "PAID", "compensated": "CALLED_OFF"}
    with pytest.raises(TableError, match=r"at_end= 'PAID': 'wrap.id' may be missing: step wrap is skipped unless"):
        Saga(**columns, data=DATA, participants=("shop",), steps=steps, at_end={"PAID": call})
