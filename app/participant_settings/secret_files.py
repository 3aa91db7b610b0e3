"""Secrets in files. One rule for all secrets: a changed file is read again, without a restart.

A credential and a TLS connection check their files at most every LOOK_S seconds. A credential also checks them after
a 401. When a file cannot be read, or its content is no secret, the last good content stays valid: an operator may be
replacing the file at this moment.
"""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

#: Shortest time between two checks of a file, in seconds.
LOOK_S = 10.0


def secret_in(file: str) -> str:
    """Return the secret that a file contains. Raise OSError, or ValueError when the content is no secret."""
    try:
        secret = Path(file).read_text().strip()
    except UnicodeDecodeError:
        raise ValueError("cannot be read: it is no text") from None
    if not secret:
        raise ValueError("is empty")
    if not is_plain(secret):
        raise ValueError("must be one line of plain letters, digits and signs")
    return secret


def is_plain(secret: str) -> bool:
    return secret.isascii() and secret.isprintable()


class SecretFiles:
    """The secrets of one credential, for many threads at once."""

    def __init__(
        self, secrets: Mapping[str, str], files: Mapping[str, str], clock: Callable[[], float] = time.monotonic
    ) -> None:
        #: Setting → secret.
        self.secrets = secrets
        self._files, self._clock = files, clock
        self._next_look = clock() + LOOK_S if files else float("inf")

    def look(self) -> bool:
        """Read the files if the last read is LOOK_S seconds ago. Return True when a secret has changed."""
        return self._clock() >= self._next_look and self.read()

    def read(self) -> bool:
        """Read the files. Return True when a secret has changed."""
        self._next_look, before, found = self._clock() + LOOK_S, self.secrets, {}
        for name, file in self._files.items():
            with suppress(OSError, ValueError):
                found[name] = secret_in(file)
        self.secrets = {**before, **found}
        return self.secrets != before
