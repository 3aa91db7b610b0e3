"""The properties can fail: without any one of the guards they do, within so many examples."""

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.property.mutants import GUARDS
from tests.property.tables import COMPENSATABLE, PIVOT, RETRIABLE, Line, table_of

#: The same examples each time, and none of them made smaller.
STABLE = settings(
    max_examples=400,
    stateful_step_count=10,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)


#: A table that has need of each guard, and of as few attempts as can be.
LINES = [Line(kind, attempts=1) for kind in (COMPENSATABLE, PIVOT, RETRIABLE)]


@pytest.mark.parametrize("guard", GUARDS)
def test_without_a_guard_a_property_fails(chaos, monkeypatch, guard):
    monkeypatch.setattr("tests.property.chaos.table_of", lambda _lines: table_of(LINES))
    GUARDS[guard](monkeypatch)
    with pytest.raises(AssertionError):
        run_state_machine_as_test(chaos, settings=STABLE)
