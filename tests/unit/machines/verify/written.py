"""The test that `saga verify` writes for a fault, run at once."""

import pytest

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
