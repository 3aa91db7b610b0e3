"""docs/testing.md: the tests of its blocks pass, and its report is the one that is drawn."""

import inspect
import re
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[4] / "docs" / "testing.md").read_text()
NAMES = {"__name__": "page"}
exec(compile("\n".join(re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)), "testing.md", "exec"), NAMES)
TESTS = [value for name, value in NAMES.items() if name.startswith("test_")]


@pytest.mark.parametrize("test", TESTS)
def test_each_test_of_the_page_passes(test):
    if not inspect.signature(test).parameters:
        test()
        return
    marks = {mark.name: mark for mark in test.pytestmark}
    for scenario in marks["parametrize"].args[1]:
        test(scenario)


def test_report_of_the_page_is_what_is_drawn():
    trip = NAMES["given"](NAMES["TRAVEL"]).when(sleep=NAMES["refused"]("NO_ROOM")).run()
    assert str(trip).split("\n  error:")[0] in PAGE
