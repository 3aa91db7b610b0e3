"""How the tests of tables ask for a refusal."""

from collections.abc import Callable
from typing import Any

import pytest

from machines.check import TableError
from machines.step import Step
from tests.unit.machines.tables import saga


@pytest.fixture
def refusal() -> Callable[..., str]:
    """Give the text with which a table of these steps and columns is refused."""

    def refusal_of(*steps: Step, **columns: Any) -> str:
        with pytest.raises(TableError) as refused:
            saga(*steps, **columns)
        return str(refused.value)

    return refusal_of
