"""The second factor of a person: codes of six digits from an authenticator app (TOTP, RFC 6238).

The database has only a random text for each user. The secret of the app is derived from it, from the user's name and
from SECRET_KEY, so who can read the database cannot compute codes. After a change of SECRET_KEY, an admin removes the
second factors, and people set them up again.
"""

import base64
import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Callable
from urllib.parse import quote

from app.derived_keys import derived_key

#: Seconds for which a code is shown, its number of digits, and the codes before and after the present one that are
#: accepted, because clocks differ.
_PERIOD_S, _DIGITS, _NEIGHBOURS = 30, 6, 1
#: Bytes of the secret, as RFC 4226 recommends.
_SECRET_BYTES = 20
_CODE = re.compile(rf"[0-9]{{{_DIGITS}}}")


def new_seed() -> str:
    """Return the random text of a new second factor."""
    return secrets.token_urlsafe(18)


def secret_of(secret_key: str, name: str, seed: str) -> bytes:
    """Return the secret that the authenticator app of a user has."""
    key = derived_key(secret_key, b"second-factor")
    return hmac.digest(key, f"{name}\0{seed}".encode(), hashlib.sha256)[:_SECRET_BYTES]


def written(secret: bytes) -> str:
    """Return a secret as an authenticator app takes it."""
    return base64.b32encode(secret).decode()


def address(secret: bytes, name: str) -> str:
    """Return the URL that adds the secret to an authenticator app."""
    return f"otpauth://totp/{quote(f'Sagas:{name}')}?secret={written(secret)}&issuer=Sagas"


def matching_step(secret: bytes, code: str, clock: Callable[[], float] = time.time) -> int | None:
    """Return the number of the period whose code this is; None when it is no code of now."""
    if not _CODE.fullmatch(code):
        return None
    now, found = int(clock() // _PERIOD_S), None
    for step in range(now - _NEIGHBOURS, now + _NEIGHBOURS + 1):
        if hmac.compare_digest(code_of(secret, step), code):
            found = step
    return found


def code_of(secret: bytes, step: int) -> str:
    """Return the code of a period (RFC 4226)."""
    digest = hmac.digest(secret, step.to_bytes(8), hashlib.sha1)
    at = digest[-1] & 0xF
    number = int.from_bytes(digest[at : at + 4]) & 0x7FFF_FFFF
    return str(number % 10**_DIGITS).zfill(_DIGITS)
