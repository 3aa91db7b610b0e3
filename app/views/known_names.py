"""Names in filters that must exist: of types, states, steps and participants. A misspelled one finds nothing, silently.

A type or a state counts as known when a stored saga has it, too: an earlier release may have had its table.
"""

from collections.abc import Iterable

from marshmallow import ValidationError

from app.services import services
from app.store.tables import stored_state, stored_types
from app.views.states import participants_of
from app.views.validation import storable

#: Largest number of names that a message lists.
_MOST_NAMED = 30


def check_type(name: str) -> None:
    """Raise ValidationError when no saga can have this type."""
    storable(name)
    known = set(services().registry.names_with_branches)
    if name not in known and name not in (stored := stored_types(name)):
        raise ValidationError(f"No saga has the type {name!r}; {_they_are('types', known | stored)}.")


def check_state(name: str) -> None:
    """Raise ValidationError when no saga can be in this state."""
    storable(name)
    known = {state for table in services().registry for state in table.states}
    if name not in known and not stored_state(name):
        raise ValidationError(f"No table has the state {name!r}; {_they_are('states', known)}.")


def check_step(name: str) -> None:
    """Raise ValidationError when no table of this release has this step."""
    storable(name)
    known = {step.name for table in services().registry for step in table.steps}
    if name not in known:
        raise ValidationError(f"No table has the step {name!r}; {_they_are('steps', known)}.")


def check_participant(name: str) -> None:
    """Raise ValidationError when no table of this release calls this participant."""
    known = participants_of(services().registry)
    if name not in known:
        raise ValidationError(f"No table calls the participant {name!r}; they call {', '.join(known)}.")


def _they_are(what: str, names: Iterable[str]) -> str:
    every = sorted(names)
    more = f" and {len(every) - _MOST_NAMED} more" if len(every) > _MOST_NAMED else ""
    return f"the {what} are {', '.join(every[:_MOST_NAMED])}{more}"
