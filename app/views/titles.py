"""The words of the tables and of the settings that people read in place of names: "" where there are none."""

from collections.abc import Mapping

from app.participant_settings.model import ParticipantSettings
from app.services import services
from machines.registry import Registry, UnknownSagaError
from machines.saga import Saga
from machines.titles import state_title


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
