"""Rules for the compensating transitions of every legal table."""

from hypothesis import given

from machines.checkout import CHECKOUT
from machines.progress import operator_triggers
from machines.purchase import PURCHASE
from machines.saga import Saga
from machines.step import Kind
from machines.transitions import Phase, Trigger
from tests.unit.machines.tables import (
    COMPENSATABLE,
    PIVOT,
    READ,
    edges,
    entry_of,
    leaving,
    legal_tables,
    point_of_no_return,
    quick,
    reachable,
    table,
)


@quick
@given(legal_tables())
def test_refused_step_undoes_those_before_in_reverse(table):
    for number, step in enumerate(table.steps):
        if step.refused:
            back = leaving(table, step.refused)[Trigger.COMPENSATE]
            assert undone_from(table, back) == undos_before(table, number)


@quick
@given(legal_tables())
def test_compensatable_without_attempts_left_undoes_itself_first(table):
    for number, step in enumerate(table.steps):
        if step.kind is Kind.COMPENSATABLE:
            failure = leaving(table, entry_of(table, number))[Trigger.EXHAUSTED]
            back = leaving(table, failure)[Trigger.COMPENSATE_INCLUDING]
            assert undone_from(table, back) == [step.name, *undos_before(table, number)]


@quick
@given(legal_tables())
def test_read_without_attempts_left_undoes_those_before(table):
    for number, step in enumerate(table.steps):
        if step.kind is Kind.READ and step.refused:
            failure = leaving(table, entry_of(table, number))[Trigger.EXHAUSTED]
            assert set(leaving(table, failure)) == {Trigger.COMPENSATE}


@quick
@given(legal_tables())
def test_pivot_without_attempts_left_is_stuck_and_can_go_back(table):
    for number, step in enumerate(table.steps):
        if step.kind is Kind.PIVOT:
            stuck = leaving(table, entry_of(table, number))[Trigger.EXHAUSTED]
            assert table.states[stuck].phase is Phase.STUCK
            assert undone_from(table, leaving(table, stuck)[Trigger.COMPENSATE]) == undos_before(table, number)


@quick
@given(legal_tables())
def test_stuck_step_is_compensated_with_those_before_it(table):
    for number, step in enumerate(table.steps):
        out = leaving(table, leaving(table, entry_of(table, number))[Trigger.QUARANTINE])
        back = out.get(Trigger.COMPENSATE_INCLUDING) or out.get(Trigger.COMPENSATE)
        own = [step.name] if step.kind is Kind.COMPENSATABLE else []
        assert (back is not None) is (step.refused is not None)
        assert back is None or undone_from(table, back) == own + undos_before(table, number)


@quick
@given(legal_tables())
def test_after_the_point_of_no_return_there_is_no_way_back(table):
    point = point_of_no_return(table)
    if point is None:
        return
    only_forward = table.steps[point].done if table.steps[point].kind is PIVOT else entry_of(table, point)
    phases = {table.states[state].phase for state in reachable(table, only_forward)}
    assert phases <= {Phase.PASSING, Phase.FORWARD, Phase.STUCK, Phase.COMPLETED}


@quick
@given(legal_tables())
def test_before_the_point_of_no_return_there_is_always_a_way_back(table):
    point = point_of_no_return(table)
    last = len(table.steps) - 1 if point is None else point
    for number in range(last + 1):
        if table.steps[number].refused:
            assert table.compensated in reachable(table, entry_of(table, number))


@quick
@given(legal_tables())
def test_completed_saga_without_a_pivot_can_be_compensated(table):
    out = leaving(table, table.completed)
    if point_of_no_return(table) is None:
        assert set(out) == {Trigger.COMPENSATE}
        assert undone_from(table, out[Trigger.COMPENSATE]) == undos_before(table, len(table.steps))
    else:
        assert out == {}


@quick
@given(legal_tables())
def test_a_compensation_in_flight_is_the_undo_of_its_step(table):
    undoing = [state for state in table.states.values() if state.phase is Phase.UNDOING]
    assert {state.step.name for state in undoing} == {s.name for s in table.steps if s.kind is Kind.COMPENSATABLE}
    for state in undoing:
        assert state.call is state.step.undo
        assert (state.direction, state.effectful) == ("undo", True)


def test_undos_run_in_reverse_past_the_reads_between_them():
    ways = table([COMPENSATABLE, READ, COMPENSATABLE, READ, COMPENSATABLE, PIVOT])
    assert undone_from(ways, leaving(ways, "NO_F")[Trigger.COMPENSATE]) == ["e", "c", "a"]
    assert undone_from(ways, leaving(ways, "NO_D")[Trigger.COMPENSATE]) == ["c", "a"]
    assert undone_from(ways, leaving(ways, "NO_C")[Trigger.COMPENSATE_INCLUDING]) == ["c", "a"]
    assert leaving(ways, "NO_A")[Trigger.COMPENSATE] == "CANCELLED"


def undone_from(table: Saga, state: str) -> list[str]:
    """Return the steps whose undo is called, in order, when every call from `state` succeeds."""
    way, undone = edges(table), []
    while state != table.compensated:
        undone.append(table.states[state].step.name)
        state = way[state, Trigger.SUCCEEDED]
    return undone


def undos_before(table: Saga, number: int) -> list[str]:
    return [step.name for step in reversed(table.steps[:number]) if step.kind is Kind.COMPENSATABLE]


def test_moves_of_a_person_are_not_made_by_the_engine():
    asked = {name: operator_triggers(CHECKOUT, name) for name in CHECKOUT.states}
    assert asked["STOCK_RESERVE"] == {Trigger.CANCEL}, "its retry is the engine's"
    assert asked["PAIEMENT_EFFECTUE"] == frozenset(), "a pivot in flight"
    assert asked["STUCK_ENREGISTRER_VENTE"] == {Trigger.RETRY, Trigger.RESOLVE, Trigger.COMPENSATE}
    assert asked["STUCK_PAYER"] == {Trigger.RETRY, Trigger.RESOLVE, Trigger.COMPENSATE_INCLUDING}
    assert asked["STUCK_UNDO_PAYER"] == {Trigger.RETRY, Trigger.RESOLVE}
    assert asked["REMBOURSEMENT"] == asked["CONFIRMEE"] == asked["ANNULEE"] == frozenset()
    assert operator_triggers(PURCHASE, "COMPLETED") == {Trigger.COMPENSATE}
