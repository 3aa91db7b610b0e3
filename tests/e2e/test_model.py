"""SPIN searches the models of the protocol, and finds a counterexample without each guard."""

import pytest

from docs.model import check, missing

pytestmark = pytest.mark.programs


def test_models_hold_and_each_guard_is_needed():
    if absent := missing():
        pytest.skip(f"not installed: apt-get install -y {' '.join(absent)}")
    lines = list(check())
    assert len(lines) > 10
    assert [line for line, right in lines if not right] == []
