"""A test of a saga: its table, its data, and the answers of its participants."""

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from machines.accepting import NotAcceptedError, accept
from machines.registry import BadTablesError, Registry
from machines.saga import Saga
from machines.samples import example
from machines.signals import step_waiting_for
from machines.step import Kind, Step
from machines.testing.answers import Answers, Items, check_body, listed
from machines.testing.family import Family
from machines.testing.memory import Clock, Memory
from machines.testing.run import Run
from machines.testing.signals import NotAllowedError

_NOTHING: Mapping[Any, Any] = MappingProxyType({})
#: The kinds of steps that a test can run. A table with another one is refused, so that no test passes by chance.
KNOWN_KINDS = frozenset({Kind.READ, Kind.COMPENSATABLE, Kind.PIVOT, Kind.RETRIABLE, Kind.PAUSE, Kind.WAIT})


@dataclass(frozen=True, kw_only=True)
class Place:
    """A step of a table or of its branches."""

    step: Step
    #: Number of each() around it.
    items: int


def places(steps: Iterable[Step], items: int = 0) -> Iterator[Place]:
    """Yield each step, and in the place of a group the steps of its branches."""
    for step in steps:
        if step.group is None:
            yield Place(step=step, items=items)
            continue
        for branch in step.group.branches:
            yield from places(branch.steps, items + (step.group.over is not None))


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """A saga that can be run. Each method returns another scenario, so one can be the start of many."""

    definition: Saga
    data: Mapping[str, Any]
    #: The tables of the sagas that its steps start.
    children: tuple[Saga, ...] = ()
    #: True: the test has given the data. A child has the data that its parent gives it.
    own_data: bool = False
    #: (purpose, step) → the answers, in their order, or those of each item, or the scenario of the child that the step
    #: starts; the purpose is do, undo, probe or poll.
    script: Mapping[tuple[str, str], Any] = field(default_factory=lambda: _NOTHING)
    #: Step → body of its success.
    bodies: Mapping[str, Any] = field(default_factory=lambda: _NOTHING)
    #: Signals that arrive before the saga starts: name → body.
    early: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: _NOTHING)
    #: False: the waits between two attempts are as short as possible.
    backs_off: bool = True
    #: True: answers and signals that the saga does not use are meant, and time may pass after its end.
    allows_unused: bool = False
    #: When the saga starts; None: at the beginning of 2026.
    began: dt.datetime | None = None
    #: Name in the list of tests.
    name: str = ""

    @property
    def __name__(self) -> str:
        return self.name or str(self)

    def when(self, **answers: Answers) -> "Scenario":
        """Set what the participants answer to each step; a step without an answer succeeds."""
        return self._with("do", answers)

    def when_undone(self, **answers: Answers) -> "Scenario":
        """Set what the participants answer to the undo of each step."""
        return self._with("undo", answers)

    def when_probed(self, **answers: Answers) -> "Scenario":
        """Set what the probe of each step gets. By default it answers what its participant keeps."""
        return self._with("probe", answers)

    def when_polled(self, **answers: Answers) -> "Scenario":
        """Set what the polls of each accepted step get. By default the first poll learns that the step is done."""
        return self._with("poll", answers)

    def replying(self, **bodies: Any) -> "Scenario":
        """Set the body of the success of each step, for calls that need more than invented values."""
        for step, body in bodies.items():
            check_body(body, f"{self.definition}: {self._step(step, 'do').step.name}")
        return replace(self, bodies={**self.bodies, **bodies})

    def with_signal(self, signal: str, /, **body: Any) -> "Scenario":
        """Send a signal before the saga waits for it. Raise ValueError for a second one, which no wait would take."""
        if signal in self.early:
            raise ValueError(f"{self.definition}: the signal {signal} is sent twice; the first one counts")
        return replace(self, early={**self.early, signal: body})

    def without_back_off(self) -> "Scenario":
        """Wait a millisecond between two attempts, and not the longest time, so that many fit before the deadline."""
        return replace(self, backs_off=False)

    def allowing_unused(self) -> "Scenario":
        """Accept answers and signals that the saga does not use, and time that passes after its end."""
        return replace(self, allows_unused=True)

    def starting_at(self, moment: str) -> "Scenario":
        """Start the saga at this moment, such as "2026-11-28T09:30:00Z", for pauses until a date of the data."""
        try:
            began = dt.datetime.fromisoformat(moment)
        except (TypeError, ValueError):
            began = None
        if began is None or began.tzinfo is None:
            raise ValueError(f"starting_at({moment!r}): write a date and time with a zone, as 2026-11-28T09:30:00Z")
        return replace(self, began=began.astimezone(dt.UTC))

    def run(self) -> Run:
        """Run the saga until it ends, is stuck, or waits for a signal, an answer or a time."""
        clock = Clock(began=self.began) if self.began else Clock()
        registry = registry_of((self.definition, *self.tables()))
        known = [self.definition, *registry]
        if unknown := [name for name in self.early if not any(step_waiting_for(each, name) for each in known)]:
            raise NotAllowedError(f"{self.definition} waits for no signal {unknown[0]}")
        family = Family(registry, clock, self.early, backs_off=self.backs_off)
        memory = Memory(definition=self.definition, data=self.data, clock=clock)
        return Run(family, family.add(memory, self)).start()

    def tables(self) -> Iterator[Saga]:
        """Yield the tables of all children that the test names, also within the scenarios of children."""
        yield from self.children
        for said in self.script.values():
            for each in said.of_item if isinstance(said, Items) else (said,):
                if isinstance(each, Scenario):
                    yield each.definition
                    yield from each.tables()

    def _with(self, purpose: str, answers: Mapping[str, Any]) -> "Scenario":
        added = {(purpose, step): self._said(self._step(step, purpose), each) for step, each in answers.items()}
        return replace(self, script={**self.script, **added})

    def _said(self, at: Place, said: Any) -> Any:
        """Return what the test says of a step, checked."""
        if isinstance(said, Items):
            if not at.items:
                raise ValueError(f"{self.definition}: {at.step.name} is done once; items() is for steps within each()")
            inner = replace(at, items=at.items - 1)
            return Items(tuple(self._said(inner, each) for each in said.of_item))
        if at.step.starts is None:
            return listed(said, f"{self.definition}: {at.step.name}=")
        if not isinstance(said, Scenario) or said.definition.name != at.step.starts:
            hint = f"write {at.step.name}=given(TABLE).when(…) with the table of {at.step.starts}"
            raise ValueError(f"{self.definition}: {at.step.name} starts the saga {at.step.starts}; {hint}")
        if said.own_data:
            raise ValueError(f"{self.definition}: its step {at.step.name} gives the child its data; leave the data out")
        return said

    def _step(self, name: str, purpose: str) -> Place:
        known = {place.step.name: place for place in places(self.definition.steps) if _has(place.step, purpose)}
        if name not in known:
            what = {"do": "a call", "undo": "an undo", "probe": "a probe", "poll": "a poll"}[purpose]
            raise ValueError(f"{self.definition} has no step {name} with {what}; it has {', '.join(known) or 'none'}")
        return known[name]

    def __str__(self) -> str:
        words = [
            f"{'' if purpose == 'do' else purpose + ' '}{step} {_words(answers)}"
            for (purpose, step), answers in self.script.items()
        ]
        return "; ".join([*words, *(f"signal {name}" for name in self.early)]) or "every step succeeds"


@lru_cache(maxsize=256)
def registry_of(tables: tuple[Saga, ...]) -> Registry:
    """Return the tables that a test uses. Raise ValueError for a table that starts a saga that is not among them."""
    if not any(step.starts for table in tables for step in table.steps):
        return Registry([])
    try:
        return Registry(list(dict.fromkeys(tables)))
    except BadTablesError as error:
        raise ValueError(f"{error}; a test names the tables of children: given(TABLE, data, children=[…])") from None


def given(definition: Saga, data: Mapping[str, Any] | None = None, children: Iterable[Saga] = ()) -> Scenario:
    """Return a scenario of a table. data: the data of the saga; fields that are left out get examples.

    children: the tables of the sagas that its steps start; those that `when` names can be left out.
    Raise ValueError for data that the API would refuse, and for a table that no test can run.
    """
    _check_runnable(definition)
    if not isinstance(data, Mapping | None):
        raise TypeError(f"the data of {definition} are {data!r}; write a dict with its fields, or leave them out")
    tables = () if isinstance(children, Saga) else tuple(children)
    if isinstance(children, Saga) or not all(isinstance(each, Saga) for each in tables):
        raise TypeError(f"the children of {definition}: write a list of tables, such as children=[PAYMENT]")
    given_data = data or {}
    if unknown := sorted(given_data.keys() - definition.data.keys()):
        raise ValueError(f"{definition} has no field {unknown[0]}; it has {', '.join(definition.data)}")
    complete = example(definition.data) | dict(given_data)
    accepted = {}
    for name, value in complete.items():
        try:
            accepted[name] = accept(definition.data[name], value)
        except NotAcceptedError as error:
            where = ".".join(map(str, (name, *error.path)))
            raise ValueError(f"the data of {definition}: {where} {error.problem}") from None
    return Scenario(definition=definition, data=accepted, children=tables, own_data=data is not None)


def _has(step: Step, purpose: str) -> bool:
    if step.starts is not None and purpose != "do":  # its undo is that of the child
        return False
    return {"do": step.call, "undo": step.undo, "probe": step.probe, "poll": step.poll}[purpose] is not None


def _words(said: Any) -> str:
    return ", ".join(map(str, said)) if isinstance(said, tuple) else str(said)


def _check_runnable(definition: Saga) -> None:
    """Raise ValueError for a table with a step of a kind that a test does not know, TypeError for no table."""
    if isinstance(definition, Scenario):
        raise TypeError("this is a scenario already; for every outcome of it write every_outcome_of(…)")
    if not isinstance(definition, Saga):
        raise TypeError(f"{definition!r} is no table; give the Saga(…) itself, such as given(TRAVEL)")
    for place in places(definition.steps):
        if place.step.kind not in KNOWN_KINDS:
            raise ValueError(f"{definition}: a test cannot run {place.step.kind} of the step {place.step.name} yet")
