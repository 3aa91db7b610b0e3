"""Passwords: hashed with argon2id, never kept, and checked in the same time whether or not there is such a user."""

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from app.errors import InvalidError

SHORTEST, LONGEST = 12, 256
#: 19 MiB and two passes, the least that OWASP advises: sign-ins of many at once must not exhaust a small machine.
_HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
#: Of a password that nobody has.
_NOBODYS = _HASHER.hash("\x00")


def hashed(password: str) -> str:
    """Raises InvalidError for a password that is too short or too long."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise InvalidError(("/password", f"Give {SHORTEST} to {LONGEST} characters."))
    return _HASHER.hash(password)


def matches(password: str, known: str | None) -> bool:
    """Check a password against a user's hash; None: there is no such user, and it never matches."""
    try:
        return _HASHER.verify(known or _NOBODYS, password[: LONGEST + 1]) and known is not None
    except (VerificationError, InvalidHashError):
        return False
