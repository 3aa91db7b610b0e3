"""The references of a call: each problem names the table, the step, the reference and the remedy."""

import pytest

from machines.call import get, post
from machines.fields import (
    anything,
    boolean,
    date,
    decimal,
    integer,
    list_of,
    money,
    nullable,
    object_of,
    optional,
    text,
)  # fmt: skip
from machines.keeps import at, header
from machines.templates import (
    cents,
    computed,
    const,
    each_item,
    fallback,
    join,
    lower,
    maybe,
    number_of,
    text_of,
    total,
    upper,
)  # fmt: skip
from tests.unit.machines.tables import UNDO, hold, saga, sell

DATA = {
    "client_id": integer(low=1), "name": text(), "empty": text(0), "day": date(), "price": money(), "yes": boolean(),
    "trip": object_of({"city": text(), "note": optional(text()), "stops": list_of(text(), low=2)}),
    "lines": list_of({"sku": text(), "amount": money(), "tip": optional(money()), "off": nullable(money())}),
    "tags": list_of(text(), low=0), "maybe": optional(text()), "null": nullable(text()), "any": anything(),
    "many": optional(list_of({"n": integer()})), "none": nullable(list_of(integer())),
    "may_trip": optional(object_of({"city": text()})), "null_trip": nullable(object_of({"city": text()})),
}  # fmt: skip
KEPT = {
    "id": text(), "price.amount": decimal(3), "legs": list_of({"seat": text()}), "url": header("Location"),
    "tip": at("t", optional(money())), "extra": anything(), "opt.a": optional(text()), "opt.b": optional(text()),
    "def": text(default="x"),
}  # fmt: skip
FIRST = hold("fly", call=post("shop", "/fly", keeps=KEPT), done="FLOWN")


def of_call(refusal, call):
    """Return the problem of a call that stands after the step fly."""
    message = refusal(FIRST, sell(call=call), data=DATA)
    assert message.startswith("sale v1: step sell: ")
    return message.removeprefix("sale v1: step sell: ")


def give(value):
    return value


LEGAL = [
    "name", "trip.city", "trip.stops.1", "lines.0.sku", "any.what.ever.0", "fly.id", "fly.price.amount", "fly.price",
    "fly.legs.0.seat", "fly.url", "fly.extra.a.b", "fly.def", "saga.id", "saga.key", "null", "lines.0.off",
    fallback("may_trip.city", const("-")), maybe("trip.note"), maybe("many.0.n"), maybe("tags.0"), maybe("fly.tip"),
    maybe("fly.opt.a"), upper("trip.city"), cents(total("lines.amount")), number_of("fly.price.amount"),
    each_item("lines", {"s": "item.sku", "t": maybe("item.tip"), "n": "name"}), each_item("trip.stops", "item"),
    each_item("fly.legs", "item.seat"), join("-", "name", "client_id", "yes", "day"), computed(give, "lines"),
    text_of("yes"), cents("any"), [["name"], {"a": {"b": const(None)}}], lower(fallback("null", const("X"))),
]  # fmt: skip


@pytest.mark.parametrize("value", LEGAL)
def test_a_value_that_is_known_by_then_is_legal(value):
    assert saga(FIRST, sell(call=post("shop", "/", body={"v": value})), data=DATA)


ILLEGAL = [
    ("nmae", "'nmae' is no field of data; did you mean 'name'? or add it to data=, or write step.field "),
    ("EUR", "'EUR' is no field of data; add it to data=, or write step.field for a field of an earlier reply, or"),
    ("tripp.city", "begins with 'tripp', which is no earlier step and no field of data; did you mean 'trip'? or add "),
    ("https://shop.example/hook", "add the field to data=, or const('https://shop.example/hook') for a constant text"),
    ("trip.citty", "'trip.citty' names no field; did you mean 'city'? or add the field"),
    (
        "trip.stops.first",
        "'trip.stops.first' names 'first' of a list; write the number of an item, such as 0, or '*' for all of them",
    ),
    (f"lines.{'9' * 5000}", "of a list; write the number of an item, such as 0, or '*' for all of them"),
    ("name.first", "'name.first' names 'first' of a value of type text, which has no fields; name the"),
    ("trip.city.x", "'x' of a value of type text, which has no fields; name the value itself"),
    ("fyl.id", "'fyl.id' begins with 'fyl', which is no earlier step and no field of data; did you mean 'fly'? or "),
    ("sell.id", "'sell.id' refers to no earlier step; refer to data or to a step above, for that reply may be lost"),
    ("fly.idd", "'fly.idd' is not kept of the reply to fly; did you mean 'id'? or add 'idd' to its keeps="),
    ("fly.id.deep", "'fly.id.deep' names 'deep' of a value of type text, which has no fields"),
    ("fly.", "'fly.' names no field; write step.field"), (".id", "'.id' names no field"), ("a..b", "names no field"),
    ("saga.state", "'saga.state' is unknown; saga.id and saga.key are known"),
    ("item.sku", "'item.sku' is known within each() and each_item() alone; write 'lines.0.sku' for one item"),
    ("maybe", "'maybe' may be missing; write maybe('maybe') to leave it out, or fallback('maybe', …)"),
    ("trip.note", "'trip.note' may be missing; "), ("may_trip.city", "may be missing; "),
    ("fly.tip", "may be missing; "),
    ("null_trip.city", "may be missing; "), ("tags.0", "'tags.0' may be missing; "), ("fly.opt", "may be missing; "),
    ("trip.stops.2", "'trip.stops.2' may be missing; "), ("lines.0.tip", "may be missing; "),
    (cents("name.x"), "'name.x' names 'x' of a value of type text"),
    (cents("yes"), "cents(yes): yes is of type boolean, which cents() "),
    (number_of("lines"), "number_of(lines): lines is a list, which number_of() does not take"),
    (upper("client_id"), "upper(client_id): client_id is of type integer, which upper() does not take"),
    (text_of("trip"), "text_of(trip): trip is an object, which text_of() does not take"),
    (join("-", "tags"), "join('-', tags): tags is a list, which join() does not take"),
    (upper("null"), "upper(null): null may be null; write fallback('null', …)"), (upper("maybe"), "may be missing; "),
    (upper(cents("price")), "cents(price) is of type integer, which upper() does not take"),
    (computed(give, "gone"), "'gone' is no field of data"), (fallback("gone", const(1)), "'gone' is no field of data"),
    (fallback("maybe", "gone"), "'gone' is no field of data"), (maybe("gone"), "'gone' is no field of data"),
    (total("amount"), "total('amount') names no field of a list; write total('lines.amount')"),
    (total("trip.city"), "'trip' is an object, and total() takes a list; name a list"),
    (total("lines.sku"), "'lines.sku' is of type text, and total() adds numbers; name a number"),
    (total("lines.gone"), "'lines.gone' names no field; add the field"),
    (total("lines.tip"), "'lines.tip' may be missing, and total() adds each; take optional() away"),
    (total("lines.off"), "'lines.off' may be null, and total() adds each; take nullable() away"),
    (total("many.n"), "'many' may be missing, and total() takes a list; take optional() away, and send "),
    (each_item("name", "item"), "'name' is of type text, and each_item() takes a list; name a list"),
    (each_item("none", "item"), "'none' may be null, and each_item() takes a list; take nullable() away, and send "),
    (each_item("lines", "item.gone"), "'item.gone' names no field; add the field"),
    (each_item("lines", {"a": ["item.tip"]}), "'item.tip' may be missing; write maybe('item.tip')"),
    (each_item("lines", upper("item.amount")), "item.amount is of type decimal, which upper() does not take"),
    ([{"a": ["gone"]}], "'gone' is no field of data"),
]  # fmt: skip


@pytest.mark.parametrize(("value", "problem"), ILLEGAL)
def test_a_value_that_may_not_be_known_is_refused(refusal, value, problem):
    message = of_call(refusal, post("shop", "/", body={"v": value}))
    assert problem in message
    assert "; " in message


@pytest.mark.parametrize(("value", "problem"), ILLEGAL)
def test_it_is_refused_in_a_query_and_in_a_header_too(refusal, value, problem):
    assert of_call(refusal, post("shop", "/", query={"v": value}))
    assert of_call(refusal, post("shop", "/", headers={"v": value}))


@pytest.mark.parametrize(
    ("reference", "problem"),
    [
        ("lines", "'lines' is a list, which is no part of a path; name a field of one value, or use a body"),
        ("any", "'any' may be a list or an object, which is no part of a path; give it a type such as text()"),
        ("empty", "'empty' may be empty, which is no part of a path; give the field low=1"),
        ("null", "'null' may be null, which is no part of a path; take nullable() away, or use a body"),
        ("maybe", "'maybe' may be missing, which is no part of a path; take optional() away, or use a body"),
        ("trip", "'trip' is an object, which is no part of a path"), ("gone", "'gone' is no field of data"),
        ("fly.legs", "'fly.legs' is a list"), ("fly.price", "'fly.price' is an object"), ("fly.tip", "may be missing"),
    ],
)  # fmt: skip
def test_a_path_takes_one_value_that_is_never_empty(refusal, reference, problem):
    assert problem in of_call(refusal, get("shop", f"/x/{{{reference}}}"))


PLACES = [("query", "a query"), ("headers", "a header"), ("form", "a form")]


@pytest.mark.parametrize(("column", "where"), PLACES)
@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("trip", "trip is or holds an object, which is no part of {}; name one value"),
        ("lines", "lines is or holds a"), ({"a": "name"}, "{{a: name}} is no part of {}; name one value"),
        ("any", "any may be a list or an object, which is no part of {}; give it a type such as text()"),
        ("null", "null may be null, which is no part of {}; write maybe('null')"),
    (const(None), "const(None) is no part"),
        (const({}), "is or holds an object"), (each_item("lines", {"a": "item.sku"}), "is or holds a"),
        (maybe("many"), "is or holds a"),
    ],
)  # fmt: skip
def test_a_query_a_header_and_a_form_take_texts(refusal, column, where, value, problem):
    assert problem.format(where) in of_call(refusal, post("shop", "/", **{column: {"v": value}}))


@pytest.mark.parametrize("column", ["query", "form"])
def test_a_query_and_a_form_send_a_list_item_by_item(column):
    for value in ("tags", ["name", "day"], each_item("lines", "item.sku"), maybe("null"), fallback("null", const("-"))):
        assert saga(FIRST, sell(call=post("shop", "/", **{column: {"v": value}})), data=DATA)


@pytest.mark.parametrize("value", ["tags", ["name"], each_item("lines", "item.sku")])
def test_a_header_takes_no_list(refusal, value):
    assert "is no part of a header" in of_call(refusal, post("shop", "/", headers={"V": value}))


def test_the_own_reply_of_an_undo_needs_a_recovery(refusal):
    undo = post("shop", "/undo", id="hold.id")
    message = refusal(hold(undo=undo))
    assert (
        "'hold.id' refers to the step's own reply, which may be lost; say how it is recovered: repeatable=True"
        in message
    )
    assert saga(hold(undo=undo, repeatable=True))
    assert saga(hold(undo=undo, probe=get("shop", "/asked")))


def test_a_reply_that_comes_later_is_unknown_to_an_undo(refusal):
    message = refusal(hold("a", undo=post("shop", "/", id="b.id"), done="A"), hold("b"))
    assert "'b.id' refers to no earlier step" in message


def test_within_each_item_there_is_one_item(refusal):
    body = {"lines": each_item("lines", "item.sku")}
    message = refusal(sell(call=post("shop", "/", body=body)), data=DATA | {"item": text()})
    assert "each_item() calls an item 'item', as a step or a field of data is; rename that one" in message
    message = refusal(hold("item", done="HELD"), sell(call=post("shop", "/", body=body)), data=DATA)
    assert "rename that one" in message
    assert saga(sell(call=post("shop", "/", i="item")), data=DATA | {"item": text()})


@pytest.mark.parametrize("field", [object_of({"a": text()}), list_of(text()), anything()])
def test_a_step_is_not_called_as_a_field_of_data_with_fields_of_its_own(refusal, field):
    message = refusal(hold(undo=UNDO), data={"client_id": integer(low=1), "hold": field})
    assert "'hold' is also a field of data with fields of its own; rename one of them" in message


def test_what_a_later_call_needs_is_known_of_each_reply():
    definition = saga(
        FIRST, sell(call=post("shop", "/{fly.id}", body={"p": "fly.price.amount", "t": maybe("fly.tip")})), data=DATA
    )  # fmt: skip
    assert definition.needed_fields["fly"] == {"id", "price.amount"}
    assert definition.path_fields["fly"] == {"id"}


def test_cents_of_a_value_with_more_than_two_decimals_is_refused(refusal):
    data = {"fine": decimal(3), "client_id": integer()}
    problem = refusal(hold(), sell(call=post("shop", "/do", amount=cents("fine"))), data=data)
    assert "fine may have 3 decimals, and cents() takes two" in problem


@pytest.mark.parametrize(
    ("kept", "problem"),
    [
        (integer(), "upper(hold.id): hold.id is of type integer, which upper() does not take; name a text"),
        (optional(text()), "'hold.id' may be missing; write maybe('hold.id') to leave it out"),
    ],
)
def test_a_reference_fits_the_reply_of_a_probe_too(refusal, kept, problem):
    def held(probed):
        call, probe = post("shop", "/", keeps={"id": text()}), get("shop", "/asked", keeps={"id": probed})
        return hold(call=call, probe=probe, done="HELD")

    later = sell(call=post("shop", "/", body={"n": upper("hold.id")}))
    assert f"step sell: with the reply of a probe, {problem}" in refusal(held(kept), later)
    assert saga(held(at("0.id", text())), later)


def test_a_field_that_at_holds_may_be_optional(refusal):
    first = hold("fly", call=post("shop", "/fly", keeps={"id": optional(at("a.id", text()))}), done="FLOWN")
    message = refusal(first, sell(call=post("shop", "/", n="fly.id")))
    assert "'fly.id' may be missing; write maybe('fly.id') to leave it out" in message
