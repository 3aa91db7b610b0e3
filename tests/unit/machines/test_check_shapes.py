"""The shape of calls and fields: each problem names the step, the column, the problem and the remedy."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from machines.call import Call, delete, get, patch, post, put
from machines.check import TableError
from machines.fields import (
    LARGEST_AMOUNT,
    Field,
    FieldKind,
    amount,
    anything,
    boolean,
    choice,
    date,
    datetime,
    decimal,
    integer,
    list_of,
    money,
    nullable,
    number,
    object_of,
    optional,
    secret,
    text,
    uuid,
)  # fmt: skip
from machines.keeps import Kept, at, header
from machines.outcomes import IN_DOUBT, NOT_SENT, REFUSED, REFUSED_UNDO, SUCCEEDED, Outcome
from machines.retry import NEVER, Retry
from machines.templates import (
    Function,
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
from tests.unit.machines.tables import DO, UNDO, hold, look, quick, saga, sell, tell


def give(value):
    return value


def tuple_of(value):
    return (value,)


def initials(name):
    return name[0]


async def fetched(name):
    return name


def letters(name):
    yield from name


def deep(levels):
    value = "client_id"
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("call", "problem"),
    [
        (post("shop", "/", body="client_id"), "its body is 'client_id', no dict; write post("),
        (post("shop", "/", form=["client_id"]), "its form is a list, no dict; write form={'field': 'reference'}"),
        (post("shop", "/", form=None), "its form is None, no dict"),
        (post("shop", "/", form="x"), "its form is 'x', no "),
        (post("shop", "/", body={}, form={}), "its body is written as body= and as form=; write one of body=, form= a"),
        (post("shop", "/", form={}, n="client_id"), "its body is written as form= and as 'n'; write one of body=, for"),
        (put("shop", "/", body=[], n="client_id"), "its body is written as body= and as 'n'; write one of"),
        (post("shop", "/", n=None), "its body's 'n' is None, no reference; write const(None) for a constant, n='field"),
        (post("shop", "/", n=True), "write const(True) for a constant"),
        (post("shop", "/", n=b"x"), "'n' is a bytes, no "),
        (post("shop", "/", body=[5]), "its body is 5, no reference; write const(5) for a constant"),
        (post("shop", "/", body=["client_id", None]), "its body is None, no reference; write const(None) for a"),
        (post("shop", "/", n=["client_id", None]), "its body's 'n' is None, no reference; write const(None)"),
        (post("shop", "/", n=upper(None)), "upper() is None, no reference"),
        (post("shop", "/", body={5: "client_id"}), "its body names 5; write a text"),
        (post("shop", "/", body=deep(30)), "is nested deeper than 20; make it flatter"),
        (post("shop", "/", query=["a"]), "query= is a list, no dict; write query={'name': 'field'}, or body={'query':"),
        (post("shop", "/", headers="client_id"), "headers= is 'client_id', no dict; write headers={'name': 'field'},"),
        (post("shop", "/", query={"a": 5}), "query= 'a''s 'a' is 5, no reference; write const(5) for a constant"),
        (post("shop", "/", query={5: "client_id"}), "query= names 5; write a text"),
        (post("shop", "/", headers={"a b": "client_id"}), "headers= names 'a b', which no header may be called"),
        (post("shop", "/", headers={"Host": "client_id"}), "the header Host is set by the service itself; take it out"),
        (post("shop", "/", headers={"SAGA-Id": "client_id"}), "is set by the service itself; take it out"),
        (post("shop", "/", headers={"idempotency-KEY": "saga.key"}), "is set by the service as Idempotency-Key"),
        (post("shop", "/", headers={"Idempotency-Key": "client_id"}), "does not follow from saga.key; write computed"),
        (post("shop", "/", n=const(object())), "const(a object) is no JSON; give a text, a number, a dict or a list"),
        (post("shop", "/", n=const(float("nan"))), "is no JSON"), (post("shop", "/", n=const({1: 2})), "is no JSON"),
        (post("shop", "/", n=const("a\0")), "is no JSON"), (post("shop", "/", n=const(Decimal(1))), "is no JSON"),
        (post("shop", "/", n=const(2**64)), "const(18446744073709551616) is no JSON"),
        (post("shop", "/", n=maybe(5)), "its body's 'n': maybe() takes a reference, not 5; write maybe('field'…)"),
        (post("shop", "/", n=fallback(const(1), "client_id")), "fallback() takes a reference, not a Function; write "),
        (post("shop", "/", n=total(["a"])), "total() takes a reference, not a list"),
        (post("shop", "/", n=each_item(cents("client_id"), "item")), "each_item() takes a reference, not a Function"),
        (post("shop", "/", n=cents(5)), "its body's 'n': cents() is 5, no reference; write const(5) for a constant"),
        (post("shop", "/", n=upper(object())), "upper() is a object, no reference; write name='field'"),
        (post("shop", "/", n=Function("cents", ())), "cents() takes 1 argument"),
        (post("shop", "/", n=Function("x", ())), "none"),
        (post("shop", "/", n=Function("fallback", ("a",))), "fallback() takes 2 arguments"),
        (post("shop", "/", n=computed(lambda: 1)), "computed() takes a function with a name, defined in a module; giv"),
        (post("shop", "/", n=computed(initials)), "computed() gives 0 values to initials(name): missing a required ar"),
        (post("shop", "/", n=computed(initials, "client_id", "client_id")), "computed() gives 2 values to initials("),
        (post("shop", "/", n=computed(fetched, "client_id")), "fetched() and sends what it returns; write it without"),
        (post("shop", "/", n=computed(letters, "client_id")), "letters() and sends what it returns; write it without"),
        (post("shop", "/", headers={"X-A": const("a\r\nB: c")}), "the header X-A has 'a\\r\\nB: c', and a header"),
        (post("shop", "/", headers={"X-A": join("", const("é"), "client_id")}), "the header X-A has 'é', and a header"),
        (post("shop", "/", keeps={"a": at("id", text(), otherwise=5)}), "otherwise= is 5; write a path in the bod"),
        (post("shop", "/", keeps={"a": header("ETag", otherwise="a..b")}), "otherwise= is 'a..b'; write a path in the"),
        (post("shop", "/", means=[409]), "means= is a list, no dict; write means={409: IN_DOUBT}"),
        (post("shop", "/", means={99: REFUSED}), "means= names the status 99; give one from 200 to 599"),
        (post("shop", "/", means={True: REFUSED}), "means= names True; give a status, or the path of a field"),
        (post("shop", "/", means={409: "maybe"}), "means= 409 is 'maybe', no outcome; use SUCCEEDED, REFUSED, REFUSED"),
        (post("shop", "/", means={"status": REFUSED}), "means= 'status' is "),
        (post("shop", "/", means={"": {}}), "names ''"),
        (post("shop", "/", means={"status": {}}), "write {'status': {'declined': REFUSED}}"),
        (post("shop", "/", means={"s": {1.5: REFUSED}}), "names the value 1.5; give a text, a number, true, false or"),
        (post("shop", "/", means={"s": {"a": None}}), "means= 's' 'a' is None, no outcome; use"),
        (post("shop", "/", keeps=["id"]), "keeps= is a list, no dict; write keeps={'booking.id': text()}"),
        (post("shop", "/", keeps={"a..b": text()}), "keeps= names 'a..b'; write names with dots between them"),
        (post("shop", "/", keeps={5: text()}), "keeps= names 5; write names with dots between them"),
        (post("shop", "/", keeps={"a": text(), "a.b": text()}), "keeps= has 'a' and, within it, 'a.b'; keep one of th"),
        (post("shop", "/", keeps={"a": "text"}), "keeps= 'a': it is 'text', no field; write text(), "),
        (post("shop", "/", keeps={"a": at(5, text())}), "it comes from 5; write a path such as 'booking.id', or the n"),
        (post("shop", "/", keeps={"a": at("", text())}), "it comes from ''; write a path"),
        (post("shop", "/", keeps={"a": header("a b")}), "'a b' is no name of a header"),
        (post("shop", "/", keeps={"a": header("Age", integer())}), "a header is a text, no integer; use text(), decim"),
        (post("shop", "/", keeps={"a": at("b", 5)}), "keeps= 'a': it is 5, no field"),
        (post("shop", "/", keeps={"a": list_of({})}), "list_of() takes the fields of an item"),
        (post("shop", "/", retry=3), "retry= is 3; write Retry(attempts=3), or {IN_DOUBT: Retry(attempts=3)}"),
        (post("shop", "/", retry={REFUSED: NEVER}), "retry= names 'refused'; only IN_DOUBT and NOT_SENT are sent agai"),
        (post("shop", "/", retry={IN_DOUBT: 3}), "is 3; write Retry(attempts=3)"),
        (post("shop", "/", retry=Retry(attempts=0)), "retry: attempts=0 is out of bounds; give a whole number from 1"),
        (post("shop", "/", retry={NOT_SENT: Retry(cap_s=-1)}), "retry: cap_s=-1 is out of bounds"),
        (Call(method="GET", participant="shop", path="/", body={"a": "client_id"}), "a GET is sent without its body;"),
    ],
)  # fmt: skip
def test_a_call_of_the_wrong_shape_is_refused(refusal, call, problem):
    message = refusal(sell(call=call))
    assert message.startswith("sale v1: step sell: call: ")
    assert problem in message


@pytest.mark.parametrize(
    "call",
    [
        post("shop", "/", body=None), post("shop", "/", body=["client_id"]), post("shop", "/", body=each_item("tags",
        "item")),
        put("shop", "/", form={"a": "client_id", "b": ["client_id", const("x")]}), patch("shop", "/",
        n=const(2**64 - 1)),
        delete("shop", "/{client_id}"), delete("shop", "/", why="client_id"), post("shop", "/", query="client_id",
        body={}),
        post("shop", "/", means={409: "in_doubt", 404: SUCCEEDED, "a.b": {None: REFUSED, True: IN_DOUBT, 5: NOT_SENT}}),
        post("shop", "/", retry={"in_doubt": NEVER, NOT_SENT: Retry()}), get("shop", "/", headers={"X-A": "client_id"}),
        post("shop", "/", keeps={"a.b": text(), "a.c": at("x.0", money()), "d": header("ETag", choice("A"))}),
        post("shop", "/", body={"": const(None), "a.b": const([{"c": 1.5}])}), post("shop", "/", body=deep(18)),
    ],
)  # fmt: skip
def test_any_other_call_is_legal(call):
    if call.query == "client_id":
        return
    step = sell(call=call) if call.method != "GET" else look(call=call)
    assert saga(step, data={"client_id": integer(low=1), "tags": list_of(text())})


@pytest.mark.parametrize(
    ("step", "problem"),
    [
        (hold(undo=post("shop", "/", keeps={"a": text()})), "nothing refers to the reply of an undo, so its keeps= wo"),
        (sell(probe=get("shop", "/", retry=NEVER)), "a probe is asked before each attempt of its call, so its retry="),
        (hold(undo=post("shop", "/", means={409: REFUSED_UNDO})), "the means= of its undo has REFUSED_UNDO, which is"),
        (sell(probe=get("shop", "/", means={"a": {"b": REFUSED_UNDO}})), "the means= of its probe has REFUSED_UNDO"),
        (sell(call=post("shop", "/", means={"a": {"b": REFUSED_UNDO}})), "REFUSED_UNDO means that the step is undone,"),
        (sell(repeatable=True), "repeatable= serves an undo that refers to its own step's reply and has no probe=; dr"),
        (hold(repeatable=True), "repeatable= serves an undo that refers to its own step's reply"),
        (sell(call=post("shop", "/", keeps={"a": text()}), probe=get("shop", "/", keeps={"b": text()})),
         "its probe does not keep a, as its call does; add it to the probe's keeps="),
        (hold(undo=get("shop", "/")), "only reads, so it would undo nothing; write post()"),
        (look(call=delete("shop", "/")), "it is a read, but its call DELETE shop/ changes something; use get() or pos"),
        (look(call=put("shop", "/")), "it is a read, but its call"), (sell(probe=post("shop", "/")), "ask with get()"),
    ],
)  # fmt: skip
def test_a_column_that_would_be_ignored_is_refused(refusal, step, problem):
    message = refusal(step)
    assert message.startswith(f"sale v1: step {step.name}: ")
    assert problem in message


@pytest.mark.parametrize(
    ("field", "problem"),
    [
        (decimal(-1), "places=-1 is out of bounds; give a whole number from 0 to 30"),
        (decimal(31), "places=31 is out of"),
        (decimal(2.0), "places=2.0 is out of bounds"), (decimal("2"), "places='2' is out of bounds"),
        (decimal(2, 5, 4), "low=5 is above high=4, so that no value fits; correct one of them"),
        (decimal(2, 0.5), "low=0.5 is a float, and a float is not exact; "), (money(-1), "low=0 is above high=-1"),
        (money(example="1.001"), "example='1.001' is not what the field allows; give a legal decimal"),
        (money(example=5.555), "example=5.555 is not what the field allows"),
        (choice(), "choice() takes from 1 to 1000 "),
        (choice(""), "choice() takes from 1 to 1000 texts; write choice('SMALL', 'LARGE')"),
        (choice(5), "choice() takes"),
        (choice("A", "A"), "one of its texts is listed twice; take one out"),
        (choice("a\0"), "a NUL or a lone surrogate"),
        (choice("A", default="B"), "default='B' is not what the field allows; give one of A"),
        (date(example="x"), "example='x' is not what the field allows; give a legal date"),
        (datetime(example="2027-01-31"), "is not what the field allows; give a legal datetime"),
        (boolean(default="yes"), "default='yes' is not what the field allows; give a legal boolean"),
        (number(example="x"), "is not what the field allows; give a legal number"),
        (object_of({}), "object_of() takes the fields of an item, not a dict; write object_of({'name': text()})"),
        (object_of(5), "object_of() takes the fields of an item, not 5"),
        (list_of("x"), "list_of() takes the fields of "),
        (object_of({"a b": text()}), "item 'a b': it is not the name of a field; use letters, digits and underscores"),
        (object_of({"a": object_of({"b": 5})}), "item 'a': item 'b': it is 5, no field"),
        (list_of(list_of(5)), "list_of() takes the fields of an item, not 5"),
        (list_of(text(-1)), "item: low=-1 is out of"),
        (list_of(text(), low=-1), "low=-1 is out of bounds"),
        (list_of(text(), high=10**9), "high=1000000000 is out of "),
        (optional(text(default="a")), "it is optional and has default='a', so that it is never missing; drop one of t"),
        (Field(kind=FieldKind.DATE, optional=5), "optional= is 5; write optional(text())"),
        (Field(kind=FieldKind.DATE, secret=None), "secret= is None; write secret(text())"),
        (Field(kind=FieldKind.DATE, nullable="x"), "nullable= is 'x'; write nullable(text())"),
        (Field(kind=FieldKind.DATE, items={"a": text()}), "items= is for list_of() and object_of() alone, and date wo"),
        (Field(kind=FieldKind.LIST, item=text(), high=5, default="x"), "a list has no default= and no example=; give"),
        (Field(kind=FieldKind.OBJECT, items={"a": text()}, example=5), "an object has no default= and no example="),
    ],
)  # fmt: skip
def test_a_field_of_the_wrong_shape_is_refused(refusal, field, problem):
    message = refusal(look(), data={"client_id": integer(), "f": field})
    assert message.startswith("sale v1: field 'f': ")
    assert problem in message


FIELDS = [
    integer(-5, -1), amount(), text(0), uuid(), list_of({"a": list_of(money())}), boolean(default=False), number(),
    decimal(0), decimal(30, -1, 1), money(0), date(), datetime(), choice("a b", "é"), object_of({"a": anything()}),
    optional(nullable(secret(object_of({"a": text()})))), nullable(choice("A", default="A")), list_of(anything(),
    low=0),
    money(LARGEST_AMOUNT),
]  # fmt: skip


@pytest.mark.parametrize("field", FIELDS)
def test_any_other_field_is_legal(field):
    assert saga(look(), data={"client_id": integer(), "f": field})
    assert saga(sell(call=post("shop", "/", keeps={"f": field})))


FUNCTIONS = [const, maybe, cents, number_of, text_of, total, upper, lower]
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4) | st.sampled_from([
        "client_id", "hold.x", "item", "item.a", "saga.id", "lines.a", "a.b.c", DO, UNDO, Retry(), NEVER, text(), give,
        money(), header("X"), at("a", text()), *Outcome, 10**400, Decimal("NaN"), b"x", object(), 409, FIELDS[-4],
    ]),
    lambda inner: st.lists(inner, max_size=3) | st.lists(inner, max_size=2).map(tuple)
    | st.dictionaries(st.text(max_size=3) | st.integers() | st.sampled_from(["a.b", "Host", 409]), inner, max_size=3)
    | st.builds(lambda f, value: f(value), st.sampled_from(FUNCTIONS), inner)
    | st.builds(fallback, inner, inner) | st.builds(each_item, inner, inner) | st.builds(join, inner, inner)
    | st.builds(lambda value: computed(give, value), inner)
    | st.builds(Function, st.sampled_from(["cents", "const", "x", "join"]) | inner,
    st.just(()) | inner.map(tuple_of) | inner),
    max_leaves=6,
)  # fmt: skip
KEPT = st.builds(Kept, field=JUNK, source=JUNK, header=JUNK, last_segment=JUNK)
CALLS = st.builds(
    Call, method=st.sampled_from(["GET", "POST", "DELETE", 5]), participant=st.just("shop") | JUNK,
    path=st.just("/") | JUNK,
    body=JUNK, query=JUNK, headers=JUNK, form=JUNK, means=JUNK, retry=JUNK,
    keeps=JUNK | st.dictionaries(st.sampled_from(["a", "a.b", "c"]), KEPT | JUNK, max_size=3),
)  # fmt: skip
ANY_FIELDS = st.builds(
    Field, kind=st.sampled_from(FieldKind) | JUNK, low=JUNK, high=JUNK, default=JUNK, items=JUNK, item=JUNK,
    places=JUNK,
    choices=JUNK, optional=JUNK, nullable=JUNK, secret=JUNK, example=JUNK,
)  # fmt: skip


def complaint(make):
    """Return the text of the TableError; any other error fails the test."""
    try:
        make()
    except TableError as error:
        return str(error)
    return ""


LINES = {"client_id": integer(low=1), "lines": list_of({"a": money()}), "may": optional(text())}


@quick
@given(call=CALLS, undo=CALLS, probe=CALLS, repeatable=JUNK)
def test_any_call_is_legal_or_refused_with_a_remedy(call, undo, probe, repeatable):
    for step in (
        lambda: hold(call=call), lambda: hold(undo=undo, repeatable=repeatable), lambda: sell(probe=probe),
        lambda: tell(call=call, probe=probe), lambda: look(call=call),
    ):  # fmt: skip
        message = complaint(lambda make=step: saga(make(), data=LINES))
        assert not message or message.startswith("sale v1: ")
        assert not message or "; " in message


@quick
@given(field=ANY_FIELDS)
def test_any_field_of_data_or_of_a_reply_is_legal_or_refused(field):
    for make in (
        lambda: saga(look(), data=LINES | {"f": field}),
        lambda: saga(look(), data=LINES | {"f": object_of({"g": field})}),
        lambda: saga(sell(call=post("shop", "/", keeps={"f": field}))),
        lambda: saga(look(), data=LINES | {"f": list_of(field)}, client="f"),
        lambda: saga(look(), data=LINES | {"f": field}, client="f", order="f.g"),
    ):
        message = complaint(make)
        assert not message or "; " in message
