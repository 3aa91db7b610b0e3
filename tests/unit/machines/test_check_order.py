import re
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from machines.check import TableError
from machines.step import CALLING, Kind
from tests.unit.machines.tables import COMPENSATABLE, PIVOT, READ, RETRIABLE, quick, saga, table


@pytest.mark.parametrize(
    "kinds",
    [
        [READ],
        [COMPENSATABLE],
        [PIVOT],
        [READ, COMPENSATABLE, READ, COMPENSATABLE],
        [COMPENSATABLE, PIVOT],
        [COMPENSATABLE, RETRIABLE],
        [READ, COMPENSATABLE, PIVOT, READ, RETRIABLE, READ],
    ],
)
def test_a_legal_order_makes_a_table(kinds):
    assert [step.kind for step in table(kinds).steps] == kinds


@pytest.mark.parametrize(
    "kinds",
    [
        [PIVOT, COMPENSATABLE],
        [PIVOT, PIVOT],
        [PIVOT, READ, PIVOT],
        [COMPENSATABLE, RETRIABLE, COMPENSATABLE],
        [COMPENSATABLE, RETRIABLE, PIVOT],
        [READ, PIVOT, RETRIABLE, READ, COMPENSATABLE],
    ],
)
def test_an_illegal_order_is_refused(kinds):
    with pytest.raises(TableError, match=r"^sale v1: ") as refusal:
        table(kinds)
    assert f"the order {', '.join(kinds)} is not legal" in str(refusal.value)
    assert "put reads and compensatables first, then at most one pivot, then reads and retriables" in str(refusal.value)


@quick
@given(st.lists(st.sampled_from(sorted(CALLING)), min_size=1, max_size=6))
def test_only_retriables_and_reads_may_follow_the_pivot(kinds):
    point = next((number for number, kind in enumerate(kinds) if kind in (PIVOT, RETRIABLE)), len(kinds))
    legal = not {COMPENSATABLE, PIVOT} & set(kinds[point + 1 :])
    assert order_is_refused(kinds) is not legal


def test_a_table_without_steps_is_refused():
    with pytest.raises(TableError, match=re.escape("sale v1: it has no steps; give it at least one")):
        saga()


def order_is_refused(kinds: Sequence[Kind]) -> bool:
    try:
        table(kinds)
    except TableError as refusal:
        return " is not legal; " in str(refusal)
    return False
