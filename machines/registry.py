"""The registry of all saga definitions, by name and version."""

from collections.abc import Container, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Protocol

from machines.branches import branch_tables, started_names
from machines.check_children import child_problems
from machines.saga import Saga, collecting
from machines.secrets import SecretFields
from machines.table import participant_variable


class UnknownSagaError(LookupError):
    """No definition has this name and version, or the running saga uses another table of that version."""


class OfSaga(Protocol):
    """The fields of a stored saga that name its table."""

    @property
    def definition(self) -> str: ...
    @property
    def definition_version(self) -> int: ...
    @property
    def table_digest(self) -> str | None: ...


class BadTablesError(ValueError):
    """A table is illegal or cannot be read; the text names, in one line, the file or table and the remedy."""

    def __init__(self, text: str, problems: Sequence[str] = ()) -> None:
        super().__init__(text)
        #: Every problem found, each in one line.
        self.problems = tuple(problems) or (text,)


class Registry:
    """All known definitions. Old versions stay, because a running saga keeps its version."""

    def __init__(self, definitions: list[Saga], unread: Container[str] = ()) -> None:
        """Raise BadTablesError with every problem. unread: names of other sagas, whose tables are illegal."""
        self._by_version: dict[tuple[str, int], Saga] = {}
        self._secrets: dict[str, SecretFields | None] = {}
        self._first: Mapping[tuple[str, int], str] = {}
        problems = [*self._misfits(definitions), *self._ambiguous_events()]
        definitions = [*definitions, *self._add_branches(definitions, problems)]
        newest = {name: self.latest(name) for name in self.names}
        problems += child_problems(definitions, newest, unread)
        if problems:
            raise BadTablesError(problems[0], problems)
        self.started_by_event: Mapping[str, Saga] = {
            event: definition for definition in map(self.latest, self.names) if (event := definition.started_by)
        }

    def _misfits(self, definitions: list[Saga]) -> Iterator[str]:
        """Add the definitions. Yield a problem for each definition that does not fit an earlier one."""
        called: dict[str, str] = {}
        for definition in definitions:
            for name in definition.participants:
                variable = participant_variable(name)
                if (other := called.setdefault(variable, name)) != name:
                    both = f"would be set by {variable}, as {other!r} of another saga is; write both alike"
                    yield f"{definition}: participant {name!r} {both}"
            key = (definition.name, definition.version)
            if self._by_version.setdefault(key, definition) is not definition:
                yield f"{definition} is defined twice; give the newer one the next version"

    def _add_branches(self, definitions: list[Saga], problems: list[str]) -> list[Saga]:
        """Add the tables of the branches of all groups, and return them. Add their problems to `problems`."""
        found: list[str] = []
        with collecting(found):
            branches = [table for definition in definitions for table in branch_tables(definition)]
        problems += map(str, found)  # without the place of the call of Saga(), which is in machines.branches
        self._by_version |= {(table.name, table.version): table for table in branches}
        return list[Saga](branches)

    def _ambiguous_events(self) -> Iterator[str]:
        """Yield a problem for each event that would start two sagas. Only the latest version of a saga is started."""
        started: dict[str, Saga] = {}
        for definition in map(self.latest, self.names):
            event = definition.started_by
            if event and started.setdefault(event, definition) is not definition:
                yield (
                    f"{started[event]} and {definition} are both started_by={event!r}, and an event begins one saga; "
                    "let each have an event of its own"
                )

    def __contains__(self, definition: Saga) -> bool:
        return self._by_version.get((definition.name, definition.version)) is definition

    def __iter__(self) -> Iterator[Saga]:
        return iter(self._by_version.values())

    @property
    def names(self) -> list[str]:
        """The names of all sagas that can be started, without those of branches."""
        return sorted({table.name for table in self._by_version.values() if not table.is_branch})

    @property
    def names_with_branches(self) -> list[str]:
        """The names of all sagas that exist or may exist, with those of branches."""
        return sorted({table.name for table in self._by_version.values()})

    @cached_property
    def with_money(self) -> frozenset[str]:
        """The names of the sagas that move money, or whose steps start a saga that is one of these."""
        found = frozenset(table.name for table in self if any(step.amount is not None for step in table.steps))
        steps = [(table.name, step) for table in self for step in table.steps if step.starts is not None]
        while more := {name for name, step in steps if not found.isdisjoint(started_names(name, step))} - found:
            found |= more
        return found

    def get(self, name: str, version: int) -> Saga:
        try:
            return self._by_version[name, version]
        except KeyError:
            raise UnknownSagaError(f"saga {name} v{version} is not defined") from None

    def know_first(self, digests: Mapping[tuple[str, int], str]) -> None:
        """Set which tables the sagas without a stored digest belong to. digests: (name, version) → digest of the table.

        Without an entry, such a saga belongs to the table of this registry.
        """
        self._first = digests

    def takes_unnamed(self, definition: Saga) -> bool:
        """Return True when the sagas without a stored digest belong to this table."""
        return self._first.get((definition.name, definition.version), definition.digest) == definition.digest

    def of(self, saga: OfSaga) -> Saga:
        """Return the table that a saga uses.

        Raise UnknownSagaError if the table is absent, or has another digest now.
        """
        found = self.get(saga.definition, saga.definition_version)
        if saga.table_digest != found.digest and (saga.table_digest or not self.takes_unnamed(found)):
            raise UnknownSagaError(f"saga {found} runs by another table of that version than the one defined now")
        return found

    def knows(self, saga: OfSaga) -> bool:
        """Return True when this registry has the table that a saga uses."""
        try:
            self.of(saga)
        except UnknownSagaError:
            return False
        return True

    def latest(self, name: str) -> Saga:
        """Return the newest version of a table; new sagas use this version. Only its group starts a branch."""
        found = self.newest(name)
        if found.is_branch:
            raise UnknownSagaError(f"{name} is a branch, and only its saga starts it")
        return found

    def newest(self, name: str) -> Saga:
        """Return the newest version of a table, which may be that of a branch."""
        versions = [version for known, version in self._by_version if known == name]
        return self.get(name, max(versions, default=0))

    def secrets_of(self, name: str) -> SecretFields | None:
        """Return the secret fields of all versions of a saga; None without any.

        A value is hidden when its field is secret in any version. The saga's own version may be unknown to this
        release.
        """
        if name not in self._secrets:
            versions = [table for (known, _), table in self._by_version.items() if known == name]
            self._secrets[name] = SecretFields(versions) or None
        return self._secrets[name]
