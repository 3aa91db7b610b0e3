"""docs/tables.md: each block passes the checks of a table, and each error of the checks has a line."""

import ast
import re
from pathlib import Path

import pytest

import machines
from diagrams.files import RENDERERS
from machines import Retry, Saga, pivot, post, read
from machines.call import Call
from machines.fields import Field
from machines.step import Step

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "tables.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
ERRORS = PAGE.partition("## Every error of a table")[2]


def run(block, names):
    """Execute a block. Return the value of each line that contains only an expression."""
    values = []
    for node in ast.parse(block).body:
        if isinstance(node, ast.Expr):
            values.append(eval(compile(ast.Expression(node.value), "tables.md", "eval"), names))
        else:
            exec(compile(ast.Module([node], []), "tables.md", "exec"), names)
    return values


def as_saga(value, names):
    """Return a saga that contains one value of the page. The checks of a table run when the saga is made."""
    data, first = names["DATA"], names["FIRST"]
    steps = (first,)
    match value:
        case Saga():
            return value
        case Field():
            data |= {"field": value}
        case Retry():
            steps = (first, pivot("try", post("a", "/"), done="DONE", refused="NO", retry=value))
        case Call(method="GET"):
            steps = (first, read("ask", value, done="DONE", refused="NO"))
        case Call():
            steps = (first, pivot("act", value, done="DONE", refused="NO"))
        case Step():
            steps = (first, value)
        case _:
            pytest.fail(f"the page has {value!r}, which is no part of a table")
    calls = [call for step in steps for call in step.calls]
    calls += [call for step in steps if step.group for call in step.group.calls]
    calls = [call for call in calls if type(call) is Call]
    return Saga(
        name="page", version=1, initial="ASKED", completed=steps[-1].done, compensated="BACK", data=data,
        participants=tuple(dict.fromkeys(call.participant for call in calls)), steps=steps, deadline_s=30 * 86_400,
        client="customer",
    )  # fmt: skip


@pytest.fixture(scope="module")
def names():
    names = {name: getattr(machines, name) for name in machines.__all__} | {"__name__": "page"}
    for block in BLOCKS:
        if "DATA = " in block or "def " in block:
            run(block, names)
    return names


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: " ".join(block.split())[:40])
def test_each_block_of_the_page_is_legal(block, names):
    for value in run(block, names):
        as_saga(value, names)


def test_a_wrong_block_is_found(names):
    (call,) = run('post("a", "/", city="nowhere")', names)
    with pytest.raises(machines.TableError, match="'nowhere' is no field of data"):
        as_saga(call, names)


def test_the_page_names_every_word_of_a_table():
    shown = " ".join([*BLOCKS, *re.findall("`[^`]+`", PAGE)])
    words = {name for name in machines.__all__ if name != "TableError"}
    columns = {name for kind in (Saga, Step, Retry) for name in kind.__dataclass_fields__} - {
        "kind",
        "call",
        "is_branch",
    }
    assert {word for word in words | columns if not re.search(rf"\b{word}\b", shown)} == set()


# The errors of the checks.


def text_of(node):
    """Return the text of a message, with … in place of each inserted value. None: the expression is no text."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(part.value if isinstance(part, ast.Constant) else "…" for part in node.values)
    return None


def messages():
    for path in [*sorted((ROOT / "machines").glob("check*.py")), ROOT / "machines" / "words.py"]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Yield):
                value = node.value
            elif isinstance(node, ast.FunctionDef) and node.name == "_problem":
                value = node.body[-1].value
            elif isinstance(node, ast.Call) and getattr(node.func, "id", "") == "ReferenceProblem":
                value = node.args[0]
            else:
                continue
            message = text_of(value.elts[-1] if isinstance(value, ast.Tuple) else value)
            if message and re.search("[a-z]", message):
                yield message


def test_each_error_of_the_checks_has_a_line_on_the_page():
    lines = [cell.split("|")[1] for cell in ERRORS.splitlines() if cell.startswith("| `")]
    known = [fragment for line in lines for fragment in re.findall("`([^`]+)`", line)]
    found = list(messages())
    assert len(found) > 100
    assert [message for message in found if not any(fragment in message for fragment in known)] == []
    assert [fragment for fragment in known if not any(fragment in message for message in found)] == []


def test_the_picture_of_the_page_is_that_of_its_saga(names):
    picture = ROOT / "docs" / "pictures" / "parcel.svg"
    (block,) = [block for block in BLOCKS if "PARCEL = " in block]
    run(block, names)
    assert picture.read_text() == RENDERERS["svg"](names["PARCEL"]), "write it again: saga draw parcel"
