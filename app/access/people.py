"""Adding and changing users: what is checked before it is stored."""

import re

from app.access.passwords import hashed
from app.access.roles import Role
from app.errors import InvalidError
from app.store.users import Users

NAME = re.compile(r"[a-z0-9][a-z0-9._@-]{0,63}")


def add(users: Users, name: str, role: Role, password: str, actor: str) -> None:
    """Add a person. Raise InvalidError, or ConflictError when the name is taken."""
    if not NAME.fullmatch(name):
        raise InvalidError(("/name", "Give 1 to 64 of a-z, 0-9, '.', '_', '@' and '-', the first a letter or digit."))
    users.add(name, role.word, hashed(password), actor)


def change_password(users: Users, name: str, password: str, actor: str) -> None:
    """Set a person's password. Raise InvalidError or NotFoundError."""
    users.change_password(name, hashed(password), actor)
