"""A fixture for tests of illegal tables."""

from collections.abc import Callable
from typing import Any

import pytest

from machines.check import TableError
from machines.step import Step
from tests.unit.machines.tables import saga


@pytest.fixture
def refusal() -> Callable[..., str]:
    """Return a function that makes an illegal table from the given steps and columns, and returns its error text."""

    def refusal_of(*steps: Step, **columns: Any) -> str:
        with pytest.raises(TableError) as refused:
            saga(*steps, **columns)
        return str(refused.value)

    return refusal_of
