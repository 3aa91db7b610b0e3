"""The settings of the demo: two ports, which must be free."""

import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass

LOOPBACK = "127.0.0.1"
HIGHEST_PORT = 65_535


class SettingError(ValueError):
    """A setting is invalid; the message names the variable and the fix."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    port: int
    participants_port: int

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    @property
    def participants_url(self) -> str:
        return f"http://{LOOPBACK}:{self.participants_port}"


def from_environment(environ: Mapping[str, str]) -> Settings:
    """Read PORT and PARTICIPANTS_PORT (default: PORT + 1), so that a second demo only needs another PORT."""
    port = _free_port(environ, "PORT", 8009)
    participants_port = _free_port(environ, "PARTICIPANTS_PORT", port + 1)
    if port == participants_port:
        raise SettingError(f"PORT and PARTICIPANTS_PORT are both {port}; set one of them to another")
    return Settings(port=port, participants_port=participants_port)


def _free_port(environ: Mapping[str, str], name: str, default: int) -> int:
    # An empty variable counts as not set, because make passes a variable that is not set as an empty one.
    text = environ.get(name) or str(default)
    if not (re.fullmatch("[0-9]{1,5}", text) and 0 < int(text) <= HIGHEST_PORT):
        raise SettingError(
            f"{name} must be a port from 1 to {HIGHEST_PORT}, not {text[:40]!r}; set {name} to a free one"
        )
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, int(text)))
        except OSError as error:
            raise SettingError(f"cannot use port {text} ({error.strerror}); set {name} to a free one") from error
    return int(text)
