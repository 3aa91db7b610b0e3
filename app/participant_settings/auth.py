"""Reads the credential for a participant: its kind, secrets and options. An incomplete credential is refused."""

from string import Template
from typing import TYPE_CHECKING

from app.participant_settings.headers import header_name
from app.participant_settings.model import Auth
from app.participant_settings.secret_files import is_plain, secret_in
from app.participant_settings.words import NEEDED, OPTIONAL, SECRETS, nearest_of, options_of
from app.server_urls import http_url

if TYPE_CHECKING:
    from app.participant_settings.reading import Reader

#: Names that the canonical text of a signature may contain.
CANONICAL = ("method", "path", "query", "target", "host", "timestamp", "key", "body", "body_sha256", "newline")
ALGORITHMS = ("sha256", "sha384", "sha512", "sha1")
TIMESTAMPS = ("seconds", "milliseconds", "iso8601", "http_date")
NAMES = frozenset(f"auth.{name}" for kind in SECRETS for name in options_of(kind))
_HEADERS = ("header", "timestamp_header")


def read(reader: "Reader") -> Auth | None:
    """Return the credential for a participant; None when none is set. Raise ConfigError for an illegal setting."""
    kind = reader.text("auth")
    given = sorted(name for name in reader.names if name.startswith("auth."))
    if not kind:
        if given:
            raise reader.error("auth", f"is not set, but {reader.label(given[0])} is; set it to {_kinds()}")
        return None
    if kind not in SECRETS:
        near = nearest_of(kind, SECRETS)
        raise reader.error("auth", f"must be {_kinds()}{f'; did you mean {near}?' if near else ''}")
    for name in given:
        if name.removeprefix("auth.") not in options_of(kind):
            raise reader.error(name, f"is no setting of {kind}, which has {', '.join(options_of(kind))}")
    secrets, files = dict[str, str](), dict[str, str]()
    for name in SECRETS[kind]:
        secrets[name] = _secret(reader, kind, name, files)
    options = {name: reader.text(f"auth.{name}") for name in (*NEEDED[kind], *OPTIONAL[kind])}
    for name in NEEDED[kind]:
        if not options[name]:
            raise reader.error(f"auth.{name}", f"is not set, and {kind} needs it")
    if kind == "api_key":
        options["header"] = options["header"] or "X-API-Key"
    found = Auth(type=kind, options={n: text for n, text in options.items() if text}, secrets=secrets, files=files)
    _check(reader, found)
    return found


def _kinds() -> str:
    return f"{', '.join(list(SECRETS)[:-1])} or {list(SECRETS)[-1]}"


def _secret(reader: "Reader", kind: str, name: str, files: dict[str, str]) -> str:
    """Return a secret, from its setting or from the file that …_file names."""
    setting = f"auth.{name}"
    secret, file = reader.text(setting), reader.text(f"{setting}_file")
    if secret and file:
        if reader.is_variable(setting) == reader.is_variable(f"{setting}_file"):
            raise reader.error(f"{setting}_file", f"is set, and {reader.label(setting)} is, too; take one of them out")
        secret, file = (secret, "") if reader.is_variable(setting) else ("", file)
    if file:
        files[name] = file
        try:
            return secret_in(file)
        except OSError as error:
            raise reader.error(f"{setting}_file", f"={file} cannot be read: {error.strerror}") from None
        except ValueError as error:
            raise reader.error(f"{setting}_file", f"={file} {error}") from None
    if not secret:
        raise reader.error(setting, f"is not set, and {kind} needs it; {reader.label(f'{setting}_file')} names a file")
    if not is_plain(secret):
        raise reader.error(setting, "must be one line of plain letters, digits and signs")
    return secret


def _check(reader: "Reader", auth: Auth) -> None:
    for name in _HEADERS:
        header_name(reader, f"auth.{name}")
    for name in ("user", "prefix", "client_id", "scope", "audience", "value"):
        if not auth.options.get(name, "").isascii():
            raise reader.error(f"auth.{name}", "must be plain letters, digits and signs")
    if ":" in auth.options.get("user", ""):
        raise reader.error("auth.user", "must have no colon")
    if auth.type == "oauth2":
        reader.parsed("auth.token_url", http_url)
        if auth["client_auth"] not in ("", "basic", "body"):
            raise reader.error("auth.client_auth", "must be basic or body")
    if auth.type == "hmac":
        _check_hmac(reader, auth)


def _check_hmac(reader: "Reader", auth: Auth) -> None:
    algorithm = auth["algorithm"] or ALGORITHMS[0]
    if algorithm not in ALGORITHMS:
        raise reader.error("auth.algorithm", f"must be one of {', '.join(ALGORITHMS)}")
    if auth["encoding"] not in ("", "hex", "base64"):
        raise reader.error("auth.encoding", "must be hex or base64")
    if auth["timestamp"] not in ("", *TIMESTAMPS):
        raise reader.error("auth.timestamp", f"must be one of {', '.join(TIMESTAMPS)}")
    for name, allowed in (("canonical", CANONICAL), ("value", ("signature", "timestamp"))):
        template = Template(auth[name])
        unknown = sorted(set(template.get_identifiers()) - set(allowed))
        if unknown or not template.is_valid():
            what = f"has ${{{unknown[0]}}}" if unknown else "has a $ without a name; write $$ for a $"
            raise reader.error(f"auth.{name}", f"{what}; it may have {', '.join(f'${{{each}}}' for each in allowed)}")
    shown, signed = (Template(auth[name]).get_identifiers() for name in ("value", "canonical"))
    if auth["value"] and "signature" not in shown:
        raise reader.error("auth.value", "must contain ${signature}")
    if not {"body", "body_sha256"}.intersection(signed):
        raise reader.error("auth.canonical", "must contain ${body} or ${body_sha256}; otherwise a body can be replaced")
    if "timestamp" in signed and not auth["timestamp_header"] and "timestamp" not in shown:
        remedy = "set timestamp_header, or put ${timestamp} into value"
        raise reader.error("auth.canonical", f"has ${{timestamp}}, which the participant does not learn; {remedy}")
