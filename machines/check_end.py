"""The checks of at_end=: the calls that are sent after a saga has ended."""

from collections.abc import Iterator, Mapping

from machines.call import Call
from machines.check_calls import shape_problems
from machines.check_scope import Scope
from machines.check_sent import call_problems
from machines.check_types import column_of, mend, misused, no_text, shown
from machines.check_when import skipped_replies
from machines.outcomes import ACCEPTED, REFUSED_UNDO
from machines.step import Kind, Step
from machines.table import Table
from machines.words import Misused

#: Replaces the step of a call that belongs to no step. Every step of the table is an earlier step.
_END = Step(name="", kind=Kind.READ, call=None, done="")


def end_value_problems(table: Table) -> Iterator[str]:
    """Yield a problem for each value of at_end= with a wrong type or out of bounds."""
    if not isinstance(at_end := column_of(table, "at_end"), Mapping):
        yield f"at_end= is {shown(at_end)}, no dict; write {{'SENT': post('participant', '/path')}}"
        return
    for state, call in at_end.items():
        where = f"at_end= {shown(state)}"
        yield from no_text("at_end= names", state)
        if isinstance(call, Misused):
            yield from misused(where, call)
        elif isinstance(call, Call):
            yield from (f"{where}: {problem}" for problem in shape_problems(call))
        else:
            yield f"{where} is {shown(call)}, no call; write post('participant', '/path')"


def end_problems(table: Table) -> Iterator[str]:
    """Yield each problem of the calls in at_end=."""
    ends = (table.completed, table.compensated)
    for state, call in table.at_end.items():
        if state not in ends:
            yield f"at_end= names {state!r}, which is no end; {mend(state, ends, f'name {ends[0]!r} or {ends[1]!r}')}"
        # A saga may be compensated after any step, so no reply is certain to be there.
        scope = Scope(table, _END, tuple(table.steps), replies_may_lack=state != table.completed)
        for problem in (*_column_problems(call), *call_problems(scope, call), *skipped_replies(scope, call)):
            yield f"at_end= {state!r}: {problem}"


def _column_problems(call: Call) -> Iterator[str]:
    """Yield a problem for a call that only reads, and for each column that would be ignored."""
    if call.method == "GET":
        yield f"{call} only reads, so it would report nothing; write post()"
    if call.keeps:
        yield "nothing refers to its reply, so its keeps= would be ignored; drop it"
    if call.retry is not None:
        yield "it is sent again for about 30 hours, so its retry= would be ignored; drop it"
    if REFUSED_UNDO in call.named_outcomes:
        yield "its means= has REFUSED_UNDO, which is for the call of a compensatable; use REFUSED"
    if ACCEPTED in call.named_outcomes:
        yield "its means= has ACCEPTED, and no answer to it comes later; use SUCCEEDED"
