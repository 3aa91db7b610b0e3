"""The states of all definitions of this release: dwell limits, participants, and the states in which sagas end."""

from collections.abc import Iterator

from app.store.attention import Attention
from app.store.lists import Ends, StateKey
from machines.registry import Registry, UnknownSagaError
from machines.statuses import Status
from machines.transitions import Phase, State


def dwell_limits(registry: Registry) -> dict[StateKey, float]:
    """Return the active states that have a dwell limit, each with its limit in seconds."""
    return {
        key: state.dwell_s
        for key, state in _states(registry)
        if state.dwell_s is not None and state.phase in (Phase.FORWARD, Phase.UNDOING, Phase.WAITING)
    }


def attention_of(registry: Registry) -> Attention:
    """Return the sagas that need attention now."""
    return Attention(registry, dwell_limits(registry))


def participants_of(registry: Registry) -> list[str]:
    """Return the participants that the tables of this release call, by name."""
    return sorted({name for definition in registry for name in definition.participants})


def states_with(registry: Registry, *, step: str, participant: str) -> tuple[StateKey, ...]:
    """Return the states of this step whose call goes to this participant; "" matches any step or participant."""
    return tuple(
        key
        for key, found in _states(registry)
        if step in ("", found.step.name if found.step else None) and participant in ("", participant_of(found))
    )


def waiting_in(registry: Registry, participant: str = "") -> tuple[StateKey, ...]:
    """Return the states in which a saga that backs off waits for this participant; "": for any."""
    return tuple(key for key, found in _states(registry) if waits_at(found) and participant in ("", waits_at(found)))


def waits_at(state: State | None) -> str:
    """Return the participant that a saga which backs off in a state waits for; "": none. A poll waits for an answer."""
    return participant_of(state) or "" if state is not None and not state.poll else ""


def final_states(registry: Registry) -> Ends:
    """Return the states in which the sagas of each definition end, by definition and status."""
    found: dict[tuple[str, str], frozenset[str]] = {}
    for definition in registry:
        for status, state in ((Status.COMPLETED, definition.completed), (Status.COMPENSATED, definition.compensated)):
            key = (definition.name, status)
            found[key] = found.get(key, frozenset()) | {state}
    return found


def state_of(registry: Registry, key: StateKey) -> State | None:
    """Return the state; None when this release does not have it."""
    definition, version, state = key
    try:
        return registry.get(definition, version).states.get(state)
    except UnknownSagaError:
        return None


def participant_of(state: State | None) -> str | None:
    """Return the participant of the call that is in flight or stuck in a state; None without such a call."""
    return state.participant if state else None


def _states(registry: Registry) -> Iterator[tuple[StateKey, State]]:
    for definition in registry:
        for state in definition.states.values():
            yield (definition.name, definition.version, state.name), state
