"""What if: another signal or later answer than that of the journal, or none at all."""

import re
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

from machines.branches import branch_name, branch_tables
from machines.fields import every_value
from machines.outcomes import Outcome
from machines.references import parts
from machines.replay.acts import Act
from machines.replay.recording import Recording
from machines.saga import Saga
from machines.samples import example
from machines.step import Step
from machines.testing import Answer, ok, refused
from machines.testing.successes import put
from machines.waiting import Waiting

#: What can come, and what it means.
ARRIVALS: Mapping[str, Outcome | None] = {"ok": Outcome.SUCCEEDED, "refused": Outcome.REFUSED, "never": None}
_ANSWERS: Mapping[Outcome, Answer] = {Outcome.SUCCEEDED: ok, Outcome.REFUSED: refused()}


@dataclass(frozen=True, kw_only=True)
class Arrival:
    """What a saga waits for: a signal, or the later answer of a participant."""

    #: Its name in the tree, with 0 for the number of each item: `signal release`, `answer pay.charge`, `signal ok[0]`.
    name: str
    step: Step
    #: The state in which the saga waits.
    state: str
    #: The child that waits, see `Act.child`.
    child: tuple[tuple[str, int | None], ...] = ()

    def of_item(self, name: str) -> "Arrival":
        """Return it for the items with the numbers in a name."""
        numbers = iter(map(int, re.findall(r"\[(\d+)\]", name)))
        child = tuple((part, None if item is None else next(numbers)) for part, item in self.child)
        return replace(self, name=name, child=child)


def arrivals_of(definition: Saga, children: Sequence[Saga] = ()) -> Iterator[Arrival]:
    """Yield what a saga, its branches and the sagas that its steps start wait for. children: the tables of these."""
    tables = {table.name: table for root in (definition, *children) for table in (root, *branch_tables(root))}
    yield from _within(definition, tables, "", "", ())


def _within(
    table: Saga, tables: Mapping[str, Saga], prefix: str, items: str, child: tuple[tuple[str, int | None], ...]
) -> Iterator[Arrival]:
    for step in table.steps:
        for branch in step.group.branches if step.group is not None else ():
            inner, over = tables[branch_name(table.name, step, branch)], step.group is not None and step.group.over
            place = (step.name, 0) if over else (branch.name, None)
            yield from _within(inner, tables, prefix, items + "[0]" * bool(over), (*child, place))
        if step.group is None and step.starts is not None and step.starts in tables:
            below = tables[step.starts]
            yield from _within(below, tables, f"{prefix}{step.name}{items}.", "", (*child, (step.name, None)))
        signal = step.waits.signal if step.waits else None
        if signal or (step.later is not None and step.poll is None):
            what = f"signal {prefix}{signal}" if signal else f"answer {prefix}{step.name}"
            state = next(
                name for name, at in table.states.items() if at.step is step and at.waits is not None and not at.undoes
            )
            yield Arrival(name=what + items, step=step, state=state, child=child)


def with_arrival(recording: Recording, arrival: Arrival, word: str) -> Recording:
    """Return the recording with another arrival, or with none. word: of ARRIVALS. Raise ValueError."""
    acts = list(recording.acts)
    known = [each for each in acts if each.child == arrival.child and each.state == arrival.state]
    new = _act(recording, arrival, word, known)
    place = acts.index(known[0]) if known else len(acts)
    others = [each for each in acts if each not in known]
    return replace(recording, acts=(*others[:place], new, *others[place:]))


def _act(recording: Recording, arrival: Arrival, word: str, known: Sequence[Act]) -> Act:
    outcome, waits = ARRIVALS[word], arrival.step.waits
    bare = Act(state=arrival.state, method="after", at=recording.moves[-1].at, child=arrival.child)
    if outcome is None:
        return bare
    if waits is None:
        return replace(bare, method="answer", arguments=(arrival.step.name, _ANSWERS[outcome]))
    came = next((each for each in known if each.method == "signal"), bare)
    body = _body(waits, outcome, came.named)
    if body is None:
        raise ValueError(f"no body of the {arrival.name} means {outcome}")
    return replace(came, method="signal", arguments=(waits.signal,), named=body)


def _body(waits: Waiting, outcome: Outcome, came: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return a body of a signal that means this: the one that came, or one with another field; None without any."""
    body = {**{name: each for name, each in example(waits.brings).items() if waits.brings[name].required}, **came}
    for each in (body, *_variants(waits, body)):
        if waits.outcome_of(each) is outcome:
            return each
    return None


def _variants(waits: Waiting, body: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for path, meanings in waits.means.items():
        for value in (*meanings, *(every_value(waits.brings[path]) if path in waits.brings else ())):
            variant = deepcopy(dict(body))
            put(variant, parts(path), value)
            yield variant
