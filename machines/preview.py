"""A preview of a move that a person requests. A trial saga in memory makes the moves; nothing is sent or stored.

The preview shows the states and calls that follow if every call succeeds, and those that follow if the first one fails.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from machines.call import Call
from machines.outcomes import Outcome
from machines.progress import Walk
from machines.saga import Saga
from machines.transitions import State, Trigger


@dataclass(frozen=True, kw_only=True)
class Stop:
    """A state that the saga will enter."""

    #: State of the saga's table.
    state: State
    #: Call sent in the state; not sent when `probe` finds that it was already done.
    call: Call | None
    #: Call that asks first whether an earlier attempt took effect.
    probe: Call | None = None


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


def preview(saga: Saga, state: str, trigger: Trigger, *, in_doubt: bool) -> Preview:
    """Return the preview of a move from a state. in_doubt: an attempt of the call in flight may have worked.

    Raise `transitions.MachineError` when the table has no such transition.
    """
    walk = Walk(saga, state, in_doubt=in_doubt)
    walk.request_move(trigger)
    return _preview(walk, trigger, walk.take())


def preview_send_now(saga: Saga, state: str, *, in_doubt: bool) -> Preview:
    """Return the preview of *send now*, see machines.send_now. in_doubt: see `preview`."""
    walk = Walk(saga, state, in_doubt=in_doubt)
    if walk.current.is_pause:
        walk.end_wait(Outcome.SUCCEEDED, reason="", actor="")
        return _preview(walk, Trigger.SUCCEEDED, walk.take())
    return _preview(walk, Trigger.RETRY, (walk.current,))


def _preview(walk: Walk, trigger: Trigger, entered: Iterable[State]) -> Preview:
    """Return the preview of a move that was made. entered: the states that the saga has entered by it."""
    return Preview(
        trigger=trigger,
        course=(*_stops(entered, in_doubt=walk.in_doubt), *_onward(Walk(walk.definition, walk.state))),
        otherwise=tuple(_otherwise(walk)) if walk.current.call else (),
    )


def _otherwise(walk: Walk) -> Iterator[tuple[Trigger, tuple[Stop, ...]]]:
    """Yield what follows a refusal of the call in flight, and what follows when no attempt gets a clear reply."""
    refused, unanswered = (Walk(walk.definition, walk.state, in_doubt=walk.in_doubt) for _ in range(2))
    yield refused.conclude(Outcome.REFUSED), tuple(_onward(refused))
    yield unanswered.exhaust(), tuple(_onward(unanswered))


def _onward(walk: Walk) -> Iterator[Stop]:
    """Let every call succeed from here to the end. Yield the states that the walk has entered."""
    while walk.current.runs:
        walk.conclude(Outcome.SUCCEEDED)
    return _stops(walk.take(), in_doubt=False)


def _stops(states: Iterable[State], *, in_doubt: bool) -> Iterator[Stop]:
    for state in states:
        late_probe = state.step.probe if state.awaits_answer and state.step else None  # no answer has come in time
        yield Stop(state=state, call=state.call or late_probe, probe=state.probe if in_doubt else None)
