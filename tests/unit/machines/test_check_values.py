"""Every value of a table has its type and its bounds. A column without any effect is refused."""

import re
from collections.abc import Callable
from math import inf, nan
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from machines.call import Call, get, post
from machines.check import TableError
from machines.fields import Field, FieldKind, amount, anything, integer, list_of, object_of, text, uuid
from machines.retry import Retry
from machines.saga import Saga
from machines.step import compensatable, pivot, read, retriable
from tests.unit.machines.tables import DO, LOOK, UNDO, look, quick, saga, sell, tell

SECONDS = [0, -1, inf, -inf, nan, 1e12, True, "5", None]


@pytest.mark.parametrize("column", ["timeout_s", "dwell_s"])
@pytest.mark.parametrize("value", SECONDS)
def test_bad_timeout_is_refused(refusal, column, value):
    message = refusal(look(**{column: value}))
    assert message.startswith(f"sale v1: step look: {column}={value!r} is out of bounds; give a number above 0 to ")


@pytest.mark.parametrize("value", SECONDS)
def test_bad_deadline_is_refused(refusal, value):
    message = refusal(look(), deadline_s=value)
    assert message == f"sale v1: deadline_s={value!r} is out of bounds; give a number above 0 to 316224000"


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("attempts", 0), ("attempts", 2.0), ("attempts", 10**9), ("base_s", -1), ("base_s", nan), ("base_s", inf),
        ("factor", 0), ("factor", inf), ("factor", 1e6), ("cap_s", -1), ("cap_s", nan), ("cap_s", 1e12),
    ],
)  # fmt: skip
def test_bad_retry_is_refused(refusal, column, value):
    message = refusal(sell(retry=Retry(**{column: value})))
    assert message.startswith(f"sale v1: step sell: retry: {column}={value!r} is out of bounds; give a ")


@pytest.mark.parametrize(
    ("step", "kind"), [(sell(undo=UNDO), "pivot"), (tell(undo=UNDO), "retriable"), (look(undo=UNDO), "read")]
)
def test_an_undo_that_is_never_called_is_refused(refusal, step, kind):
    steps = (look(done="LOOKED"), step) if kind == "retriable" else (step,)
    message = refusal(*steps)
    assert message == (
        f"sale v1: step {step.name}: a {kind} is never undone, so undo= would be ignored; drop it, or make it a "
        "compensatable"
    )


def test_an_undoing_without_an_undo_and_the_probe_of_a_read_are_refused(refusal):
    assert "so undoing= would be ignored" in refusal(sell(undoing="UNDOING"))
    assert "its probe= would be ignored; drop it" in refusal(look(probe=get("shop", "/asked")))


def test_a_participant_that_no_step_calls_is_refused(refusal):
    message = refusal(look(), participants=("shop", "bank"))
    assert message == "sale v1: participant 'bank' is called by no step; take it out of participants="


def test_a_participant_that_is_registered_twice_is_refused(refusal):
    assert "'shop' is registered twice" in refusal(look(), participants=("shop", "shop"))


@pytest.mark.parametrize("name", ["a b", "\u00e9t\u00e9", "x/../y", "", "-a", "9a", "a" * 65, "a\n"])
def test_bad_participant_name_is_refused(refusal, name):
    message = refusal(look(call=get(name, "/")), participants=(name,))
    assert message == f"sale v1: participant {name!r} is not a name; use letters, digits, underscores and hyphens"


def test_a_hyphen_in_a_participant_s_name_is_an_underscore_in_its_setting(refusal):
    assert saga(look(call=get("pay-svc", "/")), participants=("pay-svc",))
    steps = (look(call=get("pay-svc", "/"), done="LOOKED"), sell(call=post("pay_svc", "/")))
    message = refusal(*steps, participants=("pay-svc", "pay_svc"))
    assert "'pay-svc' and 'pay_svc' would both be set by PARTICIPANT_PAY_SVC_URL; rename one" in message


@pytest.mark.parametrize(
    ("field", "message"),
    [
        (5, "field 'f': it is 5, no field; write text(), "),
        ({"c": text()}, "field 'f': it is a dict, no field; write text(), "),
        (list_of(5), "field 'f': list_of() takes the fields of an item, not 5; write list_of({'name': "),
        (list_of({}), "field 'f': list_of() takes the fields of an item, not a dict"),
        (list_of({"c": 5}), "field 'f': item 'c': it is 5, no field"),
        (list_of({"c": text()}, high=10**9), "field 'f': high=1000000000 is out of bounds"),
        (integer(5, 4), "field 'f': low=5 is above high=4, so that no value fits"),
        (integer(high=2**63), "field 'f': high=9223372036854775808 is out of bounds; give a whole number from "),
        (integer(0.5), "field 'f': low=0.5 is out of bounds; give a whole number"),
        (integer("1"), "field 'f': low='1' is out of bounds"),
        (integer(example=-1), "field 'f': example=-1 is not what the field allows; give an integer from 0 to "),
        (amount(nan), "field 'f': high=nan is no number; write high=1, or a text such as high='0.01'"),
        (amount(example=1.001), "field 'f': example=1.001 is not what the field allows"),
        (text(-1), "field 'f': low=-1 is out of bounds"),
        (text(high=10**7), "field 'f': high=10000000 is out of bounds"),
        (text(default=""), "field 'f': default='' is not what the field allows; give a text of 1 to 200 characters"),
        (text(default=5), "field 'f': default=5 is not what the field allows"),
        (uuid(default="x"), "field 'f': default='x' is not what the field allows; give a UUID"),
        (Field(kind="text", high=5), "field 'f': its kind 'text' is none; use text(), "),
        (Field(kind=FieldKind.TEXT, high=5, items={}), "field 'f': items= is for list_of() and object_of() alone"),
    ],
)
def test_bad_field_is_refused(refusal, field, message):
    assert refusal(look(), data={"client_id": integer(), "f": field}).startswith(f"sale v1: {message}")


@pytest.mark.parametrize("name", ["", "a.b", "{a}", "a b", "a/b", 5, None, "a" * 65, "a\x00"])
def test_field_name_that_no_reference_can_contain_is_refused(refusal, name):
    message = refusal(look(), data={"client_id": integer(), name: text()})
    assert message == f"sale v1: field {name!r}: it is not the name of a field; use letters, digits and underscores"


def test_lists_that_contain_themselves_are_refused(refusal):
    items = {"c": text()}
    items["more"] = list_of(items)
    assert "nested deeper than 5" in refusal(look(), data={"client_id": integer(), "f": list_of(items)})


@pytest.mark.parametrize(
    ("field", "why"), [(list_of({"c": text()}), "is a list"), (text(high=201), "may hold 201 characters")]
)
def test_client_column_must_be_a_single_short_value(refusal, field, why):
    assert f"client='f' {why}" in refusal(look(), data={"client_id": integer(), "f": field}, client="f")


def test_order_column_must_not_be_a_list(refusal):
    message = refusal(look(), data={"client_id": integer(), "f": list_of({"c": text()})}, order="f")
    assert message == "sale v1: order='f' is a list; name a field that holds one value"


@pytest.mark.parametrize("column", ["client", "store", "order"])
@pytest.mark.parametrize(
    ("field", "what"), [(object_of({"a": text()}), "is an object"), (anything(), "may be a list or an object")]
)
def test_what_a_saga_is_looked_for_by_is_one_value(refusal, column, field, what):
    message = refusal(look(), data={"client_id": integer(), "f": field}, **{column: "f"})
    assert message == f"sale v1: {column}='f' {what}; name a field that holds one value"


def test_examples_are_within_the_bounds_when_none_is_given():
    fields = (integer(10), integer(-5, -3), amount(3), text(9), text(0, 2))
    assert [field.example for field in fields] == [10, -3, 3, "texttextt", "te"]
    assert saga(look(), data={"client_id": integer()} | {f"f{n}": field for n, field in enumerate(fields)})


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (Call(method="purge", participant="shop", path="/"), "call: its method 'purge' is none of GET, POST, PUT, "),
        (Call(method="GET", participant="shop", path="/", body={"a": "client_id"}), "call: a GET is sent without its "),
        (post("shop", "/", body="client_id"), "call: its body is 'client_id', no dict; write post("),
        (post("shop", "/", body={"a": "client_id"}, b="client_id"), "call: its body is written as body= and as 'b'"),
        (post("shop", "/", n=5), "call: its body's 'n' is 5, no reference"),
        (post("shop", 5), "call: its path 5 is no text"),
        (get(None, "/"), "call: its participant None is no text"),
        ("GET /", "call is 'GET /', no call; write get('participant', '/path') or post("),
        (None, "call is None, no call"),
    ],
)
def test_a_call_that_cannot_be_made_is_refused(refusal, call, message):
    assert refusal(look(call=call)).startswith(f"sale v1: step look: {message}")


UNSTORABLE = ["a\0", "\0", "\ud800", "a\udfffb"]
NO_JSON = "which has a NUL or a lone surrogate that no JSON may have; take it out"


@pytest.mark.parametrize("text", UNSTORABLE)
def test_a_member_of_a_body_that_no_json_may_have_is_refused(refusal, text):
    message = refusal(sell(call=post("shop", "/do", **{text: "client_id"})))
    assert message == f"sale v1: step sell: call: its body names {text!r}, {NO_JSON}"


@pytest.mark.parametrize("text", UNSTORABLE)
def test_a_field_of_a_reply_that_no_json_may_have_is_refused(refusal, text):
    message = refusal(look(done="LOOKED"), sell(call=post("shop", "/do", price=f"look.{text}")))
    assert message == f"sale v1: step sell: call: its body's 'price' is {f'look.{text}'!r}, {NO_JSON}"
    assert refusal(look(), order=f"look.{text}") == f"sale v1: order= {f'look.{text}'!r}, {NO_JSON}"


@pytest.mark.parametrize("value", UNSTORABLE)
@pytest.mark.parametrize("column", ["default", "example"])
def test_a_default_or_an_example_that_no_json_may_have_is_refused(refusal, column, value):
    message = refusal(look(), data={"client_id": integer(), "f": text(**{column: value})})
    assert message == f"sale v1: field 'f': {column}= {value!r}, {NO_JSON}"


@pytest.mark.parametrize("name", ["prénom", "a b", "a.b", "\U0001f600"])
def test_any_other_name_of_a_member_is_legal(name):
    assert saga(sell(call=post("shop", "/do", **{name: "client_id"})))


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"participants": "shop"}, "participants= is 'shop', no tuple; write ('stock',)"),
        ({"participants": (5,)}, "participants= holds 5; write names in quotes"),
        ({"data": None}, "data= is None, no dict"),
        ({"data": [text()]}, "data= is a list, no dict"),
        ({"events": ("DONE",)}, "events= is a tuple, no dict"),
        ({"events": {"DONE": 5}}, "the event of 'DONE' 5 is no text"),
        ({"name": 5}, "name= 5 is no text"),
        ({"completed": None}, "completed= None is no text"),
        ({"order": 5}, "order= 5 is no text"),
        ({"version": "1"}, "version='1' is out of bounds"),
        ({"version": 2**31}, "version=2147483648 is out of bounds"),
    ],
)
def test_a_saga_s_column_of_the_wrong_type_is_refused(refusal, columns, message):
    assert refusal(look(), **columns).split(": ", 1)[1].startswith(message)


def test_steps_that_are_not_a_tuple_are_refused():
    usual = {"name": "s", "version": 1, "initial": "A", "completed": "DONE", "compensated": "C", "data": {}}
    for steps, message in ((look(), "steps= is a Step, no tuple"), (("look",), "steps= holds 'look'; write read(")):
        with pytest.raises(TableError, match=re.escape(message)):
            Saga(**usual, participants=("shop",), steps=steps)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(
        ["shop", "client_id", "DONE", "/x", "{client_id}", "hold.x", LOOK, DO, UNDO, Retry(), text(), 10**400]
    ),
    lambda inner: st.lists(inner, max_size=3) | st.lists(inner, max_size=3).map(tuple)
    | st.dictionaries(st.text(max_size=3) | st.integers(), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
FIELDS = st.one_of(
    st.builds(integer, ANYTHING, ANYTHING, example=ANYTHING), st.builds(amount, ANYTHING, example=ANYTHING),
    st.builds(text, ANYTHING, ANYTHING, default=ANYTHING, example=ANYTHING), st.builds(uuid, default=ANYTHING),
    st.builds(list_of, ANYTHING | st.dictionaries(st.just("f"), st.just(text())), ANYTHING, ANYTHING),
    st.builds(Field, kind=ANYTHING | st.sampled_from(FieldKind), low=ANYTHING, high=ANYTHING, items=ANYTHING), ANYTHING,
)  # fmt: skip
CALLS = st.one_of(
    st.builds(get, ANYTHING, ANYTHING), st.builds(lambda p, q, a: post(p, q, a=a), ANYTHING, ANYTHING, ANYTHING),
    st.builds(Call, method=ANYTHING, participant=ANYTHING, path=ANYTHING, body=ANYTHING), ANYTHING,
)  # fmt: skip
RETRIES = ANYTHING | st.builds(Retry, attempts=ANYTHING, base_s=ANYTHING, factor=ANYTHING, cap_s=ANYTHING)
COLUMNS = st.fixed_dictionaries(
    {},
    optional={
        "refused": ANYTHING, "doing": ANYTHING, "undo": CALLS, "undoing": ANYTHING, "probe": CALLS, "retry": RETRIES,
        "timeout_s": ANYTHING, "dwell_s": ANYTHING, "done": ANYTHING, "call": CALLS,
    },
)  # fmt: skip
SAGA = st.fixed_dictionaries(
    {},
    optional={
        "name": ANYTHING, "version": ANYTHING, "initial": ANYTHING, "completed": ANYTHING, "compensated": ANYTHING,
        "participants": ANYTHING, "client": ANYTHING, "store": ANYTHING, "order": ANYTHING, "events": ANYTHING,
        "started_by": ANYTHING, "deadline_s": ANYTHING, "data": ANYTHING,
    },
)  # fmt: skip


def complaint(make: Callable[[], Any]) -> str:
    """Return the error text of an illegal value, or "" when the value is legal."""
    try:
        make()
    except (TableError, TypeError) as error:
        return str(error)
    return ""


@quick
@given(kind=st.sampled_from([read, compensatable, pivot, retriable]), name=ANYTHING, step=COLUMNS, columns=SAGA)
def test_any_table_is_legal_or_refused_with_the_name_of_its_column(kind, name, step, columns):
    usual = {"call": LOOK, "done": "DONE"} | ({"undo": UNDO, "refused": "NO"} if kind is compensatable else {})
    usual |= {"refused": "NO"} if kind in (read, pivot) else {}
    message = complaint(lambda: saga(kind(name, **(usual | step)), **columns))
    assert not message or "; " in message or "argument" in message, f"no remedy and no argument is named: {message}"


@quick
@given(field=FIELDS)
def test_any_field_is_legal_or_refused_with_the_name_of_its_value(field):
    message = complaint(lambda: saga(look(), data={"client_id": integer(), "f": field}))
    assert not message or "field 'f': " in message
