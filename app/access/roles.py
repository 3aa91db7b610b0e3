"""What people may do (a role) and what programs may do (scopes)."""

from enum import IntEnum, StrEnum


class Role(IntEnum):
    """Each may do all that the ones before it may. viewer: look. operator: act. admin: users and keys."""

    VIEWER = 1
    OPERATOR = 2
    ADMIN = 3

    @property
    def word(self) -> str:
        return self.name.lower()


class Scope(StrEnum):
    """read: look. start: begin sagas. operate: retry, compensate, resolve."""

    READ = "read"
    START = "start"
    OPERATE = "operate"


#: What a person may ask of the API.
SCOPES = {
    Role.VIEWER: frozenset({Scope.READ}),
    Role.OPERATOR: frozenset(Scope),
    Role.ADMIN: frozenset(Scope),
}


def role_named(word: str) -> Role:
    """Return the role of this name. Raise KeyError for another word."""
    return Role[word.upper()]
