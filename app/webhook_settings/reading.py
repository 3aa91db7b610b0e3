"""Reads and checks the settings of webhooks: WEBHOOKS_FILE, the secrets of each webhook, and the private networks."""

import ipaddress
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from app.networks import Network
from app.participant_settings.reading import toml_tables
from app.participant_settings.secret_files import SecretFiles, secret_in
from app.participant_settings.words import nearest_of
from app.server_urls import http_url
from app.settings import TENANT, ConfigError, EventSecret
from app.webhook_settings.model import (
    LONGEST_SECRET,
    SECRET_PREFIX,
    SHORTEST_SECRET,
    Webhook,
    Webhooks,
    decoded,
    plain_url,
)
from machines.statuses import REPORTED

#: Events that a webhook can receive.
EVENTS = tuple(map(str, REPORTED.values()))
#: Settings of a webhook in WEBHOOKS_FILE.
_KNOWN = ("url", "prefix", "sagas", "events", "secrets_file", "attempts", "timeout_s")
_NAME = re.compile("[a-z][a-z0-9_-]{0,49}")
_SECRET_FORM = (
    f"must be {SECRET_PREFIX} and {SHORTEST_SECRET} to {LONGEST_SECRET} bytes in base64, such as "
    "whsec_$(openssl rand -base64 32); several secrets are separated by one space"
)
#: Default and largest number of attempts, and of seconds for one attempt. The last of 12 attempts is about 30 hours
#: after the first attempt.
ATTEMPTS, MOST_ATTEMPTS = 12, 50
TIMEOUT_S, LONGEST_TIMEOUT_S = 10.0, 20.0


def webhooks_file(environ: Mapping[str, str], name: str, default: object) -> Mapping[str, Any]:
    """Return the tables of WEBHOOKS_FILE."""
    return toml_tables(environ, name, default)


def webhook_secrets(environ: Mapping[str, str], _name: str, _default: object) -> Mapping[str, str]:
    """Return every variable WEBHOOK_<NAME>_SECRETS."""
    return {
        name.upper(): text for name, text in environ.items() if re.fullmatch("WEBHOOK_.+_SECRETS", name, re.IGNORECASE)
    }


def event_secrets(environ: Mapping[str, str], name: str, _default: tuple[EventSecret, ...]) -> tuple[EventSecret, ...]:
    """Return the secrets of a variable, separated by white space. `acme:whsec_…` is a secret of the tenant acme."""
    found = []
    for text in environ.get(name, "").split():
        tenant, colon, secret = text.rpartition(":")
        if not (key := decoded(secret)) or (colon and not TENANT.fullmatch(tenant)):
            raise ConfigError(f"{name} {_SECRET_FORM}; a tenant and a colon may stand before each, as in acme:whsec_…")
        found.append(EventSecret(key=key, tenant=tenant or None))
    return tuple(found)


def signing_keys(environ: Mapping[str, str], name: str, _default: tuple[bytes, ...]) -> tuple[bytes, ...]:
    """Return the keys of the secrets of a variable, separated by white space."""
    keys = tuple(map(decoded, environ.get(name, "").split()))
    if not all(keys):
        raise ConfigError(f"{name} {_SECRET_FORM}")
    return keys


def networks(environ: Mapping[str, str], name: str, _default: tuple[Network, ...]) -> tuple[Network, ...]:
    """Return the networks that a variable lists, separated by commas."""
    found: list[Network] = []
    for text in filter(None, (part.strip() for part in environ.get(name, "").split(","))):
        try:
            found.append(ipaddress.ip_network(text))
        except ValueError:
            raise ConfigError(f"{name} must be networks such as 10.1.0.0/16 or ::1/128, not {text[:40]!r}") from None
    return tuple(found)


def read(
    tables: Mapping[str, Any], variables: Mapping[str, str], allowed: Sequence[Network], sagas: Iterable[str]
) -> Webhooks:
    """Return all webhooks. Raise ConfigError for the first illegal setting. sagas: all types of sagas."""
    known, used = frozenset(sagas), set[str]()
    found = [_Reader(name, table, variables, used).webhook(known) for name, table in tables.items()]
    if unused := sorted(variables.keys() - used):
        names = ", ".join(map(secrets_variable, tables)) or "no webhook is in WEBHOOKS_FILE"
        raise ConfigError(f"{unused[0]} belongs to no webhook; there may be: {names}")
    webhooks = Webhooks(found, allowed)
    for each in found:
        for url in filter(None, (each.url, each.prefix)):
            _check_address(webhooks, each.name, url)
    return webhooks


def secrets_variable(webhook: str) -> str:
    return f"WEBHOOK_{webhook.upper().replace('-', '_')}_SECRETS"


def _check_address(webhooks: Webhooks, name: str, url: str) -> None:
    """Raise ConfigError for a URL with a private IP address that WEBHOOK_NETWORKS does not allow."""
    host = urlsplit(url).hostname or ""
    try:
        allowed = webhooks.allows(host)
    except ValueError:  # the host is a name; its addresses are checked at each connection
        return
    if not allowed:
        raise ConfigError(
            f"WEBHOOKS_FILE: [{name}] has the private address {host}; add its network to WEBHOOK_NETWORKS to allow it"
        )


@dataclass(frozen=True)
class _Reader:
    """Reads one table of WEBHOOKS_FILE. used: collects the variables that belong to a webhook."""

    name: str
    table: Mapping[str, Any]
    variables: Mapping[str, str]
    used: set[str]

    def webhook(self, sagas: frozenset[str]) -> Webhook:
        if not _NAME.fullmatch(self.name):
            raise self._error("", "the name must be lower-case letters, digits, - and _, and begin with a letter")
        for setting in self.table:
            if setting not in _KNOWN:
                near = nearest_of(setting, _KNOWN)
                raise self._error(setting, f"is no setting; did you mean {near}?" if near else f"is none of {_KNOWN}")
        url, prefix, own = self._url("url"), self._url("prefix").rstrip("/"), self._words("sagas", sagas, ())
        if not (url or prefix):
            raise self._error("url", "is not set, and there is no prefix; set one of them, or both")
        if own and not url:
            raise self._error("url", "is not set, and sagas are; only a start can give an address below the prefix")
        return Webhook(
            name=self.name,
            url=url,
            prefix=prefix and f"{prefix}/",
            sagas=own,
            events=self._words("events", frozenset(EVENTS), EVENTS),
            attempts=int(self._number("attempts", ATTEMPTS, 1, MOST_ATTEMPTS, whole=True)),
            timeout_s=self._number("timeout_s", TIMEOUT_S, 0.1, LONGEST_TIMEOUT_S),
            secrets=self._secrets(),
        )

    def _error(self, setting: str, problem: str) -> ConfigError:
        return ConfigError(f"WEBHOOKS_FILE: [{self.name}]{f' {setting}' if setting else ''} {problem}")

    def _url(self, setting: str) -> str:
        text = self.table.get(setting, "")
        if not isinstance(text, str):
            raise self._error(setting, "must be a text")
        if not text:
            return ""
        label = f"WEBHOOKS_FILE: [{self.name}] {setting}"
        http_url({label: text}, label, "")
        if not plain_url(text):
            raise self._error(setting, "must have no //, no . or .. in its path, and no encoded slash or dot")
        return text

    def _words(self, setting: str, allowed: frozenset[str], default: Sequence[str]) -> frozenset[str]:
        words = self.table.get(setting, list(default))
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            raise self._error(setting, 'must be a list of texts, such as ["completed"]')
        for word in words:
            if word not in allowed:
                raise self._error(setting, f"has {word!r}; use {', '.join(sorted(allowed)) or 'none: there is none'}")
        if setting == "events" and not words:
            raise self._error(setting, "is empty, so nothing would be sent; leave it out for all")
        return frozenset(words)

    def _number(self, setting: str, default: float, low: float, high: float, *, whole: bool = False) -> float:
        number = self.table.get(setting, default)
        right = isinstance(number, int) or (isinstance(number, float) and not whole)
        if isinstance(number, bool) or not right or not low <= number <= high:
            raise self._error(setting, f"must be a {'whole ' if whole else ''}number from {low:g} to {high:g}")
        return float(number)

    def _secrets(self) -> SecretFiles:
        """Return the secrets of the variable, or of the file; the variable wins."""
        variable, file = secrets_variable(self.name), self.table.get("secrets_file", "")
        self.used.add(variable)
        if text := self.variables.get(variable, ""):
            if not all(map(decoded, text.split(" "))):
                raise ConfigError(f"{variable} {_SECRET_FORM}")
            return SecretFiles({"": text}, {})
        if not isinstance(file, str) or not file:
            raise self._error("secrets_file", f"is not set; name a file with the secret, or set {variable}")
        try:
            text = secret_in(file)
        except OSError as error:
            raise self._error("secrets_file", f"{file} cannot be read: {error.strerror}") from None
        except ValueError as error:
            raise self._error("secrets_file", f"{file} {error}") from None
        if not all(map(decoded, text.split(" "))):
            raise self._error("secrets_file", f"{file} {_SECRET_FORM}")
        return SecretFiles({"": text}, {"": file})
