"""The grants of an API key: a scope, for all sagas, or only for some of them.

`start`                    start sagas of every type
`start:checkout`           start sagas of the type checkout
`read:own`                 read sagas that this key has started
`operate:checkout:own`     retry, compensate and resolve its own sagas of the type checkout

The branches of a saga are part of its table, so a type includes its branches. A saga that `sub()` has started is a saga
of its own type: a key for the type of its parent does not reach it, and a key for its type does not reach the parent.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from app.access.permissions import Scope

_OWN = "own"


@dataclass(frozen=True, kw_only=True)
class Limit:
    """The sagas for which a key has a scope."""

    #: Type of the sagas; None: every type.
    saga_type: str | None = None
    #: True: only the sagas that the key has started.
    own: bool = False

    def admits(self, saga_type: str, *, own: bool) -> bool:
        """Return True for a saga of this type, or of a branch of it. own: True when the key has started it."""
        return self._has(saga_type) and (own or not self.own)

    def _has(self, saga_type: str) -> bool:
        return self.saga_type is None or saga_type == self.saga_type or saga_type.startswith(f"{self.saga_type}.")


#: The limits of each scope that a key has. A scope without limits is for all sagas.
Limits = Mapping[Scope, tuple[Limit, ...]]


def granted(words: Iterable[str]) -> tuple[frozenset[Scope], Limits]:
    """Return the scopes of a key, and their limits. words: legal grants, as in the description of this module."""
    limits: dict[Scope, list[Limit]] = {}
    for word in words:
        scope, *rest = word.split(":")
        types = [name for name in rest if name != _OWN]
        limit = Limit(saga_type=types[0] if types else None, own=_OWN in rest)
        limits.setdefault(Scope(scope), []).append(limit)
    narrow = {scope: tuple(found) for scope, found in limits.items() if Limit() not in found}
    return frozenset(limits), narrow


def in_order(grant: str) -> tuple[int, str]:
    """Return the sort key of a legal grant: the scope in the order of `Scope`, then the rest."""
    return list(Scope).index(Scope(grant.partition(":")[0])), grant


def problem_of_grant(word: str, types: Collection[str]) -> str | None:
    """Return what is wrong with a grant; None when it is legal. types: the types of saga."""
    scope, *rest = word.split(":")
    if scope not in set(Scope):
        return f"{word!r} is no grant; give {', '.join(Scope)}, and behind it `:TYPE`, `:own` or `:TYPE:own`."
    if rest and rest[-1] == _OWN:
        rest.pop()
    if len(rest) > 1 or (rest and rest[0] not in types):
        return f"{word!r} names no type of saga; use one of {', '.join(sorted(types))}."
    return None
