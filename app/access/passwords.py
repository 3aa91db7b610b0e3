"""Passwords: hashed with argon2id, never kept, and checked in the same time whether or not there is such a user."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotInTimeError
from functools import cache
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from app.errors import BusyError, InvalidError

T = TypeVar("T")
SHORTEST, LONGEST = 12, 256
#: 19 MiB and two passes, the least that OWASP advises: sign-ins of many at once must not exhaust a small machine.
_HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
#: All hashing of a process is done in this many threads. It is not done in the requests' own threads: each of them
#: would keep its 19 MiB afterwards.
HASHED_AT_ONCE = 1
#: How long a request waits for its turn and its hash, in seconds. A hash takes about 0.04 s.
LONGEST_WAIT_S = 1.0
_TURNS = ThreadPoolExecutor(HASHED_AT_ONCE, thread_name_prefix="hashing")


def hashed(password: str) -> str:
    """Return the hash. Raise InvalidError for a password that is too short or too long, and BusyError."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise InvalidError(("/password", f"Give {SHORTEST} to {LONGEST} characters."))
    return _in_turn(lambda: _HASHER.hash(password))


def matches(password: str, known: str | None) -> bool:
    """Check a password against a user's hash; None: there is no such user, and it never matches. Raises BusyError."""

    def verify() -> bool:
        nobodys = _nobodys()
        try:
            return _HASHER.verify(known or nobodys, password[: LONGEST + 1]) and known is not None
        except (VerificationError, InvalidHashError):
            return False

    return _in_turn(verify)


@cache
def _nobodys() -> str:
    """Return the hash of a password that nobody has. It takes 0.05 s, so only a process that checks one makes it."""
    return _HASHER.hash("\x00")


def _in_turn(hash_it: Callable[[], T]) -> T:
    turn = _TURNS.submit(hash_it)
    try:
        return turn.result(LONGEST_WAIT_S)
    except NotInTimeError:
        turn.cancel()
        raise BusyError("too many passwords are being checked at this moment; try again in a few seconds") from None
