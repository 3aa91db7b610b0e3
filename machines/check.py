"""The checks of a table at import: each error names the table, the step, the problem and the remedy."""

import inspect
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Self

from machines.call import Call
from machines.check_branching import group_problems
from machines.check_end import end_problems, end_value_problems
from machines.check_graph import path_problems
from machines.check_known import kinds_known, known_part
from machines.check_later import later_problems
from machines.check_meanings import meaning_problems
from machines.check_references import order_problems
from machines.check_repaired import ANY
from machines.check_scope import scope_of
from machines.check_search import tag_problems
from machines.check_secrets import owner_problems, search_problems
from machines.check_sent import call_problems
from machines.check_types import mend
from machines.check_values import value_problems
from machines.check_waiting import waiting_problems
from machines.check_when import skip_problems, when_problems
from machines.check_wording import amount_problems, titled_states_problems
from machines.children import Start
from machines.fields import FieldKind
from machines.outcomes import IN_DOUBT, REFUSED_UNDO, Outcome
from machines.references import SAGA
from machines.step import Kind, Step
from machines.table import Table, participant_variable
from machines.transitions import Graph, awaiting_state, derive, stuck_states

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
_PARTICIPANT = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
_ORDER = re.compile(r"[rcw]*p?[rtw]*")  # legal orders of steps; _LETTERS has the letter of each kind
_LETTERS = {
    Kind.READ: "r", Kind.COMPENSATABLE: "c", Kind.PIVOT: "p", Kind.RETRIABLE: "t", Kind.PAUSE: "w", Kind.WAIT: "w",
}  # fmt: skip
_WITH_FIELDS = (FieldKind.OBJECT, FieldKind.LIST, FieldKind.ANYTHING)  # kinds whose values can have fields
#: Methods that always change something (RFC 9110). POST is absent, because a read can use it for a long query.
_CHANGING = frozenset({"PUT", "PATCH", "DELETE"})
#: Files of the code that makes a table. Python gives the constructor of a dataclass the file name "<string>".
_MAKING = frozenset({__file__, *(str(Path(__file__).with_name(name)) for name in ("saga.py", "words.py")), "<string>"})


class Problem(str):
    """A problem of a table, in one line, with the place where the table is written."""

    __slots__ = ("file", "line")

    def __new__(cls, text: str, file: str, line: int) -> Self:
        made = super().__new__(cls, text)
        made.file, made.line = file, line
        return made

    #: File with the table, and the line of its call of Saga().
    file: str
    line: int


class TableError(ValueError):
    """A table is not legal; the text names the table, the step, the first problem and its remedy."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__(problems[0])
        #: Every problem found, each in the same form as the text.
        self.problems = tuple(Problem(problem, *_place_of_the_table()) for problem in problems)


def _place_of_the_table() -> tuple[str, int]:
    """Return the file and the line of the author's code: the innermost call from outside the files of _MAKING."""
    frame = inspect.currentframe()
    while frame is not None and frame.f_code.co_filename in _MAKING:
        frame = frame.f_back
    return (frame.f_code.co_filename, frame.f_lineno) if frame is not None else ("", 0)


def check(table: Table) -> None:
    """Raise TableError with the problems of a table.

    When a value has a wrong type, everything that does not depend on it is still checked. The graph is checked only
    when everything else is legal.
    """
    found = [*value_problems(table), *((None, problem) for problem in end_value_problems(table))]
    found += _problems_beside(table, [step for step, _ in found if step]) if found else _problems(table)
    if found := found or list(_graph_problems(table)):
        raise TableError([_in_full(table, step, problem) for step, problem in found])


def _in_full(table: Table, step: Step | None, problem: str) -> str:
    return f"{table}: {f'step {step.name}: ' if step else ''}{problem}"


def _graph_problems(table: Table) -> Iterator[tuple[Step | None, str]]:
    graph = derive(table)
    ends = table.completed, table.compensated
    # A branch of retriables always completes; then its group waits for it, and nothing compensates it.
    unused = (table.compensated,) if table.is_branch else ()
    for problem in path_problems(graph, table.initial, ends, unused):
        yield None, problem
    for problem in (*_event_problems(table, graph), *titled_states_problems(table, graph.states)):
        yield None, problem


def _problems(table: Table) -> Iterator[tuple[Step | None, str]]:
    yield from ((None, problem) for problem in _saga_problems(table))
    forward_only = False
    for number, step in enumerate(table.steps):
        yield from ((step, problem) for problem in _step_problems(step, forward_only=forward_only))
        for call in step.calls:
            yield from ((step, problem) for problem in call_problems(scope_of(table, number, call), call))
        forward_only = forward_only or step.kind in (Kind.PIVOT, Kind.RETRIABLE)
    yield from waiting_problems(table)
    yield from ((None, problem) for problem in end_problems(table))
    yield from group_problems(table)
    yield from when_problems(table)
    yield from skip_problems(table)
    yield from amount_problems(table)
    yield from _name_problems(table)
    yield from ((None, problem) for problem in _uncalled(table))


def _problems_beside(table: Table, wrong: Sequence[Step]) -> Iterator[tuple[Step | None, str]]:
    """Yield the problems that do not depend on a wrong value. wrong: the steps with a value of a wrong type."""
    if (known := known_part(table, wrong)) is None:
        return
    whole, forward_only = kinds_known(table), False
    legal = [step for step, own in zip(known.steps, table.steps, strict=True) if step is own]
    for number, step in enumerate(known.steps):
        is_legal = any(step is each for each in legal)
        if whole and is_legal:
            yield from ((step, problem) for problem in _step_problems(step, forward_only=forward_only))
        for call in step.calls:
            if call is not ANY:
                yield from ((step, problem) for problem in call_problems(scope_of(known, number, call), call))
        forward_only = forward_only or step.kind in (Kind.PIVOT, Kind.RETRIABLE)
    if whole and all(known.data.values()):  # the other checks read the type of each field
        found = (*waiting_problems(known), *group_problems(known), *when_problems(known), *skip_problems(known))
        found = (*found, *amount_problems(known))
        for owner, problem in (*found, *_name_problems(known)):
            if any(owner is each for each in legal):
                yield owner, problem


def _saga_problems(table: Table) -> Iterator[str]:
    if not table.steps:
        yield "it has no steps; give it at least one"
    for column in ("client", "store"):
        name = getattr(table, column)
        if name is not None and name not in table.data:
            yield f"{column}={name!r} is no field of data; {mend(name, table.data, f'leave {column}= out')}"
    yield from _participant_problems(table)
    if table.order is not None:
        yield from order_problems(table, table.order)
    yield from tag_problems(table)
    yield from search_problems(table)
    yield from owner_problems(table)
    kinds = [step.kind for step in table.steps]
    if not _ORDER.fullmatch("".join(_LETTERS[kind] for kind in kinds)):
        yield (
            f"the order {', '.join(kinds)} is not legal; put reads and compensatables first, then at most one pivot, "
            "then reads and retriables; a pause or a wait may stand anywhere"
        )
    elif kinds and kinds[0] is Kind.RETRIABLE and not table.is_branch:
        yield f"it cannot fail, so it would never end in {table.compensated!r}; begin with a step that may be refused"


def _participant_problems(table: Table) -> Iterator[str]:
    by_setting: dict[str, str] = {}
    for name in table.participants:
        if not _PARTICIPANT.fullmatch(name):
            yield f"participant {name!r} is not a name; use letters, digits, underscores and hyphens"
        elif (other := by_setting.setdefault(participant_variable(name), name)) != name:
            yield f"participants {other!r} and {name!r} would both be set by {participant_variable(name)}; rename one"
    for name, times in Counter(table.participants).items():
        if times > 1:
            yield f"participant {name!r} is registered twice; take one out of participants="


def _uncalled(table: Table) -> Iterator[str]:
    calls = [call for step in table.steps for call in step.calls]
    calls += [call for step in table.steps if step.group for call in step.group.calls]
    for name in table.participants:
        sent = [call for call in (*calls, *table.at_end.values()) if not isinstance(call, Start)]
        if name not in {call.participant for call in sent}:
            yield f"participant {name!r} is called by no step; take it out of participants="


def _attempts(step: Step) -> int:
    """Return how many times the call of a step may be sent."""
    own = step.call.retry if step.call else None
    if isinstance(own, Mapping):
        own = next((each for outcome, each in own.items() if Outcome(outcome) is IN_DOUBT), None)
    return (own or step.retry).attempts


def _step_problems(step: Step, *, forward_only: bool) -> Iterator[str]:
    for column in ("undo", "undoing"):
        if step.kind is not Kind.COMPENSATABLE and getattr(step, column) is not None:
            yield f"a {step.kind} is never undone, so {column}= would be ignored; drop it, or make it a compensatable"
    if step.repeatable and _attempts(step) == 1:
        yield "repeatable= sends the call again, and its retry= lets it be sent once; give it a probe= instead"
    if step.repeatable and not (step.undo and step.undo_needs_reply and step.probe is None):
        yield "repeatable= serves an undo that refers to its own step's reply and has no probe=; drop it"
    if step.kind is Kind.READ and step.probe is not None:
        yield "a read can be sent again at any time, so its probe= would be ignored; drop it"
    if step.kind is Kind.COMPENSATABLE and (step.undo is None or not step.undoing):
        yield "it is compensatable but has no undo; give it one, or make it a pivot or a retriable"
    if (step.kind is Kind.RETRIABLE or forward_only) and step.refused:
        yield f"it cannot be refused, because there is no way back; drop refused={step.refused!r}"
    if not (step.kind is Kind.RETRIABLE or forward_only) and not step.refused:
        yield "it has no state for a refusal; name one with refused="
    yield from later_problems(step)
    yield from meaning_problems(step)
    yield from _method_problems(step)
    yield from _column_problems(step)


def _column_problems(step: Step) -> Iterator[str]:
    """Yield a problem for each column of a call that would be ignored, and for REFUSED_UNDO where nothing is undone."""
    for column, call in (("undo", step.undo), ("probe", step.probe), ("poll", step.asks)):
        if call is None:
            continue
        if call.keeps and call is step.undo:
            yield "nothing refers to the reply of an undo, so its keeps= would be ignored; drop it"
        if call.retry is not None and call is step.probe:
            yield "a probe is asked before each attempt of its call, so its retry= would be ignored; drop it"
        if REFUSED_UNDO in call.named_outcomes and not (call is step.asks and step.kind is Kind.COMPENSATABLE):
            yield f"the means= of its {column} has REFUSED_UNDO, which is for the call of a compensatable; use REFUSED"
    if step.call is None:
        return
    if REFUSED_UNDO in step.call.named_outcomes and step.kind is not Kind.COMPENSATABLE:
        yield "REFUSED_UNDO means that the step is undone, and it has no undo; use REFUSED, or make it a compensatable"
    if step.probe is not None and step.probe.keeps and (missing := step.call.keeps.keys() - step.probe.keeps.keys()):
        yield f"its probe does not keep {', '.join(sorted(missing))}, as its call does; add it to the probe's keeps="


def _sent(call: Call) -> tuple[object, ...]:
    """Return everything of a call that its participant gets, apart from the headers of the service."""
    return call.method, call.participant, call.path, call.body, call.form, call.query, call.headers


def _method_problems(step: Step) -> Iterator[str]:
    """Yield a problem for each call whose method does not fit its purpose."""
    if step.undo and step.undo.method == "GET":
        yield f"its undo {step.undo} only reads, so it would undo nothing; write post()"
    if step.undo and step.call and step.starts is None and _sent(step.undo) == _sent(step.call):
        yield f"its undo {step.undo} is the same request as its call; give it another path, method or body"
    if step.call and step.kind is Kind.READ and step.call.method in _CHANGING:
        yield f"it is a read, but its call {step.call} changes something; use get() or post(), or make it another kind"
    if step.probe and step.probe.method != "GET":
        yield f"its probe {step.probe} might change something; ask with get()"


def _name_problems(table: Table) -> Iterator[tuple[Step | None, str]]:
    owners: list[tuple[Step | None, str]] = [
        (None, table.initial),
        (None, table.compensated),
        (None, table.completed),
    ]
    for step in table.steps:
        is_end = step is table.steps[-1] and step.done == table.completed
        own = (step.refused, step.doing, step.undoing, None if is_end else step.done)
        owners += [(step, state) for state in own if state is not None]
    names: list[tuple[Step | None, str]] = [(step, step.name) for step in table.steps]
    # The name of a branch, its first state and its compensated end are derived, and may be longer than a name.
    written = owners[2:] if table.is_branch else [(None, table.name), *owners]
    for owner, name in [*names, *written]:
        if not _NAME.fullmatch(name):
            yield owner, f"{name!r} is not a name; use letters, digits and underscores"
    for step in table.steps:
        if step.name == SAGA:
            yield step, f"{SAGA!r} is the name of what saga.id refers to; give the step another name"
        elif step.name in table.data and table.data[step.name].kind in _WITH_FIELDS:
            yield step, f"{step.name!r} is also a field of data with fields of its own; rename one of them"
    for owner, name in _repeated(names):
        yield owner, f"step {name!r} is named twice; give each step a name of its own"
    derived = [(step, state) for step in table.steps for state in stuck_states(step)]
    derived += [(step, awaiting_state(step)) for step in table.steps if step.later]
    for owner, state in _repeated([*owners, *derived]):
        yield owner, f"state {state!r} is named twice; give each state one meaning"


def _event_problems(table: Table, graph: Graph) -> Iterator[str]:
    for state in table.events:
        if state not in graph.states:
            yield f"events= names {state!r}, which is no state; {mend(state, graph.states, 'take it out')}"
    for event in (*table.events.values(), table.started_by):
        if event is not None and not _NAME.fullmatch(event):
            yield f"{event!r} is not the name of an event; use letters, digits and underscores"


def _repeated(named: Sequence[tuple[Step | None, str]]) -> Iterator[tuple[Step | None, str]]:
    count = Counter(name for _, name in named)
    return (item for item in reversed(named) if count[item[1]] > 1)
