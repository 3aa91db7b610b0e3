"""Fixtures: all processes of a test, and a report of each run at the end of the session."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.chaos import postgres
from tests.chaos.report import Report
from tests.chaos.size import drawn_seed
from tests.chaos.world import Stack


@pytest.fixture(scope="session")
def template() -> Iterator[Path]:
    with postgres.migrated() as data:
        yield data


@pytest.fixture
def report(request: pytest.FixtureRequest) -> Iterator[Report]:
    """Show the report, whether the test passes or fails."""
    report = Report(hazard=request.node.name.removeprefix("test_").replace("_", " "), seed=drawn_seed())
    yield report
    print(f"\n{report}")  # noqa: T201
    request.node.user_properties.append(("chaos", str(report)))


@pytest.fixture
def make_world(template: Path, report: Report, tmp_path: Path) -> Callable[..., Stack]:
    return partial(Stack, tmp_path, template, report)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for reports in terminalreporter.stats.values():
        for test in reports:
            # The fixture adds the report at its end, so only the teardown phase of a test contains the report.
            if getattr(test, "when", None) == "teardown":
                for name, line in test.user_properties:
                    if name == "chaos":
                        terminalreporter.write_line(line)
