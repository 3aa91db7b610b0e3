"""Reads and checks NOTIFY_FILE: the channels that get messages about new causes, outages and many stuck sagas."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import time
from typing import Any

from app.participant_settings.reading import toml_tables
from app.participant_settings.secret_files import SecretFiles, secret_in
from app.participant_settings.words import nearest_of
from app.server_urls import http_url
from app.settings import ConfigError
from app.webhook_settings.model import decoded

KINDS = ("webhook", "slack", "mail")
_SETTINGS: Mapping[str, tuple[str, ...]] = {
    "webhook": ("url", "secret_file"),
    "slack": ("url_file",),
    "mail": ("host", "port", "tls", "user", "password_file", "sender", "to"),
}
_COMMON = ("kind", "stuck_over", "quiet")
_NAME = re.compile("[a-z][a-z0-9_-]{0,49}")
_QUIET = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])-([01][0-9]|2[0-3]):([0-5][0-9])")
_ADDRESS = re.compile(r"[!-?A-~]+@[!-?A-~]+")
_TLS = ("starttls", "tls", "none")
_PORTS = {"starttls": 587, "tls": 465, "none": 25}
_MOST_STUCK, _LARGEST_PORT = 10_000_000, 65_535


@dataclass(frozen=True, kw_only=True)
class Channel:
    """One receiver of messages. Its repr does not contain the secrets."""

    name: str
    #: webhook, slack or mail.
    kind: str
    #: URL of a webhook. The URL of a Slack webhook is a secret, so it is in `secrets`.
    url: str = ""
    #: Secret of a webhook, URL of a Slack webhook, or password of the mail server.
    secrets: SecretFiles = field(repr=False, default_factory=lambda: SecretFiles({"": ""}, {}))
    host: str = ""
    port: int = 0
    tls: str = "starttls"
    user: str = ""
    sender: str = ""
    to: tuple[str, ...] = ()
    #: A message is sent when more sagas than this are stuck; None: no such message.
    stuck_over: int | None = None
    #: Start and end of the hours without messages, in UTC; None: there are none.
    quiet: tuple[time, time] | None = None

    @property
    def secret(self) -> str:
        """The secret as it is now: a changed file is read again."""
        self.secrets.look()
        return self.secrets.secrets[""]

    def is_quiet(self, now: time) -> bool:
        """Return True within the quiet hours, which may go over midnight."""
        if self.quiet is None:
            return False
        start, end = self.quiet
        return start <= now < end if start <= end else now >= start or now < end


def notify_file(environ: Mapping[str, str], name: str, default: object) -> Mapping[str, Any]:
    """Return the tables of NOTIFY_FILE."""
    return toml_tables(environ, name, default)


def channels(tables: Mapping[str, Any]) -> Sequence[Channel]:
    """Return the channels. Raise ConfigError for the first illegal setting."""
    return [_Reader(name, table).channel() for name, table in tables.items()]


@dataclass(frozen=True)
class _Reader:
    """Reads one table of NOTIFY_FILE."""

    name: str
    table: Mapping[str, Any]

    def channel(self) -> Channel:
        if not _NAME.fullmatch(self.name):
            raise self._error("", "the name must be lower-case letters, digits, - and _, and begin with a letter")
        kind = self._choice("kind", KINDS, "")
        known = (*_COMMON, *_SETTINGS[kind])
        for setting in self.table:
            if setting not in known:
                near = nearest_of(setting, known)
                raise self._error(
                    setting,
                    f"is no setting of {kind}; " + (f"did you mean {near}?" if near else f"it has {', '.join(known)}"),
                )
        common: dict[str, Any] = {"name": self.name, "kind": kind, "quiet": self._quiet()}
        common["stuck_over"] = self._number("stuck_over", 0, _MOST_STUCK) if "stuck_over" in self.table else None
        return getattr(self, f"_{kind}")(common)  # type: ignore[no-any-return]

    def _webhook(self, common: Mapping[str, Any]) -> Channel:
        label = f"NOTIFY_FILE: [{self.name}] url"
        url = http_url({label: self._text("url")}, label, "")
        secret = self._secret("secret_file", required=True)
        if not decoded(secret.secrets[""]):
            raise self._error(
                "secret_file", "must have whsec_ and 24 to 64 bytes in base64, such as whsec_$(openssl rand -base64 32)"
            )
        return Channel(**common, url=url, secrets=secret)

    def _slack(self, common: Mapping[str, Any]) -> Channel:
        secret = self._secret("url_file", required=True)
        try:
            http_url({"url": secret.secrets[""]}, "url", "")
        except ConfigError:
            raise self._error("url_file", "must contain an http:// or https:// URL") from None
        return Channel(**common, secrets=secret)

    def _mail(self, common: Mapping[str, Any]) -> Channel:
        tls, user = self._choice("tls", _TLS, "starttls"), self._text("user", "")
        secret = self._secret("password_file", required=bool(user))
        if secret.secrets[""] and not user:
            raise self._error("user", "is not set, and password_file is; set both, or none")
        to = self.table.get("to")
        if (
            not isinstance(to, list)
            or not to
            or not all(isinstance(each, str) and _ADDRESS.fullmatch(each) for each in to)
        ):
            raise self._error("to", 'must be a list of addresses, such as ["oncall@shop.example"]')
        sender = self._text("sender")
        if not _ADDRESS.fullmatch(sender):
            raise self._error("sender", "must be an address, such as sagas@shop.example")
        port = self._number("port", 1, _LARGEST_PORT) if "port" in self.table else _PORTS[tls]
        return Channel(
            **common,
            host=self._text("host"),
            port=port,
            tls=tls,
            user=user,
            sender=sender,
            to=tuple(to),
            secrets=secret,
        )

    def _error(self, setting: str, problem: str) -> ConfigError:
        return ConfigError(f"NOTIFY_FILE: [{self.name}]{f' {setting}' if setting else ''} {problem}")

    def _text(self, setting: str, default: str | None = None) -> str:
        text = self.table.get(setting, default)
        if text is None:
            raise self._error(setting, "is not set")
        if not isinstance(text, str) or not text.isprintable() or (not text and default is None):
            raise self._error(setting, "must be one line of plain text")
        return text

    def _choice(self, setting: str, choices: Sequence[str], default: str) -> str:
        text = self.table.get(setting, default)
        if text not in choices:
            raise self._error(setting, f"must be {', '.join(choices[:-1])} or {choices[-1]}")
        return str(text)

    def _number(self, setting: str, low: int, high: int) -> int:
        number = self.table[setting]
        if isinstance(number, bool) or not isinstance(number, int) or not low <= number <= high:
            raise self._error(setting, f"must be a whole number from {low} to {high}")
        return number

    def _quiet(self) -> tuple[time, time] | None:
        if "quiet" not in self.table:
            return None
        found = _QUIET.fullmatch(str(self.table["quiet"]))
        if not found or found[1] + found[2] == found[3] + found[4]:
            raise self._error("quiet", 'must be hours in UTC, such as "22:00-06:30"')
        return time(int(found[1]), int(found[2])), time(int(found[3]), int(found[4]))

    def _secret(self, setting: str, *, required: bool) -> SecretFiles:
        if setting not in self.table and not required:
            return SecretFiles({"": ""}, {})
        file = self._text(setting)
        try:
            return SecretFiles({"": secret_in(file)}, {"": file})
        except OSError as error:
            raise self._error(setting, f"{file} cannot be read: {error.strerror}") from None
        except ValueError as error:
            raise self._error(setting, f"{file} {error}") from None
