"""Parsers of the settings that hold the URL of a server: the database, participants, Redis, the broker, origins."""

import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote, urlsplit

from app.logs import Secrets
from app.settings import ConfigError, Setting, as_written, port
from machines.lines import shortened

#: Hides secrets in a URL that an error message shows: what the log hides, and parameters with these names.
_SECRETS = Secrets(("auth", "code", "key", "pass", "sig", "signature"))
_ROOT = Path(__file__).parents[1]
#: True when the service was installed from a wheel: then the default database is in the current folder. False in a
#: checkout of the repository: then it is in the folder var.
_INSTALLED = next(_ROOT.glob("saga_orchestrator-*.dist-info"), None) is not None
_FILE = Path.cwd() / "saga.db" if _INSTALLED else _ROOT / "var" / "saga.db"
DEFAULT_DATABASE_URL = f"sqlite:///{_FILE}"

DB_HOST = Setting(
    name="DB_HOST",
    parse=as_written,
    default="",
    help="the database's host, when there is no `DATABASE_URL`; the URL overrides this and the four below",
)
DB_PORT = Setting(name="DB_PORT", parse=port, default=5432, help="the database's port")
DB_USERNAME = Setting(name="DB_USERNAME", parse=as_written, default="postgres", help="the database's user")
DB_PASSWORD = Setting(
    name="DB_PASSWORD", parse=as_written, default="", shown="empty", help="that user's password", secret=True
)
DB_DATABASE = Setting(name="DB_DATABASE", parse=as_written, default="saga_db", help="the database's name")
#: Settings that can replace DATABASE_URL.
DATABASE_PARTS = (DB_HOST, DB_PORT, DB_USERNAME, DB_PASSWORD, DB_DATABASE)

REDIS_HOST = Setting(name="REDIS_HOST", parse=as_written, default="", help="Redis's host, instead of the URL")
REDIS_PORT = Setting(name="REDIS_PORT", parse=port, default=6379, help="Redis's port")
#: Settings that can replace REDIS_URL.
REDIS_PARTS = (REDIS_HOST, REDIS_PORT)


def database_url(environ: Mapping[str, str], name: str, default: str) -> str:
    url = environ.get(name, "")
    if not url and DB_HOST.name in environ:
        user, password = (quote(part.read(environ), safe="") for part in (DB_USERNAME, DB_PASSWORD))
        host, database = bracketed(DB_HOST.read(environ)), quote(DB_DATABASE.read(environ), safe="")
        return _postgresql(f"{user}:{password}@{host}:{DB_PORT.read(environ)}/{database}", DB_HOST.name)
    if not url:
        return default
    scheme, separator, rest = url.partition("://")
    if scheme.partition("+")[0] in ("postgresql", "postgres") and separator:
        return _postgresql(rest, name)
    if scheme == "sqlite" and rest.strip("/") not in ("", ":memory:"):
        return url
    raise ConfigError(f"{name} must begin with postgresql:// or name a file after sqlite:///")


def _postgresql(rest: str, name: str) -> str:
    """Return the URL for SQLAlchemy. rest: the part after postgresql://. Several hosts are moved into the query."""
    parts = re.fullmatch(
        r"(?P<user>(?:[^:/?@]*(?::[^@]*)?@)?)(?P<hosts>[^/?]*)(?P<name>/?[^?]*)(?P<query>\??.*)", rest, re.DOTALL
    )
    assert parts
    found = [re.fullmatch(r"(\[[^\[\]]*\]|[^@:\[\]]*)(?::([0-9]{0,5}))?", host) for host in parts["hosts"].split(",")]
    hosts, ports = zip(*(host.groups(default="") if host else ("", "0") for host in found), strict=True)
    if not all(port == "" or 0 < int(port) < 1 << 16 for port in ports):
        raise ConfigError(
            f"{name} must name a host and a port from 1 to 65535, as in postgresql://user:password@host:5432/name; "
            "a sign such as @ or : in the password is written %40 or %3A"
        )
    driver = "postgresql+psycopg2://"  # SQLAlchemy 2.1 would choose psycopg 3
    if len(hosts) == 1:
        return driver + rest
    query = f"host={','.join(host.strip('[]') for host in hosts)}&port={','.join(ports)}"
    return f"{driver}{parts['user']}{parts['name']}?{query}&{parts['query'][1:]}".removesuffix("&")


def role_name(environ: Mapping[str, str], name: str, default: str) -> str:
    """Return the name of a database role, which is written into statements."""
    role = environ.get(name, "") or default
    if role and not re.fullmatch("[a-z_][a-z0-9_]{0,62}", role):
        raise ConfigError(f"{name} must be 1 to 63 of a-z, 0-9 and _, the first no digit, not {role[:80]!r}")
    return role


def http_url(environ: Mapping[str, str], name: str, default: str) -> str:
    written = environ.get(name, default)
    url = written.rstrip("/")
    if "@" in re.split("[/?#]", url.partition("//")[2])[0]:
        raise ConfigError(
            f"{name} must hold no user and no password; a credential is a setting of its own: docs/participants.md"
        )
    try:
        parts = urlsplit(url)
        sound = _resolvable(parts.hostname or "") and parts.port != 0 and not parts.netloc.endswith(":")
    except ValueError:  # an illegal port, label or IPv6 address
        sound = False
    if not sound or not re.fullmatch("https?://[!-~]*", url, re.IGNORECASE) or "?" in url or "#" in url:
        # A URL with an @ is not shown, because any text before it may be a password. In another URL, only the values of
        # parameters may be secrets.
        shown = "what it holds" if "@" in url else repr(shortened(_SECRETS.redacted(written), 200))
        raise ConfigError(f"{name} must be a URL such as http://127.0.0.1:8010, not {shown}")
    return url


def public_url(environ: Mapping[str, str], name: str, default: str | None) -> str | None:
    """Return the URL of this service. An empty variable counts as not set."""
    return http_url(environ, name, "") if environ.get(name) else default


def _resolvable(host: str) -> bool:
    """Return True for an IP address or a legal host name. Raise ValueError for a name with a label that is too long."""
    return bool(host) and (":" in host or bool(re.fullmatch("[a-z0-9._-]+", host) and host.encode("idna")))


def redis_url(environ: Mapping[str, str], name: str, default: str | None) -> str | None:
    url = environ.get(name, "")
    if not url and REDIS_HOST.name in environ:
        url = f"redis://{bracketed(REDIS_HOST.read(environ))}:{REDIS_PORT.read(environ)}"
    _check_server(name, url, ("redis://", "rediss://", "unix://"))
    return url or default


def broker_url(environ: Mapping[str, str], name: str, default: str | None) -> str | None:
    url = environ.get(name, "")
    for one in url.split(";"):  # kombu connects to the first of several URLs that it can reach
        _check_server(name, one, ("redis://", "rediss://", "amqp://", "amqps://"))
    return ";".join(map(_verified, url.split(";"))) or default


def _verified(url: str) -> str:
    """Return the URL of a broker so that the certificate of a Redis is checked: kombu checks none by default."""
    if not url.startswith("rediss://") or "ssl_cert_reqs=" in url:
        return url
    return f"{url}{'&' if '?' in url else '?'}ssl_cert_reqs=CERT_REQUIRED"


def _check_server(name: str, url: str, schemes: tuple[str, ...]) -> None:
    """Raise ConfigError for an illegal URL of a Redis or a broker. The error does not show the password."""
    if url and not url.startswith(schemes):
        raise ConfigError(f"{name} must begin with {', '.join(schemes[:-1])} or {schemes[-1]}")
    try:
        sound = urlsplit(url).port != 0
    except ValueError:
        sound = False
    if not sound:
        raise ConfigError(f"{name} must name a host and a port from 1 to 65535, as in {schemes[0]}host:1234")


def bracketed(host: str) -> str:
    """Return the host as a URL contains it: an IPv6 address gets brackets."""
    return f"[{host}]" if ":" in host and not host.startswith("[") else host


def host_names(environ: Mapping[str, str], name: str, _default: tuple[str, ...]) -> tuple[str, ...]:
    names = tuple(host.lower() for text in environ.get(name, "").split(",") if (host := text.strip()))
    for host in names:
        if not re.fullmatch(r"[a-z0-9._-]+", host):
            raise ConfigError(f"{name} must be host names such as sagas.example, without ports, not {host[:80]!r}")
    return names


def cors_origins(environ: Mapping[str, str], name: str, _default: tuple[str, ...]) -> tuple[str, ...]:
    origins = tuple(origin for text in environ.get(name, "").split(",") if (origin := text.strip()))
    if origins == ("*",):
        return origins
    for origin in origins:
        if not re.fullmatch(r"https?://[a-z0-9.-]+(:[0-9]{1,5})?", origin):
            raise ConfigError(
                f"{name} must be origins such as https://shop.example, with commas between them, or * alone, "
                f"not {origin!r}"
            )
    return origins
