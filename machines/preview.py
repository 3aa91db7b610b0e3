"""A preview of a move that a person requests. A trial saga in memory makes the moves; nothing is sent or stored.

The preview shows the states and calls that follow if every call succeeds, and those that follow if the first one fails.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from machines.call import Call
from machines.conditions import Condition
from machines.outcomes import Outcome
from machines.progress import Walk
from machines.saga import Saga
from machines.transitions import NOWHERE, Phase, State, Trigger


@dataclass(frozen=True, kw_only=True)
class Stop:
    """A state that the saga will enter."""

    #: State of the saga's table.
    state: State
    #: Call sent in the state; not sent when `probe` finds that it was already done.
    call: Call | None
    #: Call that asks first whether an earlier attempt took effect.
    probe: Call | None = None
    #: Condition that a reply to come will decide; None: the saga certainly comes here.
    only_when: Condition | None = None


@dataclass(frozen=True, kw_only=True)
class Known:
    """What is known of one saga."""

    data: Mapping[str, Any]
    #: The replies so far, by step.
    results: Mapping[str, Any]
    #: Names of the steps that were skipped.
    skipped: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Preview:
    """The states to come after a move."""

    #: Trigger of the move.
    trigger: Trigger
    #: All states to come if every call succeeds.
    course: tuple[Stop, ...]
    #: For each failure of the first call: its trigger and the states to come.
    otherwise: tuple[tuple[Trigger, tuple[Stop, ...]], ...]

    @property
    def calls(self) -> tuple[Call, ...]:
        return tuple(stop.call for stop in self.course if stop.call)

    @property
    def end(self) -> State:
        return self.course[-1].state


def preview(saga: Saga, state: str, trigger: Trigger, *, in_doubt: bool, known: Known | None = None) -> Preview:
    """Return the preview of a move from a state. in_doubt: an attempt of the call in flight may have worked.

    known: what is known of the saga, so that the conditions of its steps can be decided. Raise
    `transitions.MachineError` when the table has no such transition.
    """
    walk = _walk(saga, state, known, in_doubt=in_doubt)
    walk.request_move(trigger)
    return _preview(walk, trigger, walk.take())


def preview_send_now(saga: Saga, state: str, *, in_doubt: bool, known: Known | None = None) -> Preview:
    """Return the preview of *send now*, see machines.send_now. in_doubt, known: see `preview`."""
    walk = _walk(saga, state, known, in_doubt=in_doubt)
    if walk.current.is_pause:
        walk.end_wait(Outcome.SUCCEEDED, reason="", actor="")
        return _preview(walk, Trigger.SUCCEEDED, walk.take())
    return _preview(walk, Trigger.RETRY, (walk.current,))


def preview_start(saga: Saga, known: Known) -> Preview:
    """Return the preview of the start of a saga. known: its data."""
    walk = _walk(saga, NOWHERE, known, in_doubt=False)
    walk.create(actor="")
    return _preview(walk, Trigger.START, walk.take())


def _walk(saga: Saga, state: str, known: Known | None, *, in_doubt: bool) -> Walk:
    walk = Walk(saga, state, in_doubt=in_doubt)
    if known is not None:
        walk.data, walk.results, walk.skipped = known.data, known.results, known.skipped
    return walk


def _preview(walk: Walk, trigger: Trigger, entered: Iterable[State]) -> Preview:
    """Return the preview of a move that was made. entered: the states that the saga has entered by it.

    A cancel passes by the state of a refusal. The preview leaves it out, because no participant refuses anything.
    """
    if trigger is Trigger.CANCEL:
        entered = [state for state in entered if state.phase is not Phase.PASSING]
    return Preview(
        trigger=trigger,
        course=(*_stops(walk, entered, in_doubt=walk.in_doubt), *_onward(walk.again())),
        otherwise=tuple(_otherwise(walk)) if walk.current.call else (),
    )


def _otherwise(walk: Walk) -> Iterator[tuple[Trigger, tuple[Stop, ...]]]:
    """Yield what follows a refusal of the call in flight, and what follows when no attempt gets a clear reply."""
    refused, unanswered = walk.again(), walk.again()
    yield refused.conclude(Outcome.REFUSED), tuple(_onward(refused))
    yield unanswered.exhaust(), tuple(_onward(unanswered))


def _onward(walk: Walk) -> Iterator[Stop]:
    """Let every call succeed from here to the end. Yield the states that the walk has entered."""
    while walk.current.runs:
        walk.conclude(Outcome.SUCCEEDED)
    return _stops(walk, walk.take(), in_doubt=False)


def _stops(walk: Walk, entered: Iterable[State], *, in_doubt: bool) -> Iterator[Stop]:
    for state in entered:
        step = state.step
        late_probe = step.probe if state.awaits_answer and step else None  # no answer has come in time
        assumed = step is not None and step.name in walk.assumed and state.phase is not Phase.PASSING
        yield Stop(
            state=state,
            call=state.call or late_probe,
            probe=state.probe if in_doubt else None,
            only_when=step.when if step and assumed and not state.undoes else None,
        )
