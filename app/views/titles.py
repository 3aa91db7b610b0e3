"""The words of the tables and of the settings that people read in place of names: "" where there are none."""

import re
from collections.abc import Mapping
from typing import Any

from app.calls.breakers import open_reason
from app.calls.limits import limit_reason
from app.calls.pauses import pause_reason
from app.participant_settings.model import ParticipantSettings
from app.services import services
from app.views.formatting import is_cancel, is_late
from diagrams.descriptions import named
from machines.progress import EXPIRED
from machines.registry import Registry, UnknownSagaError
from machines.saga import Saga
from machines.titles import state_title

#: A participant in the reason of a call that this service has held back, also at the end of the reason of EXPIRE.
_HELD_BACK = re.compile(
    r"(?<![^ ])(?:" + "|".join(say(r"(\S+)") for say in (open_reason, pause_reason, limit_reason)) + r")\Z"
)


class Titles:
    """The titles of everything that this release knows."""

    def __init__(self, registry: Registry, participants: Mapping[str, ParticipantSettings]) -> None:
        self._registry, self._participants = registry, participants

    def saga(self, name: str, version: int | None = None) -> str:
        """Return the title of a saga. version: default: the newest."""
        table = self.table(name, version)
        return table.title if table else ""

    def state(self, name: str, version: int, state: str) -> str:
        table = self.table(name, version)
        return self.state_of(table, state) if table else ""

    def state_of(self, table: Saga, state: str) -> str:
        return state_title(table, state)

    def step(self, name: str, version: int, step: str | None) -> str:
        table = self.table(name, version)
        return next((each.title for each in table.steps if each.name == step), "") if table else ""

    def participant(self, name: str) -> str:
        found = self._participants.get(name)
        return found.title if found else ""

    def table(self, name: str, version: int | None) -> Saga | None:
        """Return a table; None when this release does not have it. version: None: the newest."""
        try:
            return self._registry.newest(name) if version is None else self._registry.get(name, version)
        except UnknownSagaError:
            return None


def participant_title(name: str) -> str:
    """Return a participant as people read it in a sentence: its title from the settings, else its name.

    Outside of an application there are no settings.
    """
    try:
        found = services().participants.get(name)
    except RuntimeError:
        return name
    return (found.title if found else "") or name


def participant_words(name: str) -> str:
    """Return a participant as people read it beside a command or in a message: its title with the identifier."""
    title = participant_title(name)
    return named(title if title != name else "", name)


def started_words(name: str) -> str:
    """Return the type of a saga that a step starts as people read it; outside of an application, its name."""
    try:
        registry = services().registry
    except RuntimeError:
        return name
    return named(registry.newest(name).title if name in registry.names else "", name)


def saga_words(registry: Registry, row: Any) -> str:
    """Return the type of a saga as people read it: its title with the identifier. row: names its table."""
    table = known_table(registry, row)
    return named(table.title if table else "", row.definition)


def state_words(registry: Registry, row: Any) -> str:
    """Return the state of a saga as people read it: its title with the identifier. row: names its table."""
    return state_words_in(known_table(registry, row), row.state)


def state_words_in(definition: Saga | None, state: str) -> str:
    """Return a state as people read it. definition: None when this release does not have the table."""
    return named(state_title(definition, state) if definition else "", state)


def step_words_in(definition: Saga | None, step: str) -> str:
    """Return a step as people read it. definition: None when this release does not have the table."""
    steps = definition.steps if definition else ()
    return named(next((each.title for each in steps if each.name == step), ""), step)


def reason_words(reason: str) -> str:
    """Return the reason of a move with the title of the participant that it names; another reason as it is."""
    found = _HELD_BACK.search(reason)
    if found is None:
        return reason
    name = found.lastindex or 0
    return f"{reason[: found.start(name)]}{participant_words(found[name])}{reason[found.end(name) :]}"


def known_table(registry: Registry, row: Any) -> Saga | None:
    """Return the table that a row names; None when this release does not have it."""
    try:
        return registry.get(row.definition, row.definition_version)
    except UnknownSagaError:
        return None


def error_words(definition: Saga | None, error: str | None) -> str:
    """Return the error of a saga as people read it: the step that failed, and why. "": it has none.

    definition: None when this release does not have the table.
    """
    if not error or is_cancel(error):
        return error or ""
    late = EXPIRED if is_late(error) else ""
    head, _, why = error.removeprefix(late).partition(": ") if late else error.partition(": ")[2].partition(": ")
    if not why:  # another release wrote it
        return reason_words(error)
    return f"{late}{step_words_in(definition, head)}: {reason_words(why)}"
