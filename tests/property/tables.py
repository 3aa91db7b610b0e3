"""Random legal tables. A table is drawn as `StepLine`s, so that a person can read and repeat a failing example."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from hypothesis import strategies as st

from machines.call import Call, delete, get, post
from machines.conditions import Condition, above, below, present
from machines.fields import boolean, text
from machines.later import Later, callback, poll
from machines.outcomes import Outcome
from machines.retry import Retry
from machines.saga import Saga
from machines.step import Kind, Step, approval, compensatable, pause, pivot, read, retriable, wait
from tests.unit.machines.tables import can_be_refused, saga

READ, COMPENSATABLE, PIVOT, RETRIABLE, PAUSE, WAIT, *_ = Kind
NAMES = "abcdef"
#: The longest time, in seconds, for which a saga waits in one step.
LONGEST_WAIT_S = 60


@dataclass(frozen=True)
class StepLine:
    """One step of a table."""

    kind: Kind
    attempts: int = 2
    #: The step has a doing state.
    doing: bool = False
    #: The step has a probe.
    probe: bool = False
    #: The number of an earlier step, to whose reply the calls of this step refer. None: they refer to no reply.
    asks: int | None = None
    #: The participant chooses the id of the thing that it makes. The undo names this id. A repeated key gets the same
    #: reply.
    own_id: bool = False
    #: A refusal with status 422 leaves something behind that must be undone.
    leaves: bool = False
    #: How the step is answered after a 202: `callback`, `poll`, or empty.
    later: str = ""
    #: The condition of the step. None: the step is always done.
    when: "When | None" = None
    #: The outcome of a wait without a signal. None: as the kind of table says.
    over: Outcome | None = None
    #: The wait is an approval.
    approves: bool = False

    @property
    def calls(self) -> bool:
        """True when the step calls a participant."""
        return self.kind not in (PAUSE, WAIT)

    @property
    def brings_id(self) -> bool:
        """True when each success of the step gives it a reply with an id, which later steps may refer to."""
        return self.calls or (self.kind is WAIT and self.over is not Outcome.SUCCEEDED and not self.approves)


class When(StrEnum):
    """A condition. The data of every saga has the client 4."""

    HOLDS = "the client is below 5"
    FAILS = "the client is above 4"
    #: Only with `asks`. The reply lacks the id when the asked step was skipped.
    ASKED = "the reply of the asked step has an id"


def table_of(lines: Sequence[StepLine]) -> Saga:
    participants = ("shop",) if any(line.calls for line in lines) else ()
    return saga(*(step_of(lines, number, NAMES[number]) for number in range(len(lines))), participants=participants)


def step_of(lines: Sequence[StepLine], number: int, name: str) -> Step:
    """Return the step of one line of a table."""
    line = lines[number]
    last = number == len(lines) - 1
    columns = {"done": "DONE" if last else f"{name.upper()}_DONE", "retry": Retry(attempts=line.attempts)}
    if line.doing:
        columns["doing"] = f"{name.upper()}_DOING"
    if line.probe and line.kind in (COMPENSATABLE, PIVOT, RETRIABLE):
        columns["probe"] = get("shop", f"/{name}/probe/{{client_id}}")
    asked = NAMES[line.asks] if line.asks is not None else None
    if line.when is not None:
        always = asked and (lines[line.asks].own_id or lines[line.asks].kind is WAIT) and lines[line.asks].when is None
        columns["when"] = condition(When.HOLDS if always and line.when is When.ASKED else line.when, asked)
    if asked and line.when is not When.ASKED and lines[line.asks].when is not None:
        asked = None  # the reply may be missing, and the calls of this step need it
    goes_back = can_be_refused([line.kind for line in lines], number)
    if goes_back:
        columns["refused"] = f"NO_{name.upper()}"
    if not line.calls:
        del columns["retry"]
        return _waiting_step(name, line, columns, goes_back=goes_back)
    return _calling_step(name, line, columns, asked)


def _calling_step(name: str, line: StepLine, columns: dict[str, Any], asked: str | None) -> Step:
    """Return a step that calls a participant. asked: the step to whose reply its calls refer."""
    if line.later:
        columns["later"] = _later(name, line)
    if line.kind is READ:
        return read(name, get("shop", f"/{name}/read/{{{f'{asked}.id' if asked else 'client_id'}}}"), **columns)
    if line.own_id:
        call = _call(name, "do", asked, keeps={"id": text()}, **_means(line))
        undo = delete("shop", f"/{name}/undo/{{{name}.id}}")
        return compensatable(name, call, undo=undo, repeatable=True, **columns | {"retry": _repeated(line)})
    if line.kind is COMPENSATABLE:
        return compensatable(name, _call(name, "do", asked, **_means(line)), undo=_call(name, "undo", asked), **columns)
    make = pivot if line.kind is PIVOT else retriable
    return make(name, _call(name, "must" if line.kind is RETRIABLE else "do", asked), **columns)


def _later(name: str, line: StepLine) -> Later:
    if line.later == "callback":
        return callback(within_s=LONGEST_WAIT_S)
    return poll(get("shop", f"/{name}/poll/{{client_id}}"), every_s=1, within_s=LONGEST_WAIT_S)


def _waiting_step(name: str, line: StepLine, columns: dict[str, Any], *, goes_back: bool) -> Step:
    """Return a pause, an approval or a wait. Before the point of no return its signal can refuse."""
    if line.kind is PAUSE:
        return pause(name, for_s=LONGEST_WAIT_S, **columns)
    if line.approves and goes_back:
        return approval(name, role="operator", within_s=LONGEST_WAIT_S, **columns)
    over = None if line.over is Outcome.REFUSED and not goes_back else line.over
    means = {"ok": {False: Outcome.REFUSED}} if goes_back else {}
    brings = {"id": text(), "ok": boolean()}
    return wait(name, signal=name, within_s=LONGEST_WAIT_S, brings=brings, means=means, over=over, **columns)


def body_of(line: StepLine, *, refuses: bool) -> dict[str, Any]:
    """Return the body of a signal that ends the wait of a step."""
    return {"approved": not refuses} if line.approves else {"id": "signalled", "ok": not refuses}


def condition(when: When, asked: str | None = None) -> Condition:
    if when is When.ASKED:
        return present(f"{asked}.id")
    return below("client_id", 5) if when is When.HOLDS else above("client_id", 4)


def is_skipped(line: StepLine, asked_id: object) -> bool:
    """Return True when the condition of a step does not hold. asked_id: the id in the reply of the asked step."""
    return line.when is When.FAILS or (line.when is When.ASKED and asked_id is None)


def _call(name: str, verb: str, asked: str | None, **columns: Any) -> Call:
    references = {f"of_{asked}": f"{asked}.id"} if asked else {}
    return post("shop", f"/{name}/{verb}", client_id="client_id", **references, **columns)


def _means(line: StepLine) -> dict[str, Any]:
    return {"means": {422: Outcome.REFUSED_UNDO}} if line.leaves else {}


def _repeated(line: StepLine) -> Retry:
    """Return a retry of at least two attempts, because the call must be repeatable."""
    return Retry(attempts=max(line.attempts, 2))


@st.composite
def lines_of_tables(draw: st.DrawFn) -> tuple[StepLine, ...]:
    """Draw a table of up to 6 steps: (read | compensatable | wait)* pivot? (read | retriable | wait)*."""
    front = draw(st.lists(st.sampled_from([COMPENSATABLE, COMPENSATABLE, READ, WAIT, PAUSE]), max_size=3))
    point = [PIVOT] if not front or draw(st.booleans()) else []
    after = draw(st.lists(st.sampled_from([RETRIABLE, RETRIABLE, READ, WAIT, PAUSE]), max_size=2))
    kinds = [*front, *point, *after]
    lines: list[StepLine] = []
    for number, kind in enumerate(kinds):
        asked = [earlier for earlier, line in enumerate(lines) if line.brings_id]
        line = draw(_lines(kind, asked))
        lines.append(replace(line, approves=line.approves and can_be_refused(kinds, number)))
    return tuple(lines)


@st.composite
def _lines(draw: st.DrawFn, kind: Kind, asked: Sequence[int]) -> StepLine:
    """Draw a step. A step with its own ids, or with a refusal that leaves something behind, has no probe.

    asked: the numbers of the steps that it may refer to.
    """
    own_id, leaves = (kind is COMPENSATABLE and draw(st.booleans()) for _ in range(2))
    asks = draw(st.none() | st.sampled_from(asked)) if asked else None
    conditions = [When.HOLDS, When.FAILS, *([When.ASKED] if asks is not None else [])]
    has_effect = kind in (COMPENSATABLE, PIVOT, RETRIABLE)
    return StepLine(
        kind,
        attempts=draw(st.integers(1, 4)),
        doing=draw(st.booleans()),
        probe=not (own_id or leaves) and draw(st.booleans()),
        asks=asks,
        own_id=own_id,
        leaves=leaves,
        later=draw(st.sampled_from(["", "callback", "poll"])) if has_effect and not (own_id or leaves) else "",
        when=draw(st.sampled_from([None, None, *conditions])),
        over=draw(st.sampled_from([None, Outcome.SUCCEEDED, Outcome.REFUSED])) if kind is WAIT else None,
        approves=kind is WAIT and draw(st.booleans()),
    )
