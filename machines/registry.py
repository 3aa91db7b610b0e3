"""Every saga definition that the files of this folder hold, by name and version."""

import importlib
import pkgutil
from collections.abc import Iterator

import machines
from machines.saga import Saga


class UnknownSagaError(LookupError):
    """No definition has this name and version."""


class Registry:
    """All definitions at hand. Old versions stay, for a running saga is pinned to the one it began with."""

    def __init__(self, definitions: list[Saga]) -> None:
        self._by_version: dict[tuple[str, int], Saga] = {}
        for definition in definitions:
            key = (definition.name, definition.version)
            if self._by_version.setdefault(key, definition) is not definition:
                raise ValueError(f"{definition} is defined twice; give the newer one the next version")

    def __iter__(self) -> Iterator[Saga]:
        return iter(self._by_version.values())

    @property
    def names(self) -> list[str]:
        return sorted({name for name, _ in self._by_version})

    def get(self, name: str, version: int) -> Saga:
        try:
            return self._by_version[name, version]
        except KeyError:
            raise UnknownSagaError(f"saga {name} v{version} is not defined in machines/") from None

    def latest(self, name: str) -> Saga:
        """Give the version that a new saga begins with."""
        versions = [version for known, version in self._by_version if known == name]
        return self.get(name, max(versions, default=0))


def discover() -> Registry:
    """Import every file of machines/ and collect the sagas they hold."""
    found: dict[int, Saga] = {}
    for module in pkgutil.iter_modules(machines.__path__):
        members = vars(importlib.import_module(f"machines.{module.name}"))
        found |= {id(member): member for member in members.values() if isinstance(member, Saga)}
    return Registry(list(found.values()))
