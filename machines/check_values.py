"""The check that each value of a table has its type and lies within its bounds. It runs before all other checks."""

from collections.abc import Iterable, Iterator, Mapping

from machines.call import Call
from machines.check_branching import group_value_problems
from machines.check_calls import LONGEST_WAIT_S, retry_problems, shape_problems, start_problems
from machines.check_fields import field_problems
from machines.check_later import later_value_problems
from machines.check_repaired import repaired
from machines.check_search import search_value_problems, tag_type_problems
from machines.check_types import column_of, misused, no_text, out_of, shown
from machines.check_waiting import waiting_value_problems
from machines.check_when import when_value_problems
from machines.check_wording import step_wording_problems, wording_value_problems
from machines.children import Branch, Start
from machines.retry import Retry
from machines.step import CALLING, Kind, Step
from machines.table import Table
from machines.words import Misused

#: Largest timeout_s= of a step, in seconds: one hour, because a call keeps a thread busy and its saga leased.
LONGEST_CALL_S = 3_600
HIGHEST_PRIORITY = 9
LARGEST_AT_ONCE = 10_000  # no process has more threads
LARGEST_VERSION = 2**31 - 1  # largest version= of a table; the database column is a signed 32-bit integer

Problems = Iterator[tuple[Step | None, str]]


def value_problems(table: Table) -> Problems:
    """Yield a problem for each value with a wrong type or out of bounds, with the step that has the value."""
    columns = list(column_problems(table))
    yield from ((None, problem) for problem in columns)
    if columns:
        return
    # The data of a branch is derived from fields that were checked where the author wrote them.
    for name, field in () if table.is_branch else table.data.items():
        yield from ((None, f"field {name!r}: {problem}") for problem in field_problems(name, field))
    yield from ((None, problem) for problem in search_value_problems(table))
    steps: Iterable[object] = table.steps  # an author may write any value
    for step in steps:
        if isinstance(step, Step):
            yield from ((step, problem) for problem in step_value_problems(step))
        else:
            yield from ((None, problem) for problem in _misfit_problems(step))


def _number_problems(table: Table) -> Iterator[str]:
    yield from out_of("version=", table.version, 1, LARGEST_VERSION, whole=True)
    yield from out_of("deadline_s=", table.deadline_s, 0, LONGEST_WAIT_S, above=True)
    yield from out_of("priority=", table.priority, 0, HIGHEST_PRIORITY, whole=True)
    if table.at_once is not None:
        yield from out_of("at_once=", table.at_once, 1, LARGEST_AT_ONCE, whole=True)


def column_problems(table: Table) -> Iterator[str]:
    """Yield a problem for each column of the table with a wrong type, without the parts of data= and steps=."""
    for column in ("name", "initial", "completed", "compensated"):
        yield from no_text(f"{column}=", getattr(table, column))
    for column in ("client", "store", "order", "started_by"):
        if getattr(table, column) is not None:
            yield from no_text(f"{column}=", getattr(table, column))
    yield from _number_problems(table)
    for column, example in (
        ("participants", "('stock',)"),
        ("steps", "(read(…), pivot(…)), with a comma after the only one"),
    ):
        if not isinstance(values := getattr(table, column), (tuple, list)):
            yield f"{column}= is {shown(values)}, no tuple; write {example}"
        elif column == "participants":
            yield from (
                f"participants= holds {shown(name)}; write names in quotes"
                for name in values
                if not isinstance(name, str)
            )
    yield from tag_type_problems(table)
    yield from wording_value_problems(table)
    data, events = column_of(table, "data"), column_of(table, "events")
    if not isinstance(data, Mapping):
        yield f"data= is {shown(data)}, no dict; write {{'name': text()}}"
    if not isinstance(events, Mapping):
        yield f"events= is {shown(events)}, no dict; write {{'STATE': 'EventName'}}"
    else:
        for state, event in events.items():
            yield from no_text("events= names", state)
            yield from no_text(f"the event of {shown(state)}", event)


def _misfit_problems(value: object) -> Iterator[str]:
    """Yield a problem for each value in steps= that is not a step, with the name of the step if the author gave one."""
    if isinstance(value, Branch):
        yield f"steps= holds the branch {value.name!r}; a branch stands in together(): write together(branch(…), …)"
        return
    if not isinstance(value, Misused):
        yield f"steps= holds {shown(value)}; write read(…), compensatable(…), pivot(…) or retriable(…)"
        return
    name = value.step_name
    where = f"step {name}" if name else f"steps= holds {shown(value)}"
    yield from misused(where, value)
    if (meant := repaired(value)) is not None:
        yield from (f"{where}: {problem}" for problem in step_value_problems(meant))
        return
    for call in (*value.values, *value.named.values()):
        if isinstance(call, Call):
            yield from (f"{where}: {problem}" for problem in shape_problems(call))


def step_value_problems(step: Step) -> Iterator[str]:
    """Yield a problem for each value of a step with a wrong type or out of bounds."""
    yield from no_text("its name", step.name)
    if not isinstance(kind := column_of(step, "kind"), Kind):
        yield f"its kind {shown(kind)} is none; use read(), compensatable(), pivot() or retriable()"
        return
    yield from no_text("done=", step.done)
    for column in ("refused", "doing", "undoing"):
        if getattr(step, column) is not None:
            yield from no_text(f"{column}=", getattr(step, column))
    calls = ("call", "undo", "probe") if kind in CALLING else ("undo", "probe")
    yield from _word_problems(step)
    for column in calls:
        call = getattr(step, column)
        if isinstance(call, Misused):
            yield from misused(column, call)
        elif isinstance(call, Call):
            found = start_problems(call) if isinstance(call, Start) else shape_problems(call)
            yield from (problem if isinstance(call, Start) else f"{column}: {problem}" for problem in found)
        elif call is not None or column == "call":
            yield f"{column} is {shown(call)}, no call; write get('participant', '/path') or post(…)"
    if step.group is not None:
        yield from group_value_problems(step.group)
        for inner in (each for branch in step.group.branches for each in branch.steps if isinstance(each, Step)):
            yield from (f"step {inner.name}: {problem}" for problem in step_value_problems(inner))
    yield from step_wording_problems(step)
    yield from out_of("timeout_s=", step.timeout_s, 0, LONGEST_CALL_S, above=True)
    yield from out_of("dwell_s=", step.dwell_s, 0, LONGEST_WAIT_S, above=True)
    yield from _retry_problems(column_of(step, "retry"))


def _word_problems(step: Step) -> Iterator[str]:
    """Yield the problems of the columns whose values are words: a wait, `later=` and `when=`."""
    if step.waits is not None or step.kind not in CALLING:
        yield from waiting_value_problems(step)
    if step.later is not None:
        yield from later_value_problems(step.later)
    if step.when is not None:
        yield from when_value_problems(step.when)


def _retry_problems(retry: object) -> Iterator[str]:
    if isinstance(retry, Retry):
        yield from retry_problems(retry)
    elif isinstance(retry, Misused):
        yield from misused("retry", retry)
    elif isinstance(retry, Mapping):
        yield "retry= of a step is one Retry; write retry={IN_DOUBT: …, NOT_SENT: …} in its call"
    else:
        yield f"retry= is {shown(retry)}; write Retry(attempts=3)"
