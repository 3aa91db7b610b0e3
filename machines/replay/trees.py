"""The journals of a saga and of its children as one test.

Branches run at the same time, and the test runs them one after another. So of a child only its state at the end is
compared, and not the order of its calls among those of others.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Any

from machines.children import INDEX
from machines.history import JournalEntry
from machines.replay.recording import Recording, recording
from machines.replay.stand_ins import StandIns, redacted
from machines.saga import Saga
from machines.testing import Items, Scenario, ok

_LABEL = re.compile(r"(\w+)(.*)")


@dataclass(frozen=True, kw_only=True)
class Journalled:
    """A saga with its journal, and those of its children."""

    definition: Saga
    data: Mapping[str, Any]
    journal: Sequence[JournalEntry]
    state: str
    #: True: it has not come to rest.
    under_way: bool = False
    #: The step of its parent, and its number among the children of that step; "" and 0 for the root.
    step: str = ""
    number: int = 0
    children: Sequence["Journalled"] = ()


def redacted_tree(saga: Journalled) -> Journalled:
    """Return the tree with a stand-in for each value of a person, a number or a text."""
    return _redacted(saga, StandIns())


def _redacted(saga: Journalled, stand_ins: StandIns) -> Journalled:
    data, journal = redacted(saga.definition, saga.data, saga.journal, stand_ins)
    below = [_redacted(child, stand_ins) for child in saga.children]
    return replace(saga, data=data, journal=journal, children=below)


def tree_recording(saga: Journalled, tables: Sequence[Saga] = ()) -> Recording:
    """Return the journals of a tree as a test. Raise ValueError as `recording` does.

    tables: those of the sagas that its steps start, also of those that it has not started.
    """
    found = _of_tree(saga, below=False)
    return replace(found, scenario=replace(found.scenario, children=tuple(tables)))


def _of_tree(saga: Journalled, *, below: bool) -> Recording:
    found = recording(saga.definition, saga.data, saga.journal, under_way=saga.under_way, below=below)
    starts: dict[tuple[str, str, Any], list[Journalled]] = {}
    for child in sorted(saga.children, key=attrgetter("number")):
        starts.setdefault((child.step, child.definition.name, _index(saga, child)), []).append(child)
    for each in starts.values():
        found = _joined(found, saga, each[-1], _of_starts(each))
    return replace(found, acts=tuple(sorted(found.acts, key=attrgetter("at"))))


def _of_starts(starts: Sequence[Journalled]) -> Recording:
    """Return the starts of one child as one recording. A retry starts it again in the place of a compensated one."""
    first, *later = (_of_tree(each, below=True) for each in starts)
    for each in later:
        first = _followed(first, each)
    return first


def _followed(first: Recording, last: Recording) -> Recording:
    """Return two starts of a child as one recording: the answers to the first one come before those to the last one."""
    script, unknown = dict(last.scenario.script), dict.fromkeys((*first.unknown, *last.unknown))
    for call, number in first.requests.items():
        before, after = first.scenario.script.get(call, ()), script.get(call, ())
        if isinstance(before, tuple) and isinstance(after, tuple):
            body = first.scenario.bodies.get(call[1]) if call[0] == "do" else None
            success = ok if body is None else ok(body)
            script[call] = (*before, *[success] * (number - len(before)), *after)
    if any(not isinstance(each, tuple) for each in first.scenario.script.values()):
        unknown[f"{last.scenario.definition}: what its own children did before it was started again."] = None
    requests = Counter(first.requests) + Counter(last.requests)
    scenario = replace(last.scenario, script=script)
    return replace(last, scenario=scenario, acts=(*first.acts, *last.acts), requests=requests, unknown=tuple(unknown))


def _index(parent: Journalled, child: Journalled) -> int | None:
    """Return the number of the item that a child is for; None: its step is done once."""
    group = next(step.group for step in parent.definition.steps if step.name == child.step)
    return int(child.data[INDEX]) if group is not None and group.over is not None else None


def _joined(found: Recording, parent: Journalled, child: Journalled, below: Recording) -> Recording:
    """Return the recording of a parent together with that of one child. below: all starts of this child."""
    index = _index(parent, child)
    group = next(step.group for step in parent.definition.steps if step.name == child.step)
    name = child.step if group is None else child.definition.name.rpartition(".")[2]
    scenario, requests = found.scenario, below.requests
    if group is None:
        scenario = _with_child(scenario, child, below.scenario)
        requests = {(purpose, f"{child.step}.{label}"): number for (purpose, label), number in requests.items()}
    else:
        scenario = _with_branch(scenario, below.scenario, index)
        if index is not None:
            requests = {(purpose, _numbered(label, index)): number for (purpose, label), number in requests.items()}
    place = (name, index)
    return replace(
        found, scenario=scenario, requests={**found.requests, **requests},
        acts=(*found.acts, *(replace(act, child=(place, *act.child)) for act in below.acts)),
        unknown=tuple(dict.fromkeys((*found.unknown, *below.unknown))),
        ends={**found.ends, (place,): child.state, **{(place, *each): end for each, end in below.ends.items()}},
    )  # fmt: skip


def _with_child(scenario: Scenario, child: Journalled, said: Scenario) -> Scenario:
    """Return the scenario of a parent with that of the saga that its step starts."""
    bare = Scenario(definition=child.definition, data=said.data, script=said.script, bodies=said.bodies)
    return replace(scenario, script={**scenario.script, ("do", child.step): bare})


def _with_branch(scenario: Scenario, said: Scenario, index: int | None) -> Scenario:
    """Return the scenario of a parent with the answers to the steps of a branch."""
    if index is None:
        return replace(scenario, script={**scenario.script, **said.script}, bodies={**scenario.bodies, **said.bodies})
    script = dict(scenario.script)
    bodies = {("do", step): (ok(body),) for step, body in said.bodies.items()}
    for call in {**said.script, **bodies}:
        mine = said.script.get(call, ())
        mine = (*mine, *bodies.get(call, ())) if isinstance(mine, tuple) else mine
        known = script.get(call, Items(()))
        others = known.of_item if isinstance(known, Items) else ()
        script[call] = Items((*others, *[()] * (index - len(others)), mine))
    return replace(scenario, script=script)


def _numbered(label: str, index: int) -> str:
    """Return a label with the number of an item: `reserve` → `reserve[1]`, `pay.charge` → `pay[1].charge`."""
    found = _LABEL.fullmatch(label)
    assert found is not None
    return f"{found[1]}[{index}]{found[2]}"
