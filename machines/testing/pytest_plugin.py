"""Plug-in of pytest: the report of a failed test shows the path of each saga that the test ran."""

from collections.abc import Generator
from typing import Any

import pytest

from machines.testing.run import RECENT


def pytest_runtest_setup() -> None:
    RECENT.clear()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: Any, call: Any) -> Generator[None, Any, Any]:  # noqa: ARG001
    report = yield
    if report.failed and call.when == "call":
        report.sections += [(f"saga {saga.definition.name}", str(saga)) for saga in RECENT]
    return report
