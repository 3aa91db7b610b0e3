"""The settings of the shop, read from the environment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

PARTICIPANTS_URL = "http://127.0.0.1:8010"


class ShopSettingsError(ValueError):
    """A setting of the shop is invalid; the message names the setting and the reason."""


@dataclass(frozen=True, kw_only=True)
class ShopSettings:
    """The shop's settings. The API keys are sent as X-API-Key; a gateway may require them."""

    orchestrator_url: str = "http://127.0.0.1:8009"  # the orchestrator, for the shop's server
    public_url: str = "http://127.0.0.1:8009"  # the orchestrator, for the visitor's browser
    participants_url: str = PARTICIPANTS_URL
    orchestrator_api_key: str | None = field(default=None, repr=False)
    participants_api_key: str | None = field(default=None, repr=False)
    kill_command: str | None = None  # only shown: the command that kills the orchestrator
    group_file: Path | None = None  # the file with the orchestrator's process group: a button kills it (demo only)
    restart_command: str | None = None  # only shown: the command that starts it again

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "ShopSettings":
        orchestrator_url = _http_url(environment, "ORCHESTRATOR_URL", cls.orchestrator_url)
        return cls(
            orchestrator_url=orchestrator_url,
            public_url=_http_url(environment, "ORCHESTRATOR_PUBLIC_URL", orchestrator_url),
            participants_url=_http_url(environment, "PARTICIPANTS_URL", cls.participants_url),
            orchestrator_api_key=environment.get("ORCHESTRATOR_API_KEY") or None,
            participants_api_key=environment.get("PARTICIPANTS_API_KEY") or None,
            kill_command=environment.get("ORCHESTRATOR_KILL_COMMAND") or None,
            group_file=Path(group) if (group := environment.get("ORCHESTRATOR_GROUP_FILE")) else None,
            restart_command=environment.get("ORCHESTRATOR_RESTART_COMMAND") or None,
        )


def _http_url(environment: Mapping[str, str], name: str, default: str) -> str:
    return http_url(name, environment.get(name) or default)


def http_url(name: str, url: str) -> str:
    """Return the URL that the variable `name` holds. Raise ShopSettingsError for a URL that cannot be called."""
    try:
        parts = urlsplit(url)
        sound = bool(parts.hostname) and parts.port != 0 and not (parts.query or parts.fragment)
    except ValueError:  # an invalid port or IPv6 address
        sound = False
    if not sound or parts.scheme not in {"http", "https"}:
        raise ShopSettingsError(f"{name} must be a URL such as http://127.0.0.1:8010")
    return url.rstrip("/")
