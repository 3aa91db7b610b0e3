"""How long a saga may stay where, in every version of every definition at hand."""

from collections.abc import Iterator

from app.store.newest import Ends
from app.store.trouble import Place
from machines.registry import Registry, UnknownSagaError
from machines.rows import Phase, State


def limits(registry: Registry) -> dict[Place, float]:
    """Give the states that are not stuck already, with how many seconds each may last."""
    return {
        place: state.dwell_s
        for place, state in _states(registry)
        if state.dwell_s is not None and state.phase in (Phase.FORWARD, Phase.UNDOING)
    }


def places(registry: Registry, *, step: str, participant: str) -> tuple[Place, ...]:
    """Return the states of this step, and in which this participant is asked; "" for any."""
    return tuple(
        place
        for place, found in _states(registry)
        if step in ("", found.step.name if found.step else None) and participant in ("", asked_of(found))
    )


def ends(registry: Registry) -> Ends:
    """Give the states in which sagas of each definition end, as completed and as compensated."""
    found: dict[tuple[str, str], frozenset[str]] = {}
    for definition in registry:
        for status, state in (("completed", definition.completed), ("compensated", definition.compensated)):
            place = (definition.name, status)
            found[place] = found.get(place, frozenset()) | {state}
    return found


def state_of(registry: Registry, place: Place) -> State | None:
    """Look a state up; None where this release does not know it."""
    definition, version, state = place
    try:
        return registry.get(definition, version).rows.states.get(state)
    except UnknownSagaError:
        return None


def asked_of(state: State | None) -> str | None:
    """Name the participant whose call is in flight in a state, or that it is stuck at."""
    if state is None or state.step is None:
        return None
    call = state.step.undo if state.undoes else state.step.call
    return call.participant if call else None


def _states(registry: Registry) -> Iterator[tuple[Place, State]]:
    for definition in registry:
        for state in definition.rows.states.values():
            yield (definition.name, definition.version, state.name), state
