"""The test that `saga verify` writes for a fault: it fails while the fault is there."""

import pytest

from machines.registry import Registry
from machines.verify import verify
from machines.verify.source import test_of as source_of
from tests.unit.machines.verify.family_guards import GUARDS as FAMILY_GUARDS
from tests.unit.machines.verify.guards import GUARDS
from tests.unit.machines.verify.test_family_guards import TABLES
from tests.unit.machines.verify.test_guards import plain

REPRODUCED = [
    "what_may_have_happened_is_undone_as_well",
    "a_refused_pivot_that_may_have_happened_is_stuck",
    "a_pivot_of_unknown_outcome_is_stuck",
    "steps_are_undone_back_to_the_first",
    "a_timeout_may_have_worked",
]


@pytest.mark.parametrize("guard", REPRODUCED)
def test_written_test_reproduces_the_fault(monkeypatch, guard):
    with monkeypatch.context() as patch:
        GUARDS[guard](patch)
        table = plain()
        (fault,) = verify(table).faults
        monkeypatch.setattr("machines.discovery.discover", lambda: Registry([table]))
        source = source_of(table, fault, Registry([table]))
        written = {}
        exec(compile(source, "written.py", "exec"), written)
        with pytest.raises(AssertionError):
            written[f"test_{fault.broken.replace(' ', '_')}"]()


REPRODUCED_OF_FAMILIES = [
    "the_other_branches_are_undone_as_well",
    "a_branch_that_goes_back_ends_the_group",
    "a_compensated_child_is_no_success",
]


@pytest.mark.parametrize("guard", REPRODUCED_OF_FAMILIES)
def test_written_test_reproduces_the_fault_of_a_family(monkeypatch, guard):
    with monkeypatch.context() as patch:
        FAMILY_GUARDS[guard].remove(patch)
        registry = Registry(TABLES[FAMILY_GUARDS[guard].table])
        result = verify(TABLES[FAMILY_GUARDS[guard].table][0], registry=registry)
        (fault,) = result.faults
        monkeypatch.setattr("machines.discovery.discover", lambda: registry)
        written = {}
        exec(compile(source_of(result.definition, fault, registry), "written.py", "exec"), written)
        with pytest.raises(AssertionError):
            written[f"test_{fault.broken.replace(' ', '_')}"]()
    written[f"test_{fault.broken.replace(' ', '_')}"]()
