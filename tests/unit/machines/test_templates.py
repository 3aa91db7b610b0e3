"""Values in calls: the exact text that each function sends, and the values that are never sent."""

from decimal import Decimal
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.values import written
from machines.call import delete, get, post
from machines.references import MASKED, FillError, roots_of
from machines.templates import (
    LEFT_OUT,
    cents,
    computed,
    const,
    described,
    each_item,
    fallback,
    fill,
    join,
    lower,
    maybe,
    number_of,
    references,
    text_of,
    total,
    upper,
)  # fmt: skip
from tests.unit.machines.tables import quick

DIGITS_40 = "1234567890123456789012345678901234567890"


def filled(value, **data):
    return fill(value, data, {"step": {"id": "s1", "lines": [{"n": 1}]}}, roots_of("S1", "pay", "do"))


def sent(value, **data) -> str:
    """Return the JSON that is sent for a value."""
    return written(filled(value, **data)).decode()


def error(value, **data) -> str:
    with pytest.raises(FillError) as refused:
        filled(value, **data)
    return str(refused.value)


def double(value):
    return value * 2


def give(value, *_):
    return value


@pytest.mark.parametrize("value", [None, True, 0, -1.5, "", "ref", [1, {"a": None}], {"a": {"b": []}}])
def test_a_constant_is_sent_as_it_is(value):
    assert filled(const(value), ref=1) == value


@pytest.mark.parametrize(
    ("amount", "sent_as"),
    [
        ("12.30", "1230"), ("0.01", "1"), (0.29, "29"), (12, "1200"), (0.1 + 0.2, None), (0.295, None), ("0.295", None),
        (Decimal("0.29"), "29"), ("-3.5", "-350"), (1e15, "100000000000000000"), (f"{DIGITS_40}.05", f"{DIGITS_40}05"),
        (Decimal(DIGITS_40), f"{DIGITS_40}00"), ("5.000", "500"), (f"0.{'0' * 30}1", None),
    ],
)  # fmt: skip
def test_cents_are_exact_or_refused(amount, sent_as):
    if sent_as is None:
        assert error(cents("a"), a=amount) == "cents(a): it has more than two decimals"
    else:
        assert sent(cents("a"), a=amount) == sent_as


@pytest.mark.parametrize(
    "value", ["x", "", "1_0", " 1", "1e5", "NaN", "Infinity", "٣", True, None, [], {}, float("inf"), "1.2.3", "--1"]
)
def test_what_is_no_number_is_refused(value):
    for function in (cents, number_of):
        assert error(function("a"), a=value).startswith(f"{function.__name__}(a): ")


@pytest.mark.parametrize("text", ["9" * 10_000, "1" * 1_001, "1e999999999"])
def test_a_number_of_too_many_digits_is_refused_at_once(text):
    assert error(number_of("a"), a=text) == "number_of(a): the value is no number"


@pytest.mark.parametrize(
    ("text", "sent_as"),
    [
        ("12.30", "12.3"), ("5", "5"), ("5.00", "5"), ("0.10", "0.1"), ("-0.5", "-0.5"), (DIGITS_40, DIGITS_40),
        (f"0.{DIGITS_40}", f"0.{DIGITS_40.rstrip('0')}"), ("0.000", "0"), ("100", "100"), (12.5, "12.5"), (7, "7"),
        (f"-{DIGITS_40}", f"-{DIGITS_40}"), ("18446744073709551616", "18446744073709551616"),
    ],
)  # fmt: skip
def test_a_decimal_is_sent_as_an_exact_number(text, sent_as):
    assert sent(number_of("a"), a=text) == sent_as


@pytest.mark.parametrize(
    ("value", "text"),
    [(7, "7"), (True, "true"), (False, "false"), ("a", "a"), (0.5, "0.5"), (Decimal("1E+3"), "1000"),
     (Decimal(f"{DIGITS_40}.0"), f"{DIGITS_40}.0")],
)  # fmt: skip
def test_a_text_of_a_value_is_as_json_shows_it(value, text):
    assert filled(text_of("a"), a=value) == text
    assert filled(join("-", const("x"), "a"), a=value) == f"x-{text}"


@pytest.mark.parametrize(("value", "what"), [(None, "is null"), ([], "is a list"), ({}, "is an object")])
def test_what_is_no_text_has_no_text(value, what):
    assert error(text_of("a"), a=value) == f"text_of(a): the value {what}, which is no part of a text"
    assert error(join("", "a"), a=value) == f"join('', a): a value {what}, which is no part of a text"


def test_upper_and_lower_change_texts_alone():
    assert (filled(upper("a"), a="aé1"), filled(lower("a"), a="AÉ1")) == ("AÉ1", "aé1")
    assert error(upper("a"), a=5) == "upper(a): the value is no text"
    assert error(lower("a"), a=None) == "lower(a): the value is no text"


@pytest.mark.parametrize(
    ("amounts", "sent_as"),
    [
        ([0.1, 0.2], "0.3"), (["0.10", "0.20"], '"0.30"'), (["12.30"], '"12.30"'), (["1", "0.125"], '"1.125"'),
        ([1, 2], "3"), ([0.5, "0.25"], "0.75"), ([], "0"), ([Decimal(DIGITS_40), 1], str(int(DIGITS_40) + 1)),
        ([f"{DIGITS_40}.10", "0.90"], f'"{int(DIGITS_40) + 1}.00"'), (["-1.00", "1.00"], '"0.00"'), ([1.5, -1.5], "0"),
    ],
)  # fmt: skip
def test_a_total_is_exact(amounts, sent_as):
    assert sent(total("lines.a"), lines=[{"a": amount} for amount in amounts]) == sent_as


@quick
@given(st.lists(st.decimals(min_value=0, max_value=10**9, places=2), min_size=1, max_size=200))
def test_a_total_of_any_amounts_of_money_is_their_sum_to_the_cent(amounts):
    lines = [{"a": format(amount, "f")} for amount in amounts]
    assert filled(total("lines.a"), lines=lines) == format(sum(amounts), "f")
    assert filled(cents(total("lines.a")), lines=lines) == int(sum(amounts) * 100)


@pytest.mark.parametrize("lines", [5, {"a": 1}, [5], [{"b": 1}], None])
def test_a_total_of_anything_else_names_the_list(lines):
    assert error(total("lines.a"), lines=lines) == "lines is no list of objects with a"


def test_a_total_of_what_is_no_number_names_itself():
    assert error(total("lines.a"), lines=[{"a": "x"}]) == "total(lines.a): the value is no number"


def test_each_item_repeats_its_value_with_the_fields_of_the_item():
    lines = [{"sku": "a", "tags": ["x"]}, {"sku": "b", "tags": []}]
    value = each_item("lines", {"id": "item.sku", "of": "order", "tags": each_item("item.tags", {"t": "item"})})
    assert filled(value, lines=lines, order=7) == [
        {"id": "a", "of": 7, "tags": [{"t": "x"}]}, {"id": "b", "of": 7, "tags": []},
    ]  # fmt: skip
    assert error(each_item("order", "item"), order=7) == "order is no list"


def test_each_item_leaves_an_optional_value_out_that_an_item_lacks():
    lines = [{"note": "x"}, {}, {"note": None}]
    assert filled(each_item("lines", maybe("item.note")), lines=lines) == ["x"]
    assert filled(each_item("lines", {"n": maybe("item.note")}), lines=lines) == [{"n": "x"}, {}, {}]


@pytest.mark.parametrize("missing", [{}, {"a": None}])
def test_fallback_is_another_value_while_the_first_is_missing_or_null(missing):
    assert filled(fallback("a", const("-")), **missing) == "-"
    assert filled(fallback("a.b.c", fallback("x", const(0))), **missing) == 0
    assert filled(fallback("a", {"n": "step.id"}), **missing) == {"n": "s1"}
    assert filled({"m": fallback("a", maybe("a"))}, **missing) == {}


@pytest.mark.parametrize("value", [0, False, "", []])
def test_a_value_that_is_empty_is_not_missing(value):
    assert filled(fallback("a", const("-")), a=value) == value
    assert filled({"m": maybe("a")}, a=value) == {"m": value}


FUNCTIONS = [upper, lower, cents, number_of, text_of, partial(computed, double), partial(join, "-")]


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("missing", [{}, {"a": None}])
def test_a_function_of_an_optional_value_is_left_out_with_it(function, missing):
    assert filled(function(maybe("a")), **missing) is LEFT_OUT
    assert filled({"m": function(maybe("a")), "n": [function(maybe("a"))]}, **missing) == {"n": []}
    assert filled(const(1)) == 1


def test_join_leaves_out_an_optional_part_alone():
    value = join(" ", "first", maybe("middle"), "last")
    assert filled(value, first="Ada", last="Byron") == "Ada Byron"
    assert filled(value, first="Ada", middle="K.", last="Byron") == "Ada K. Byron"


VALUES = st.recursive(
    st.sampled_from([maybe("gone"), maybe("null"), "a", const(None), const([{}]), fallback("gone", maybe("null"))]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from("abc"), inner, max_size=3)
    | inner.map(upper) | inner.map(text_of) | st.lists(inner, max_size=3).map(lambda some: join("-", *some))
    | inner.map(lambda value: computed(give, value)) | inner.map(lambda value: each_item("lines", value))
    | inner.map(lambda value: fallback("null", value)),
    max_leaves=8,
)  # fmt: skip
DATA = {"a": "x", "null": None, "lines": [{}, {"a": 1}]}


@quick
@given(VALUES)
def test_what_is_left_out_reaches_no_body_query_header_or_form(value):
    roots = roots_of("S1", "pay", "do")
    calls = [post("p", "/", body=value), post("p", "/", form={"f": value, "g": [value]}), post("p", "/", m=value)]
    calls += [
        get("p", "/", query={"q": value}),
        get("p", "/", query={"q": [value]}),
        get("p", "/", headers={"h": value}),
    ]
    for call in calls:
        try:
            parts = call.filled_body(DATA, {}, roots), call.filled_path(DATA, {}, roots)
            parts += (call.filled_headers(DATA, {}, roots),)
        except FillError:
            continue
        assert "object at 0x" not in repr(parts)
        written(parts)


def test_a_body_that_is_left_out_is_no_body():
    assert post("p", "/", body=maybe("gone")).filled_body({}, {}) is None
    assert delete("p", "/").filled_body({}, {}) is None


@pytest.mark.parametrize(
    ("value", "sent_as"),
    [
        (2**70, str(2**70)), (-(2**70), str(-(2**70))), (Decimal("12.30"), "12.30"), (Decimal("1E+3"), "1000"),
        ((1, 2), "[1,2]"), ({"b": 1, "a": [True]}, '{"a":[true],"b":1}'), (None, "null"), (1.5, "1.5"),
    ],
)  # fmt: skip
def test_a_function_of_the_author_may_return_any_json(value, sent_as):
    assert sent(computed(give, const(0)), a=1) == "0"
    assert sent(computed(give, "a"), a=value) == sent_as


CYCLE: list = []
CYCLE.append(CYCLE)


@pytest.mark.parametrize(
    "value",
    [{1: 2}, {1}, b"x", object(), float("nan"), float("inf"), Decimal("NaN"), Decimal("1E+5000"), "a\0", "\ud800",
     {"a\0": 1}, [object()], CYCLE],
)  # fmt: skip
def test_a_function_of_the_author_that_returns_no_json_cannot_be_sent(value):
    assert error(computed(give, "a"), a=value).startswith(f"{__name__}.give(a) failed: TypeError: it returned ")


def test_what_a_function_of_the_author_raises_is_the_reason():
    assert error(computed(double, "a"), a=None).startswith(f"{__name__}.double(a) failed: TypeError: ")


def test_a_reference_that_is_not_known_is_named():
    for value in ("gone", "gone.deep", "step.gone", "step.id.deep", "step.lines.7.n", "saga.gone", "step.lines.x"):
        assert error(value) == f"{value} is not known"
        assert error({"m": [value]}) == f"{value} is not known"


@pytest.mark.parametrize(
    "value",
    [upper("a"), join("-", const("x"), "a"), cents("a"), computed(double, "a"), text_of("a.deep"), total("a.amount"),
     total("lines.a"), each_item("a", "item")],
)  # fmt: skip
def test_a_function_of_a_masked_value_is_masked(value):
    assert filled(value, a=MASKED, lines=[{"a": MASKED}]) is MASKED
    assert filled({"m": fallback("a", const(1)), "n": maybe("a")}, a=MASKED) == {"m": "***", "n": "***"}


def test_the_references_of_a_value_are_found_at_any_depth():
    value = {
        "a": ["x", const("y"), {"b": upper("step.id")}], "c": total("lines.a"), "d": maybe("m"), "j": join("-", "j"),
        "e": fallback("f", "g"), "h": each_item("i", {"k": "item.k", "l": "l"}), "n": computed(double, "o"),
    }  # fmt: skip
    every = {"x", "step.id", "lines", "m", "f", "g", "i", "l", "o", "j"}
    assert set(references(value)) == every
    assert set(references(value, optional=False)) == every - {"m", "f"}


def test_a_value_is_described_as_the_table_writes_it():
    value = {"a": const("x"), "b": [cents(total("lines.a")), "c"], "d": fallback("e", const(0)), "f": join("-", "g")}
    assert described(value) == "{a: 'x', b: [cents(total(lines.a)), c], d: fallback(e, 0), f: join('-', g)}"
    assert described(computed(double, "a")) == f"{__name__}.double(a)"


def test_equal_templates_are_equal():
    assert {"a": cents("b"), "c": const([1])} == {"a": cents("b"), "c": const([1])}
    assert cents("b") != number_of("b")
    assert const("b") != maybe("b")
