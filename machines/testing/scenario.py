"""A test of a saga: its table, its data, and the answers of its participants."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from machines.accepting import NotAcceptedError, accept
from machines.saga import Saga
from machines.samples import example
from machines.step import Kind
from machines.testing.answers import Always, Answer, Answers, listed
from machines.testing.memory import Clock
from machines.testing.run import Run

_NOTHING: Mapping[Any, Any] = MappingProxyType({})
#: The kinds of steps that a test can run. A table with another one is refused, so that no test passes by chance.
KNOWN_KINDS = frozenset({Kind.READ, Kind.COMPENSATABLE, Kind.PIVOT, Kind.RETRIABLE, Kind.PAUSE, Kind.WAIT})


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """A saga that can be run. Each method returns another scenario, so one can be the start of many."""

    definition: Saga
    data: Mapping[str, Any]
    #: (purpose, step) → the answers, in their order; the purpose is do, undo, probe or poll.
    script: Mapping[tuple[str, str], tuple[Answer | Always, ...]] = field(default_factory=lambda: _NOTHING)
    #: Step → body of its success.
    bodies: Mapping[str, Any] = field(default_factory=lambda: _NOTHING)
    #: Signals that arrive before the saga starts: name → body.
    early: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: _NOTHING)
    #: False: the waits between two attempts are as short as possible.
    backs_off: bool = True
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
        for step in bodies:
            self._step(step, "do")
        return replace(self, bodies={**self.bodies, **bodies})

    def with_signal(self, signal: str, /, **body: Any) -> "Scenario":
        """Send a signal before the saga waits for it."""
        return replace(self, early={**self.early, signal: body})

    def without_back_off(self) -> "Scenario":
        """Wait a millisecond between two attempts, and not the longest time, so that many fit before the deadline."""
        return replace(self, backs_off=False)

    def starting_at(self, moment: str) -> "Scenario":
        """Start the saga at this moment, such as "2026-11-28T09:30:00Z", for pauses until a date of the data."""
        return replace(self, began=dt.datetime.fromisoformat(moment).astimezone(dt.UTC))

    def run(self) -> Run:
        """Run the saga until it ends, is stuck, or waits for a signal, an answer or a time."""
        clock = Clock(began=self.began) if self.began else Clock()
        saga = Run(self.definition, self.data, self.script, self.bodies, clock, backs_off=self.backs_off)
        for signal, body in self.early.items():
            saga.signal(signal, **body)
        return saga.start()

    def _with(self, purpose: str, answers: Mapping[str, Answers]) -> "Scenario":
        for step in answers:
            self._step(step, purpose)
        added = {(purpose, step): listed(each) for step, each in answers.items()}
        return replace(self, script={**self.script, **added})

    def _step(self, name: str, purpose: str) -> None:
        known = [
            step.name
            for step in self.definition.steps
            if {"do": step.call, "undo": step.undo, "probe": step.probe, "poll": step.poll}[purpose]
        ]
        if name not in known:
            what = {"do": "a call", "undo": "an undo", "probe": "a probe", "poll": "a poll"}[purpose]
            raise ValueError(f"{self.definition} has no step {name} with {what}; it has {', '.join(known) or 'none'}")

    def __str__(self) -> str:
        words = [
            f"{'' if purpose == 'do' else purpose + ' '}{step} {', '.join(map(str, answers))}"
            for (purpose, step), answers in self.script.items()
        ]
        return "; ".join([*words, *(f"signal {name}" for name in self.early)]) or "every step succeeds"


def given(definition: Saga, data: Mapping[str, Any] | None = None) -> Scenario:
    """Return a scenario of a table. data: the data of the saga; fields that are left out get examples.

    Raise ValueError for data that the API would refuse, and for a table that no test can run.
    """
    _check_runnable(definition)
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
    return Scenario(definition=definition, data=accepted)


def _check_runnable(definition: Saga) -> None:
    """Raise ValueError for a table with a step that a test cannot run yet."""
    for step in definition.steps:
        if step.starts is not None:
            alone = "a test runs one saga alone; test the tables of its children"
            raise ValueError(f"{definition}: the step {step.name} starts other sagas, and {alone}")
        if step.kind not in KNOWN_KINDS:
            raise ValueError(f"{definition}: a test cannot run {step.kind} of the step {step.name} yet")
