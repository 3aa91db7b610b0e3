"""Plug-in of pytest: it looks for answers that no call used, and shows the path of each saga of a failed test."""

from collections.abc import Generator
from typing import Any

import pytest

from machines.testing.run import RECENT
from machines.testing.unused import UNDECIDED, check_over


def pytest_runtest_setup() -> None:
    RECENT.clear()
    UNDECIDED.clear()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None, Any, Any]:
    """Let a test fail that ends while a saga still waits, and that has said what this saga has not used."""
    result = yield
    check_over()
    return result


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: Any, call: Any) -> Generator[None, Any, Any]:  # noqa: ARG001
    report = yield
    if report.failed and call.when == "call":
        report.sections += [(f"saga {saga.definition.name}", str(saga)) for saga in RECENT]
    return report
