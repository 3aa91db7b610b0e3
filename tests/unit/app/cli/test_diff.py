"""`saga diff`: what a change of a table means for running sagas."""

import json
import sys

import pytest
from click.testing import CliRunner

from app.cli.diff import diff
from app.cli.group import BAD_INPUT, SagaGroup

TABLE = """
from machines import Saga, compensatable, delete, pivot, post, retriable, text

TRIP = Saga(
    name="trip", version=1, initial="ASKED", completed="SENT", compensated="OFF",
    data={"city": text()}, participants=("shop",),
    steps=(
        compensatable("book", post("shop", "/bookings", keeps={"id": text()}), repeatable=True,
                      undo=delete("shop", "/bookings/{book.id}"), done="BOOKED", refused="FULL"),
        pivot("pay", post("shop", "/pay", city="city"), done="PAID", refused="DECLINED"),
        retriable("send", post("shop", "/send"), done="SENT"),
    ),
)
"""
WORDING, COMPATIBLE, BREAKING = 0, 9, 10


@pytest.fixture(autouse=True)
def forgotten():
    """Remove the modules that the test has imported, so that the next test imports them again."""
    yield
    for name in [name for name in sys.modules if name.split(".")[0] == "sagas"]:
        del sys.modules[name]


@pytest.fixture
def compared(tmp_path):
    """Return a function that compares the table with an edited copy. Each edit is (old text, new text)."""

    def run(*edits, options=()):
        text = TABLE
        for old, new in edits:
            assert old in text
            text = text.replace(old, new)
        for folder, content in (("old", TABLE), ("new", text)):
            (tmp_path / folder).mkdir(exist_ok=True)
            (tmp_path / folder / "trip.py").write_text(content)
        arguments = ["diff", str(tmp_path / "old"), str(tmp_path / "new"), *options]
        done = CliRunner().invoke(SagaGroup("saga", {"diff": diff}), arguments)
        return done.exit_code, done.output

    return run


NEXT = ("version=1", "version=2")


@pytest.mark.parametrize(
    ("edit", "code", "line"),
    [
        (("/pay", "/v2/pay"), BREAKING, "step 'pay': call was POST shop/pay and is POST shop/v2/pay"),
        (('"/send")', '"/send", city="city")'), BREAKING, "step 'send': call POST shop/send has another body"),
        (('pivot("pay"', 'pivot("charge"'), BREAKING, "step 'pay' is gone"),
        (("/bookings/{", "/held/{"), BREAKING, "step 'book': undo was DELETE shop/bookings/{book.id} and is DELETE"),
        (('"BOOKED"', '"HELD"'), COMPATIBLE, "state BOOKED is now HELD: migrate-running needs --map BOOKED=HELD"),
        (('"SENT"),', '"SENT"),\n retriable("thank", post("shop", "/thanks"), done="THANKED"),'), COMPATIBLE,
         "step 'thank' is new"),
        (('"/pay", city="city")', '"/pay", city="city"), timeout_s=60'), WORDING, "step 'pay': timeout_s was"),
        (('done="PAID"', 'retry=__import__("machines").Retry(attempts=7), done="PAID"'), WORDING, "step 'pay': retry"),
        (("text()}, part", "text(1, 50)}, part"), WORDING, "data: 'city' is another field"),
        (('participants=("shop",)', 'participants=("shop",), deadline_s=60'), WORDING, "deadline_s was"),
    ],
)  # fmt: skip
def test_difference_has_its_kind_its_reason_and_its_exit_code(compared, edit, code, line):
    edits = [edit, NEXT] if code else [edit]
    if "thank" in edit[1]:
        edits.append(('completed="SENT"', 'completed="THANKED"'))
    found, output = compared(*edits)
    kind = {WORDING: "wording", COMPATIBLE: "compatible", BREAKING: "breaking"}[code]
    assert (found, f"  {kind}: {line}" in output) == (code, True), output


def test_each_state_says_what_its_sagas_can_do(compared):
    _, output = compared(("/pay", "/v2/pay"), ('"BOOKED"', '"HELD"'), NEXT)
    change = "step 'pay': call was POST shop/pay and is POST shop/v2/pay"
    for line in (
        "a saga in ASKED: can be moved",
        f"a saga in BOOKED: some can be moved, to HELD (only while step 'pay' was not called: {change})",
        f"a saga in PAID: ends by the old version ({change})",
        f"a saga in STUCK_PAY: ends by the old version ({change})",
        f"a saga in UNDOING_BOOK: some can be moved (only while step 'pay' was not called: {change})",
        "do: keep version 1 until its sagas have ended, or move them with `saga migrate-running`",
    ):
        assert f"  {line}\n" in output


def test_state_of_a_step_that_differs_needs_no_new_name(compared):
    _, output = compared(('pivot("pay"', 'pivot("charge"'), ('done="PAID"', 'done="CHARGED"'), NEXT)
    assert "--map" not in output


def test_new_data_that_running_sagas_lack_is_breaking(compared):
    data = ('data={"city": text()}', 'data={"city": text(), "to": text()}')
    code, output = compared(('"/send")', '"/send", to="to")'), data, NEXT)
    assert (code, "breaking: data: 'to' of running sagas is missing, and step 'send' sends it" in output) == (10, True)


def test_edit_without_a_new_version_names_the_remedy(compared):
    code, output = compared(("/pay", "/v2/pay"))
    assert (code, output.splitlines()[0]) == (BREAKING, "trip v1 → trip v1: breaking")
    assert "do: give the changed table version=2 and keep version 1 as it was beside it" in output


def test_equal_tables_and_comments_differ_in_nothing(compared):
    assert compared(("TRIP = ", "# a comment\nTRIP = ")) == (0, "trip v1 → trip v1: nothing differs\n")


def test_table_that_is_gone_is_breaking(compared):
    code, output = compared(('name="trip"', 'name="ride"'))
    assert code == BREAKING
    assert "trip v1 → ride v1" not in output
    assert output.startswith("breaking: trip v1 is gone: no process would move its running sagas")


def test_versions_beside_each_other_are_compared_by_name(compared, tmp_path):
    compared()
    (tmp_path / "old" / "next.py").write_text(TABLE.replace("version=1", "version=2").replace("/pay", "/v2/pay"))
    arguments = ["diff", "trip@1", "trip@2", "--sagas", str(tmp_path / "old")]
    done = CliRunner().invoke(SagaGroup("saga", {"diff": diff}), arguments)
    assert (done.exit_code, done.output.splitlines()[0]) == (BREAKING, "trip v1 → trip v2: breaking")


def test_json_has_the_same_content(compared):
    code, output = compared(('"BOOKED"', '"HELD"'), NEXT, options=["--json"])
    (found,) = json.loads(output)["comparisons"]
    assert (code, found["effect"], found["old"], found["new"]) == (9, "compatible", 1, 2)
    assert {"state": "BOOKED", "fate": "moves", "to": "HELD", "reason": ""} in found["states"]


@pytest.mark.parametrize(
    ("old", "error"),
    [
        ("nowhere", "nowhere is no file, no folder and no NAME@VERSION such as trip@1"),
        ("trap@1", "saga trap v1 is not defined"),
    ],
)
def test_unknown_side_is_one_line_and_exit_code_2(tmp_path, old, error):
    done = CliRunner().invoke(SagaGroup("saga", {"diff": diff}), ["diff", old, str(tmp_path)])
    assert (done.exit_code, done.stderr) == (BAD_INPUT, f"saga: {error}\n")


def test_broken_table_is_one_line_and_exit_code_2(compared):
    code, output = compared(("/pay", "pay"))
    assert (code, output) == (BAD_INPUT, "saga: trip v1: step pay: path 'pay' must begin with a slash\n")
