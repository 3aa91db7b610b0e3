"""The test that `saga verify` writes for a fault, run at once."""

import pytest

from machines.registry import Registry
from machines.verify import verify
from machines.verify.source import test_of as source_of


def source_for(result, registry):
    """Return the source of the test for the first fault of a result."""
    return source_of(result.definition, result.faults[0], registry, as_child=result.as_child)


def passes(source, registry):
    """Run a written test, and return True when it passes. registry: the tables that it finds."""
    written = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("machines.discovery.discover", lambda *_: registry)
        exec(compile(source, "written.py", "exec"), written)
        (test,) = (each for name, each in written.items() if name.startswith("test_"))
        try:
            test()
        except AssertionError:
            return False
    return True


def faults_without(guard, make, most_states=60_000):
    """Return the faults of a table without a guard. The test that is written for them must need the guard.

    make: returns the table; it is called without the guard and with it. The test must fail without it and pass with it.
    """
    with pytest.MonkeyPatch.context() as patch:
        guard.remove(patch)
        table = make()
        result = verify(table, most_states=most_states)
        assert result.faults, "verify does not find that the guard is taken out"
        source = source_for(result, Registry([table]))
        assert not passes(source, Registry([table])), "the test passes without the guard"
    assert passes(source, Registry([make()])), "the test fails with the guard"
    return result.faults
