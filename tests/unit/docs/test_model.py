"""The page of the model names each guard with the function that holds it and the test that needs it."""

import re
from pathlib import Path

import pytest

from docs.model import guards, models, sizes

ROOT = Path(__file__).parents[3]
ROW = re.compile(r"^\| `(\w+)` \| `(\w+)` \| (.+) \| `([\w/]+\.py)::(test_\w+)` \|$", re.MULTILINE)
PAGE = (ROOT / "docs/model/README.md").read_text()
ROWS = ROW.findall(PAGE)


@pytest.mark.parametrize("model", models(), ids=lambda model: model.name)
def test_each_guard_of_a_model_has_a_row_that_names_the_broken_property(model):
    (part,) = (part for part in PAGE.split("\n## ") if part.splitlines()[0].endswith(f": {model.name}"))
    rows = [(name, breaks) for name, breaks, *_ in ROW.findall(part)]
    declared = guards(model)
    assert sorted(rows) == sorted((guard.name, guard.breaks) for guard in declared)
    assert len(declared) > 4


@pytest.mark.parametrize("model", models(), ids=lambda model: model.name)
def test_each_model_is_searched_for_safety_and_for_liveness(model):
    assert {size.live for size in sizes(model)} == {True, False}


def test_each_function_that_holds_a_guard_exists():
    for name, _, held, *_ in ROWS:
        if found := re.fullmatch(r"`([\w/]+\.py)` `(?:(\w+)\.)?(\w+)`", held):
            path, owner, function = found.groups()
            text = (ROOT / path).read_text()
            assert owner is None or re.search(rf"^class {owner}\b", text, re.MULTILINE), name
            assert re.search(rf"^ *def {function}\(", text, re.MULTILINE), name
        else:
            assert name == "TOMBSTONE", held


def test_each_test_that_needs_a_guard_exists():
    for name, *_, path, test in ROWS:
        assert f"def {test}(" in (ROOT / "tests" / path).read_text(), name


def test_the_page_counts_the_guards():
    assert f"{len(ROWS)} of {len(ROWS)}" in PAGE
