"""The accounts of people: valid names, and passwords that are stored as argon2id hashes only."""

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotInTimeError
from functools import cache
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from app.access.permissions import Role
from app.access.weak_passwords import is_weak
from app.errors import BusyError, InvalidError
from app.store.accounts import Users
from app.store.tenants import check_name

T = TypeVar("T")
NAME = re.compile(r"[a-z0-9][a-z0-9._@-]{0,63}")
#: Smallest and largest number of characters of a password.
SHORTEST, LONGEST = 12, 256
#: Each hash takes 19 MiB and two passes, the least that OWASP recommends. More would overload a small machine when many
#: people sign in at the same time.
_HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
#: Number of threads that hash passwords. The threads that serve requests do not hash, because each of them would keep
#: the 19 MiB of memory afterwards.
HASHED_AT_ONCE = 1
#: Longest wait of a request for its hash, in seconds. One hash takes about 0.04 s.
LONGEST_WAIT_S = 1.0
_POOL = ThreadPoolExecutor(HASHED_AT_ONCE, thread_name_prefix="hashing")


def add_user(
    users: Users, name: str, role: Role, password: str, actor: str, *, same_person: bool = False,
    must_change: bool = False, tenant: str = "",
) -> None:  # fmt: skip
    """Add a user. same_person, must_change: see `Users.add`. tenant: whose sagas the user sees; "": all.

    Raise InvalidError for an illegal name or password, or ConflictError when the name is taken.
    """
    if not NAME.fullmatch(name):
        raise InvalidError(("/name", "Give 1 to 64 of a-z, 0-9, '.', '_', '@' and '-', the first a letter or digit."))
    if tenant:
        check_name(tenant)
    users.add(
        name, role.word, hashed(password, name), actor, same_person=same_person, must_change=must_change,
        tenant=tenant or None,
    )  # fmt: skip


def change_password(
    users: Users, name: str, password: str, actor: str, *, must_change: bool = False, keep: str | None = None
) -> None:
    """Change a user's password. must_change, keep: see `Users.change_password`.

    Raise InvalidError for an illegal password, or NotFoundError for an unknown user.
    """
    users.change_password(name, hashed(password, name), actor, must_change=must_change, keep=keep)


def hashed(password: str, name: str = "") -> str:
    """Return the hash of a password. name: of its user.

    Raise InvalidError for a wrong length or a weak password, or BusyError when too many hashes wait.
    """
    if not SHORTEST <= len(password) <= LONGEST:
        raise InvalidError(("/password", f"Give {SHORTEST} to {LONGEST} characters."))
    if is_weak(password, name):
        raise InvalidError(("/password", "It is guessed first. Give words or signs that nobody else would choose."))
    return _in_pool(lambda: _HASHER.hash(password))


def matches(password: str, known: str | None) -> bool:
    """Return True when the password matches the hash. Raise BusyError when too many hashes wait.

    known: the stored hash; None for an unknown user. The check then takes the same time, because a shorter check would
    reveal which users exist.
    """

    def verify() -> bool:
        unknown = _hash_of_unknown()
        try:
            return _HASHER.verify(known or unknown, password[: LONGEST + 1]) and known is not None
        except (VerificationError, InvalidHashError):
            return False

    return _in_pool(verify)


@cache
def _hash_of_unknown() -> str:
    """Return the hash of a password that no user has. It is made at its first use, because hashing takes 0.05 s."""
    return _HASHER.hash("\x00")


def _in_pool(hash_it: Callable[[], T]) -> T:
    future = _POOL.submit(hash_it)
    try:
        return future.result(LONGEST_WAIT_S)
    except NotInTimeError:
        future.cancel()
        raise BusyError("too many passwords are being checked at this moment; try again in a few seconds") from None
