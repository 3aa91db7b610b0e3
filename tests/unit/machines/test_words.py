"""The author of a table gives a word, such as `pivot`, an argument that the word does not have.

The error of the table names the step, the word, and the arguments that exist.
"""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

import machines
from machines import (
    IN_DOUBT,
    NEVER,
    REFUSED,
    Retry,
    Saga,
    TableError,
    approval,
    at,
    boolean,
    cents,
    choice,
    compensatable,
    computed,
    const,
    decimal,
    each_item,
    equal,
    get,
    header,
    integer,
    join,
    list_of,
    maybe,
    money,
    optional,
    pause,
    pivot,
    poll,
    post,
    read,
    retriable,
    secret,
    text,
    upper,
    wait,
)
from tests.unit.machines.tables import DO, hold, look, quick, saga, sell

STEP = "name=, call=, done=, refused=, doing=, when=, retry=, timeout_s=, dwell_s=, title=, probe="


@pytest.mark.parametrize(
    ("step", "problem"),
    [
        (sell(timeout=5), f"sell: pivot() has no timeout=, did you mean timeout_s=?; it has {STEP}"),
        (pivot("sell", DO, done="DONE"), f"sell: pivot() lacks refused=; it has {STEP}"),
        (pivot(name="sell", call=DO, refused="NO"), f"sell: pivot() lacks done=; it has {STEP}"),
        (retriable("tell", done="DONE"), "tell: retriable() lacks call=; it has name=, call=, done=, doing=, "),
        (sell(keeps={}), "sell: pivot() has no keeps=, which belongs to a call such as post(…); it has "),
        (sell(deadline_s=5), "sell: pivot() has no deadline_s=, which belongs to Saga(…); it has "),
        (pivot("sell", DO, "DONE", refused="NO", done="D"), "sell: pivot() takes 2 values without a name, not 3; it "),
        (pivot("sell", DO, call=DO, done="DONE", refused="NO"), "sell: pivot() has call= twice; it has "),
        (compensatable("hold", DO, done="DONE", refused="NO"), "hold: compensatable() lacks undo=; it has "),
        (sell(retry={IN_DOUBT: NEVER}), "sell: retry= of a step is one Retry; write retry={IN_DOUBT: …, NOT_SENT: …} "),
        (sell(retry=Retry(3)), "sell: retry: Retry() takes 0 values without a name, not 1; it has attempts="),
        (sell(undo=DO), "sell: a pivot is never undone, so undo= would be ignored; drop it, or make it a compen"),
        (hold(undo=post("shop")), "hold: undo: post() lacks path; it has participant, path"),
        (sell(probe=get(participant="shop", path="/")), "sell: probe: get() takes participant without its name; "),
    ],
)  # fmt: skip
def test_a_step_with_other_words_than_its_own_is_refused(refusal, step, problem):
    assert refusal(step).startswith(f"sale v1: step {problem}")


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (at("look.id"), "no reference; write the reference 'look.id' alone, for at() is a word of keeps="),
        (at("look.id", text()), "its body's 'v' is a Kept, no reference; write the reference 'look.id' alone"),
        (header("Location"), "write the reference 'Location' alone"),
        (cents("a", "b"), "its body's 'v': cents() takes 1 value without a name, not 2; it has value"),
        (upper(cents()), "its body's 'v': upper(): cents() lacks value; it has value"),
        (maybe("a", "b"), "its body's 'v': maybe() takes 1 value without a name, not 2; it has reference"),
        (join("-"), "its body's 'v': join() takes a separator and values; write join('-', 'field', 'other')"),
        (join(5, "client_id"), "its body's 'v': join() takes a separator and values"),
        (computed("initials", "client_id"), "computed() takes a function with a name, defined in a module"),
        (computed(None), "computed() takes a function with a name, defined in a module; give it one"),
        (len, "its body's 'v' is a builtin_function_or_method, no reference; write computed(len, 'field') for what a "),
        (text(), "its body's 'v' is a Field, no reference; write v='field' for one of data"),
        (DO, "its body's 'v' is a Call, no reference; write v='field' for one of data"),
        ([text(1, 2, 3)], "its body's 'v': text() takes 2 values without a name, not 3; it has low=, high=, "),
    ],
)  # fmt: skip
def test_a_value_that_is_no_reference_is_refused_with_what_to_write(refusal, value, problem):
    assert problem in refusal(sell(call=post("shop", "/", body={"v": value})))


def test_a_word_of_the_step_within_its_call_is_refused_with_its_place(refusal):
    message = refusal(sell(call=post("shop", "/", timeout_s=5)))
    assert message.startswith(
        "sale v1: step sell: call: its body's 'timeout_s' is 5, no reference; write const(5) for "
    )
    assert message.endswith("; timeout_s= itself belongs to a step such as pivot(…)")
    assert saga(sell(call=post("shop", "/", timeout_s="client_id")))


@pytest.mark.parametrize(
    ("column", "problem"),
    [
        ({"keeps": {"id": text(max=3)}}, "keeps= 'id': text() has no max=; it has low=, high=, default=, example="),
        ({"keeps": {"id": at("a")}}, "keeps= 'id': at() lacks field; it has path, field"),
        ({"keeps": {"id": at("a..b", text())}}, "keeps= 'id': it comes from 'a..b'; write a path such as 'booking.id'"),
        ({"keeps": {"id": header("ETag", last_segmant=True)}}, "no last_segmant=, did you mean last_segment=?; it "),
        ({"means": {"409": REFUSED}}, "means= names the status '409' as a text; write the number 409, without quotes"),
        ({"means": {"a..b": {1: REFUSED}}}, "means= names 'a..b'; give a status, or the path of a field of the reply"),
        ({"retry": Retry(3)}, "retry: Retry() takes 0 values without a name, not 1"),
        ({"retry": {IN_DOUBT: Retry(tries=3)}}, "retry: Retry() has no tries=; it has attempts=, "),
    ],
)  # fmt: skip
def test_a_wrong_word_in_a_column_of_a_call_is_refused(refusal, column, problem):
    assert problem in refusal(sell(call=post("shop", "/", **column)))


@pytest.mark.parametrize(
    ("field", "problem"),
    [
        (text(minimum=3), "text() has no minimum=; it has low=, high=, default=, example="),
        (choice("A", defualt="A"), "choice() has no defualt=, did you mean default=?; it has default="),
        (decimal(low=0), "decimal() lacks places=; it has places=, low=, high=, example="),
        (optional("text"), "it is 'text', no field; write text(), "),
        (secret(boolean(True)), "boolean() takes 0 values without a name, not 1; it has default="),
        (list_of({"a": integer(lower=1)}), "item 'a': integer() has no lower=, did you mean low=?; it has "),
    ],
)
def test_a_wrong_word_in_a_field_is_refused(refusal, field, problem):
    message = refusal(look(), data={"client_id": integer(), "f": field})
    assert message.startswith(f"sale v1: field 'f': {problem}")


def test_a_saga_with_a_word_that_does_not_exist_is_refused_by_name():
    with pytest.raises(TableError) as refused:
        Saga(name="trip", version=2, initial="A", completed="DONE", deadline=5, data={}, participants=(), steps=())
    wrong = "trip v2: Saga() has no deadline=, did you mean deadline_s=?; Saga() lacks compensated=; it has name=, "
    assert str(refused.value).startswith(wrong)


def test_the_other_steps_of_a_table_with_a_wrong_word_are_checked_too():
    with pytest.raises(TableError) as refused:
        saga(
            look(done="LOOKED", timeout_s="5"),
            hold(call=post("shop", "/", id="client", look="look.any", wrong="odd.x"), done="HELD"),
            pivot("sell", post("shop", "/", count=5), done="DONE", refused="NO", timeout=5),
            data={"client_id": integer(low=1), "odd": text(max=5)},
        )
    steps = [problem.split(": ", 2)[1:] for problem in refused.value.problems]
    assert [(step, words[:30]) for step, words in steps] == [
        ("field 'odd'", "text() has no max=; it has low"),
        ("step look", "timeout_s='5' is out of bounds"),
        ("step sell", "pivot() has no timeout=, did y"),
        ("step sell", "call: its body's 'count' is 5,"),
        ("step hold", "'client' is no field of data; "),
    ]


def with_many_problems(**undo):
    """Return the problems of a table with one in each check. undo: the undo of the first step."""
    steps = (
        compensatable("take", post("shop", "/take", id="client"), done="TAKEN", refused="NOT_TAKEN", **undo),
        wait("agree", signal="yes", within_s=100, means={"no": {True: REFUSED}}, done="AGREED", refused="NOT_AGREED"),
        wait("again", signal="yes", within_s=100, done="AGREED_AGAIN", refused="AGREED"),
        pause("rest", done="RESTED", refused="NOT_RESTED"),
        pivot("pay", post("shop", "/pay", of="pay.id"), later=poll(post("shop", "/ask"), every_s=1, within_s=2),
              done="PAID", refused="NOT_PAID", when=equal("clients", 5)),
        approval("free", role="boss", within_s=5, done="FREED", refused="NOT_FREED"),
        retriable("send", DO, done="DONE"),
    )  # fmt: skip
    with pytest.raises(TableError) as refused:
        saga(*steps, deadline_s=10)
    return list(refused.value.problems)


def test_a_step_without_its_undo_hides_no_other_problem():
    rest = with_many_problems(undo=DO)
    lacks, *found = with_many_problems()
    assert "step take: compensatable() lacks undo=" in lacks
    assert found == rest
    assert len(rest) > 10


def test_the_values_of_a_step_with_a_wrong_word_are_checked_too():
    with pytest.raises(TableError) as refused:
        saga(compensatable("take", post("shop"), done="TAKEN", refused="NOT_TAKEN", timeout_s="5"), sell())
    assert [problem.split(": ", 2)[2].split("; ")[0] for problem in refused.value.problems] == [
        "compensatable() lacks undo=",
        "call: post() lacks path",
        "timeout_s='5' is out of bounds",
    ]


def test_nothing_is_said_of_a_way_back_behind_a_step_of_an_unknown_kind():
    with pytest.raises(TableError) as refused:
        saga(look(done="LOOKED"), DO, read("after", DO, done="DONE"))
    assert [str(problem) for problem in refused.value.problems if "step after" in problem] == []


# Any word of `machines` with any arguments raises no other error than that of the table.

WORDS = [
    word
    for name in machines.__all__
    if name not in ("Saga", "TableError") and callable(word := getattr(machines, name))
]
NAMES = st.sampled_from([
    "low", "high", "default", "example", "done", "refused", "undo", "retry", "body", "form", "query", "headers",
    "keeps", "means", "name", "call", "timeout_s", "attempts", "cap_s", "path", "field", "places", "nonsense",
])  # fmt: skip
PLAIN = st.sampled_from([
    None, True, 0, 1, -1, 0.5, float("nan"), float("inf"), 10**400, "", "x", "client_id", "lines.a", "A..b", "{", [],
    {}, (), {"a": "client_id"}, [1], {1: 2}, object(), Retry(), DO, money(), const(1), b"x", len, {"200": "x"},
])  # fmt: skip
ANY = st.recursive(
    PLAIN,
    lambda inner: st.builds(
        lambda word, values, named: word(*values, **named),
        st.sampled_from(WORDS),
        st.lists(inner, max_size=3),
        st.dictionaries(NAMES, inner, max_size=3),
    ),
    max_leaves=5,
)
PLACES = [
    lambda value: {"data": {"client_id": integer(), "f": value}},
    lambda value: {"steps": value},
    lambda value: {"steps": (value, sell())},
    lambda value: {"steps": (sell(call=value),)},
    lambda value: {"steps": (hold(undo=value),)},
    lambda value: {"steps": (sell(probe=value, retry=value),)},
    lambda value: {"steps": (sell(call=post("shop", "/", v=value)),)},
    lambda value: {"steps": (sell(call=post("shop", "/", body=value)),)},
    lambda value: {"steps": (sell(call=post("shop", "/", keeps={"a": value})),)},
    lambda value: {"steps": (sell(call=post("shop", "/", means={409: value, "a": {1: value}})),)},
    lambda value: {"steps": (sell(call=get("shop", "/", query={"a": value}, headers={"X": value})),)},
    lambda value: {"steps": (sell(call=get("shop", "/", headers={"Idempotency-Key": value})),)},
    lambda value: {"steps": (sell(call=post("shop", "/", v=each_item("lines", value))),)},
]
LEGAL = {
    "name": "sale", "version": 1, "initial": "STARTED", "completed": "DONE", "compensated": "CANCELLED",
    "data": {"client_id": integer(low=1), "lines": list_of({"a": money()})}, "participants": ("shop",),
    "steps": (look(done="DONE"),),
}  # fmt: skip


@quick
@given(value=ANY, place=st.sampled_from(PLACES))
def test_any_word_with_any_arguments_is_legal_or_refused_with_a_remedy(value, place):
    with suppress(TableError):
        Saga(**(LEGAL | place(value)))
