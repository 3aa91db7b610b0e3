"""Parsers for single settings: the legal values, and the error for any other value."""

import ipaddress
import re
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote, urlsplit

import click

from app.logs import Secrets
from app.values import shortened

DEFAULT_DATABASE_URL = f"sqlite:///{Path(__file__).parent.parent / 'var' / 'saga.db'}"

DEFAULT_HOST = "127.0.0.1"
SHORTEST_SECRET = 32
#: Bounds of every time, in seconds. A wait of more than a day is a mistake, and clocks overflow far beyond that.
SHORTEST_S, LONGEST_S = 0.001, 86_400.0
MOST_THREADS = 4096
MOST_WORKERS = 256
#: Upper bound of counts such as attempts and failures.
MOST_TIMES = 1_000_000
MOST_PROXIES = 100
MOST_CONNECTIONS = 10_000
#: The only notation of numbers in settings. Python's float() and int() also accept 1_0, +5, " 5 ", 1e3 and digits of
#: other scripts, which an operator does not mean to write.
_DECIMAL = re.compile(r"[0-9]*\.?[0-9]+")
HOW_TO_MAKE = "make one with `openssl rand -hex 32` and keep it: SECRET_KEY=…, or in a file named by SECRET_KEY_FILE"
#: Variable of the folder in which the processes of one server count their metrics.
SHARED = "PROMETHEUS_MULTIPROC_DIR"
#: Settings that may also come from a file: SECRET_FILE instead of SECRET.
SECRETS = ("SECRET_KEY", "DATABASE_URL", "DB_PASSWORD", "REDIS_URL", "BROKER_URL", "PARTICIPANTS_API_KEY")
#: Parts of a refused URL that are not shown: what the log hides, and other usual names of secrets in a query.
_SECRETS = Secrets(("auth", "code", "key", "pass", "sig", "signature"))


class ConfigError(click.ClickException):
    """A setting is wrong. The text names the variable and the remedy.

    Every `flask` command builds the application first, and click turns this error into one line and exit code 2.
    """

    exit_code = 2

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(f"saga: {self.message}", file=file, err=file is None)


def secret_key(environ: Mapping[str, str]) -> str | None:
    key = environ.get("SECRET_KEY", "")
    if key and len(key) < SHORTEST_SECRET:
        raise ConfigError(f"SECRET_KEY must have {SHORTEST_SECRET} characters or more; {HOW_TO_MAKE}")
    return key or None


def api_auth(environ: Mapping[str, str]) -> bool:
    word, host = environ.get("API_AUTH") or "on", environ.get("HOST") or DEFAULT_HOST
    if word not in ("on", "off", "off-for-everyone"):
        raise ConfigError(f"API_AUTH must be on, off or off-for-everyone, not {word!r}")
    if word == "off" and not _loopback(host):
        raise ConfigError(
            f"API_AUTH=off would let everybody who reaches HOST={host} move sagas; "
            "create keys with `saga key add`, or say API_AUTH=off-for-everyone"
        )
    return word == "on"


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def with_secrets(environ: Mapping[str, str]) -> Mapping[str, str]:
    """Return the environment with each secret read from the file that NAME_FILE names, unless NAME is set."""
    files = {name: file for name in SECRETS if not environ.get(name) and (file := environ.get(f"{name}_FILE"))}
    try:
        return {**environ, **{name: Path(file).read_text().strip() for name, file in files.items()}}
    except (OSError, UnicodeDecodeError) as error:
        names = " or ".join(f"{name}_FILE" for name in files)
        raise ConfigError(f"{names} cannot be read: {error}") from None


def api_key(environ: Mapping[str, str]) -> str | None:
    key = environ.get("PARTICIPANTS_API_KEY", "")
    if not (key.isascii() and key.isprintable()):
        raise ConfigError("PARTICIPANTS_API_KEY must be one line of plain letters, digits and signs")
    return key or None


def ca_file(environ: Mapping[str, str]) -> str | None:
    path = environ.get("PARTICIPANTS_CA_FILE") or None
    if path:
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
        except OSError as error:  # SSLError is a subclass
            why = "it holds no certificate in PEM form" if isinstance(error, ssl.SSLError) else error.strerror
            raise ConfigError(f"PARTICIPANTS_CA_FILE={path} cannot be used: {why}") from None
    return path


def database_url(environ: Mapping[str, str]) -> str:
    url = environ.get("DATABASE_URL", "")
    if not url and "DB_HOST" in environ:
        secret = quote(environ.get("DB_PASSWORD", ""), safe="")
        user = quote(environ.get("DB_USERNAME", "postgres"), safe="")
        host, name = environ["DB_HOST"], quote(environ.get("DB_DATABASE", "saga_db"), safe="")
        place = f"[{host}]" if _is_ipv6(host) else host
        return _postgresql(f"{user}:{secret}@{place}:{port(environ, 'DB_PORT', '5432')}/{name}", "DB_HOST")
    if not url:
        return DEFAULT_DATABASE_URL
    scheme, separator, rest = url.partition("://")
    if scheme.partition("+")[0] in ("postgresql", "postgres") and separator:
        return _postgresql(rest, "DATABASE_URL")
    if scheme == "sqlite" and rest.strip("/") not in ("", ":memory:"):
        return url
    raise ConfigError("DATABASE_URL must begin with postgresql:// or name a file after sqlite:///")


def _postgresql(rest: str, name: str) -> str:
    """Return SQLAlchemy's URL for the part after postgresql://. Several hosts, as in libpq, go into its query."""
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


def http_url(environ: Mapping[str, str], name: str, default: str = "") -> str:
    written = environ.get(name, default)
    url = written.rstrip("/")
    if "@" in re.split("[/?#]", url.partition("//")[2])[0]:
        raise ConfigError(f"{name} must hold no user and no password; what a gateway asks for is PARTICIPANTS_API_KEY")
    try:
        parts = urlsplit(url)
        sound = _resolvable(parts.hostname or "") and parts.port != 0 and not parts.netloc.endswith(":")
    except ValueError:  # an illegal port, label or IPv6 address
        sound = False
    if not sound or not re.fullmatch("https?://[!-~]*", url, re.IGNORECASE) or "?" in url or "#" in url:
        # Before an @ any text may be a password. Elsewhere only query values with the name of a secret may be one.
        shown = "what it holds" if "@" in url else repr(shortened(_SECRETS.redacted(written), 200))
        raise ConfigError(f"{name} must be a URL such as http://127.0.0.1:8010, not {shown}")
    return url


def _resolvable(host: str) -> bool:
    """Return True for an address, or a name that can be resolved. Raise ValueError for a label that is too long."""
    return bool(host) and (":" in host or bool(re.fullmatch("[a-z0-9._-]+", host) and host.encode("idna")))


def participant_urls(environ: Mapping[str, str]) -> Mapping[str, str]:
    """Return the URL of each PARTICIPANT_<NAME>_URL, by variable."""
    names = [name for name in environ if re.fullmatch("PARTICIPANT_.*_URL", name.upper())]
    return {name.upper(): http_url(environ, name) for name in names}


def redis_url(environ: Mapping[str, str]) -> str | None:
    url = environ.get("REDIS_URL", "")
    if not url and "REDIS_HOST" in environ:
        host = environ["REDIS_HOST"]
        url = f"redis://{f'[{host}]' if _is_ipv6(host) else host}:{port(environ, 'REDIS_PORT', '6379')}"
    _check_server("REDIS_URL", url, ("redis://", "rediss://", "unix://"))
    return url or None


def broker_url(environ: Mapping[str, str], database_url: str) -> str | None:
    url = environ.get("BROKER_URL", "")
    for one in url.split(";"):  # kombu uses the first one that is reachable
        _check_server("BROKER_URL", one, ("redis://", "rediss://", "amqp://", "amqps://"))
    if url and database_url.startswith("sqlite"):
        raise ConfigError("BROKER_URL needs a database for many machines; set DATABASE_URL to a PostgreSQL")
    return url or None


def _check_server(name: str, url: str, schemes: tuple[str, ...]) -> None:
    """Raise ConfigError for an illegal URL of a Redis or a broker, without its password in the text."""
    if url and not url.startswith(schemes):
        raise ConfigError(f"{name} must begin with {', '.join(schemes[:-1])} or {schemes[-1]}")
    try:
        sound = urlsplit(url).port != 0
    except ValueError:
        sound = False
    if not sound:
        raise ConfigError(f"{name} must name a host and a port from 1 to 65535, as in {schemes[0]}host:1234")


def _is_ipv6(host: str) -> bool:
    return ":" in host and not host.startswith("[")


def rate_limit(environ: Mapping[str, str]) -> str | None:
    text = environ.get("RATE_LIMIT", "")
    if text and not re.fullmatch(r"[1-9][0-9]{0,8}/(second|minute|hour|day)", text):
        raise ConfigError(f"RATE_LIMIT must be a limit such as 100/second or 1000/minute, not {text[:40]!r}")
    return text or None


def cors_origins(environ: Mapping[str, str]) -> tuple[str, ...]:
    origins = tuple(origin for text in environ.get("CORS_ORIGINS", "").split(",") if (origin := text.strip()))
    if origins == ("*",):
        return origins
    for origin in origins:
        if not re.fullmatch(r"https?://[a-z0-9.-]+(:[0-9]{1,5})?", origin):
            raise ConfigError(
                "CORS_ORIGINS must be origins such as https://shop.example, with commas between them, or * alone, "
                f"not {origin!r}"
            )
    return origins


def number(
    environ: Mapping[str, str], name: str, default: float, *, low: float = SHORTEST_S, high: float = LONGEST_S
) -> float:
    """Return a number of seconds."""
    text = environ.get(name, str(default))
    number = _decimal(text)
    if not low <= number <= high:
        raise ConfigError(f"{name} must be a number of seconds from {low:g} to {high:g}, not {text[:40]!r}")
    return number


def count(environ: Mapping[str, str], name: str, default: int, *, low: int = 1, high: int) -> int:
    text = environ.get(name, str(default))
    if "." in text or not low <= _decimal(text) <= high:
        raise ConfigError(f"{name} must be a whole number from {low} to {high}, not {text[:40]!r}")
    return int(_decimal(text))


def _decimal(text: str) -> float:
    """Return the number in plain decimal notation; nan, which no bound allows, for any other text.

    Every numeric setting is parsed here. A float is exact for every whole number that a setting allows.
    """
    return float(text) if _DECIMAL.fullmatch(text) else float("nan")


def workers(environ: Mapping[str, str], database_url: str) -> int:
    workers = count(environ, "WORKERS", 1, high=MOST_WORKERS)
    if workers > 1 and database_url.startswith("sqlite"):
        raise ConfigError("WORKERS must be 1 on SQLite, which has one process alone; set DATABASE_URL to a PostgreSQL")
    return workers


def port(environ: Mapping[str, str], name: str, default: str = "") -> int | None:
    """Return a port; None when it is not set and has no default."""
    text = environ.get(name) or default
    if not text:
        return None
    if "." in text or not 0 < _decimal(text) < 1 << 16:
        raise ConfigError(f"{name} must be a number from 1 to 65535, not {text[:40]!r}")
    return int(_decimal(text))


def log_level(environ: Mapping[str, str]) -> str:
    level = environ.get("LOG_LEVEL", "INFO").upper()
    if level not in ("DEBUG", "INFO", "WARNING", "ERROR"):
        raise ConfigError(f"LOG_LEVEL must be DEBUG, INFO, WARNING or ERROR, not {level!r}")
    return level
