"""The properties can fail: when a guard is removed, one of them fails within 2,500 examples."""

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.property.mutants import GUARDS
from tests.property.tables import COMPENSATABLE, PIVOT, RETRIABLE, StepLine, table_of

#: Each run has the same examples, and a failing one is not shrunk, because the test expects a failure.
STABLE = settings(
    max_examples=2500,
    stateful_step_count=10,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)


#: A table that needs every guard, with as few attempts as possible: a call with one attempt is never sent again.
LINES = [StepLine(kind, attempts=2) for kind in (COMPENSATABLE, PIVOT, RETRIABLE)]
LINES.insert(0, StepLine(COMPENSATABLE, attempts=2, own_id=True, leaves=True))


@pytest.mark.parametrize("guard", GUARDS)
def test_property_fails_without_a_guard(chaos, monkeypatch, guard):
    monkeypatch.setattr("tests.property.chaos.table_of", lambda _lines: table_of(LINES))
    GUARDS[guard](monkeypatch)
    with pytest.raises(AssertionError):
        run_state_machine_as_test(chaos, settings=STABLE)
