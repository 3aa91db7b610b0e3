"""Reads and checks the settings of every participant: from PARTICIPANTS_FILE and from variables, which win."""

import re
import ssl
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.participant_settings import auth
from app.participant_settings.headers import check_sources, header_name, plain_headers
from app.participant_settings.model import IDEMPOTENCY_HEADER, ParticipantSettings
from app.participant_settings.proxies import Proxy, environment_proxy, proxy_at
from app.participant_settings.words import PLAIN, by_participant, nearest_of, variable_of
from app.server_urls import http_url
from app.settings import LONGEST_S, SHORTEST_S, ConfigError, ca_file

_MOST_CALLS = 10_000
_RATE = re.compile(r"([1-9][0-9]{0,5})/(second|minute|hour)")
_LONGEST_TITLE = 60
_PERIODS = {"second": 1.0, "minute": 60.0, "hour": 3600.0}


def toml_tables(environ: Mapping[str, str], name: str, _default: object) -> Mapping[str, Any]:
    """Return the tables of the TOML file that a variable names."""
    if not (path := environ.get(name)):
        return {}
    try:
        tables = tomllib.loads(Path(path).read_text())
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{name}={path} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{name}={path} is no TOML: {error}") from None
    for participant, table in tables.items():
        if not isinstance(table, dict):
            raise ConfigError(f"{name}={path}: {participant} is no table; write [{participant}] and its settings below")
    return tables


def participant_variables(environ: Mapping[str, str], _name: str, _default: object) -> Mapping[str, str]:
    """Return every PARTICIPANT_… variable. Raise ConfigError for an illegal URL."""
    found = {name.upper(): text for name, text in environ.items() if name.upper().startswith("PARTICIPANT_")}
    for name in found:
        if name.endswith("_URL"):
            http_url(found, name, "")
    return found


def public_cas(environ: Mapping[str, str], _name: str, _default: object) -> str | None:
    """Return the file or folder of CAs that replaces the public CAs, from the same variables as in `requests`."""
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        if path := environ.get(name):
            if Path(path).is_dir():
                return path
            return ca_file(environ, name, None)
    return None


def proxy_variables(environ: Mapping[str, str], _name: str, _default: object) -> Mapping[str, str]:
    """Return the variables that name proxies. Their values may contain a password."""
    names = {"http_proxy", "https_proxy", "all_proxy", "no_proxy"}
    return {name: text for name, text in environ.items() if name.lower() in names}


@dataclass(frozen=True, kw_only=True)
class Common:
    """The settings that apply to all participants."""

    #: Base URL of the participants without a URL of their own, and of the gateway in front of them.
    url: str
    #: API key for the gateway. It is sent to every participant below `url`.
    api_key: str | None
    ca_file: str | None
    public_cas: str | None
    #: The variables that name proxies, such as HTTPS_PROXY.
    proxies: Mapping[str, str]


class Reader:
    """Reads one participant's settings; each error names the setting as the operator wrote it."""

    def __init__(self, participant: str, table: Mapping[str, Any], variables: Mapping[str, str]) -> None:
        self.participant, self._variables = participant, variables
        self._table = {**table}
        kind = self._table.pop("auth", None)
        if isinstance(kind, Mapping):
            self._table |= {"auth" if name == "type" else f"auth.{name}": value for name, value in kind.items()}
        elif kind is not None:
            raise self.error("auth", 'must be a table, such as auth = {type = "bearer", token_file = "/run/…"}')
        self.headers = plain_headers(self, self._table.pop("headers", {}))

    @property
    def names(self) -> frozenset[str]:
        return frozenset(self._table) | frozenset(self._variables)

    def is_variable(self, setting: str) -> bool:
        return bool(self._variables.get(setting))

    def label(self, setting: str) -> str:
        """Return the name of a setting in the file if it was set there, otherwise its variable."""
        if setting in self._variables or setting not in self._table:
            return variable_of(self.participant, setting)
        return f"PARTICIPANTS_FILE: [{self.participant}] {setting}"

    def error(self, setting: str, problem: str) -> ConfigError:
        if setting == "headers":  # it has no variable
            return ConfigError(f"PARTICIPANTS_FILE: [{self.participant}] {setting} {problem}")
        return ConfigError(f"{self.label(setting)} {problem}")

    def text(self, setting: str) -> str:
        """Return the text of a setting; "" when it is not set."""
        found = self._variables.get(setting) or self._table.get(setting, "")
        if isinstance(found, bool) or not isinstance(found, str | int | float):
            raise self.error(setting, "must be a text or a number")
        text = str(found)
        if not text.isprintable() and setting != "auth.canonical":
            raise self.error(setting, "must be one line of plain text")
        return text

    def parsed(self, setting: str, parse: Callable[[Mapping[str, str], str, Any], Any]) -> Any:
        """Return the value of a setting, read by a parser of app.settings; None when the setting is not set."""
        label = self.label(setting)
        return parse({label: self.text(setting)}, label, None) if self.text(setting) else None

    def number(self, setting: str, low: float, high: float, what: str) -> float | None:
        text = self.text(setting)
        if not text:
            return None
        plain = re.fullmatch(r"[0-9]*\.?[0-9]+", text)
        if not plain or not low <= float(text) <= high:
            raise self.error(setting, f"must be {what} from {low:g} to {high:g}, not {text[:40]!r}")
        return float(text)


def participant_settings(
    participants: Mapping[str, Iterable[str]], tables: Mapping[str, Any], variables: Mapping[str, str], common: Common
) -> Mapping[str, ParticipantSettings]:
    """Return the settings of every participant.

    Raise ConfigError for the first setting that is illegal, or that belongs to no participant of the tables.
    participants: name → the headers that the calls of the tables set.
    """
    names = sorted(participants)
    for table in tables:
        if table not in names:
            near = nearest_of(table, names)
            remedy = f"did you mean [{near}]?" if near else f"they use {', '.join(names)}"
            raise ConfigError(f"PARTICIPANTS_FILE: [{table}] is no participant of the tables; {remedy}")
    own = by_participant(variables, names)
    return {
        name: _settings(Reader(name, tables.get(name, {}), own.get(name, {})), common, participants[name])
        for name in names
    }


def _settings(reader: Reader, common: Common, tables_set: Iterable[str]) -> ParticipantSettings:
    _check_names(reader)
    url = reader.parsed("url", http_url) or f"{common.url}/{reader.participant}"
    credential = auth.read(reader)
    behind_gateway = url == common.url or url.startswith(f"{common.url}/")
    headers = dict(reader.headers)
    own_key = credential is not None and credential["header"].lower() == "x-api-key"
    key_header = header_name(reader, "idempotency_header", IDEMPOTENCY_HEADER)
    gateway = bool(common.api_key) and behind_gateway and not own_key
    check_sources(reader, credential, key_header, gateway, tables_set)
    if common.api_key and gateway:
        headers["X-API-Key"] = common.api_key
    private = (common.ca_file, reader.parsed("ca_file", ca_file))
    cert, key = _client_certificate(reader)
    concurrency = reader.number("concurrency", 1, _MOST_CALLS, "a number of calls")
    if concurrency and concurrency != int(concurrency):
        raise reader.error("concurrency", "must be a whole number")
    return ParticipantSettings(
        url=url,
        auth=credential,
        behind_gateway=behind_gateway,
        headers=headers,
        public_cas=common.public_cas,
        ca_files=tuple(file for file in private if file),
        client_cert_file=cert,
        client_key_file=key,
        proxy=_proxy(reader, url, common),
        token_proxy=_proxy(reader, credential["token_url"], common) if credential else None,
        idempotency_header=key_header,
        timeout_s=reader.number("timeout_s", SHORTEST_S, LONGEST_S, "a number of seconds"),
        concurrency=int(concurrency) if concurrency else None,
        rate=_rate(reader),
        health=_health(reader),
        title=_title(reader),
    )


def _check_names(reader: Reader) -> None:
    known = {*PLAIN, "auth", *auth.NAMES}
    for name in sorted(reader.names - known):
        near = nearest_of(name, known)
        remedy = f"did you mean {near}?" if near else f"it may have {', '.join((*PLAIN, 'auth', 'headers'))}"
        raise reader.error(name, f"is no setting of a participant; {remedy}")


def _client_certificate(reader: Reader) -> tuple[str | None, str | None]:
    cert, key = reader.text("client_cert_file") or None, reader.text("client_key_file") or None
    if key and not cert:
        raise reader.error("client_cert_file", f"is not set, but {reader.label('client_key_file')} is; set both")
    if cert:
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(cert, key, password=lambda: "")
        except ssl.SSLError as error:
            problem = f"={cert} and its key (client_key_file) are no pair in PEM form ({error.reason or error})"
            raise ConfigError(f"{reader.label('client_cert_file')}{problem}") from None
        except OSError as error:
            both = f"{cert}{f' or {key}' if key else ''}"
            raise ConfigError(f"{reader.label('client_cert_file')}: {both} cannot be read: {error.strerror}") from None
    return cert, key


def _proxy(reader: Reader, url: str, common: Common) -> Proxy | None:
    text = reader.text("proxy")
    if text == "none":
        return None
    return proxy_at(text, reader.label("proxy")) if text else environment_proxy(url, common.proxies)


def _rate(reader: Reader) -> tuple[int, float] | None:
    text = reader.text("rate")
    if not text:
        return None
    if not (found := _RATE.fullmatch(text)):
        raise reader.error("rate", f"must be a limit such as 100/second or 1000/minute, not {text[:40]!r}")
    return int(found[1]), _PERIODS[found[2]]


def _health(reader: Reader) -> str | None:
    path = reader.text("health")
    if path and not re.fullmatch(r"/[!-~]*", path):
        raise reader.error("health", f"must be a path such as /health, not {path[:40]!r}")
    return path or None


def _title(reader: Reader) -> str:
    title = reader.text("title").strip()
    if len(title) > _LONGEST_TITLE:
        raise reader.error("title", f"must have {_LONGEST_TITLE} characters at most")
    return title
