"""The page of the model names each guard with the function that holds it and the test that needs it."""

import re
from pathlib import Path

from docs.model import guards, models

ROOT = Path(__file__).parents[3]
ROW = re.compile(r"^\| `(\w+)` \| `(\w+)` \| (.+) \| `([\w/]+\.py)::(test_\w+)` \|$", re.MULTILINE)
ROWS = ROW.findall((ROOT / "docs/model/README.md").read_text())


def test_each_guard_of_the_models_has_a_row_that_names_the_broken_property():
    declared = {(guard.name, guard.breaks) for model in models() for guard in guards(model)}
    assert {(name, breaks) for name, breaks, *_ in ROWS} == declared
    assert len(ROWS) == len(declared) > 10


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
    assert f"{len(ROWS)} of {len(ROWS)}" in (ROOT / "docs/model/README.md").read_text()
