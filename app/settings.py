"""Reading one setting of the environment: what it may be, and what is said when it cannot be meant."""

import ipaddress
import re
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote, urlsplit

import click

DEFAULT_DATABASE_URL = f"sqlite:///{Path(__file__).parent.parent / 'var' / 'saga.db'}"

DEFAULT_HOST = "127.0.0.1"
SHORTEST_SECRET = 32
HOW_TO_MAKE = "make one with `openssl rand -hex 32` and keep it: SECRET_KEY=…, or in a file named by SECRET_KEY_FILE"
#: The folder that several processes of one server count in.
SHARED = "PROMETHEUS_MULTIPROC_DIR"
#: What may be given in a file as well: SECRET_FILE instead of SECRET.
SECRETS = ("SECRET_KEY", "DATABASE_URL", "DB_PASSWORD", "REDIS_URL", "BROKER_URL", "PARTICIPANTS_API_KEY")


class ConfigError(click.ClickException):
    """A setting is wrong. The text names the variable and the remedy.

    Every `flask` command makes the application first, and click turns this error into one line and exit code 2.
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
    """Read what may be a secret from the file that NAME_FILE names, unless NAME itself is set."""
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


def database_url(environ: Mapping[str, str]) -> str:
    url = environ.get("DATABASE_URL", "")
    if not url and "DB_HOST" in environ:
        secret = quote(environ.get("DB_PASSWORD", ""), safe="")
        user = quote(environ.get("DB_USERNAME", "postgres"), safe="")
        place = f"{environ['DB_HOST']}:{environ.get('DB_PORT', '5432')}/{environ.get('DB_DATABASE', 'saga_db')}"
        url = f"postgresql://{user}:{secret}@{place}"
    if not url:
        return DEFAULT_DATABASE_URL
    scheme, separator, rest = url.partition("://")
    if scheme.partition("+")[0] in ("postgresql", "postgres") and separator:
        return f"postgresql+psycopg2://{rest}"  # SQLAlchemy 2.1 would take psycopg 3
    if scheme == "sqlite" and rest.strip("/") not in ("", ":memory:"):
        return url
    raise ConfigError("DATABASE_URL must begin with postgresql:// or name a file after sqlite:///")


def http_url(environ: Mapping[str, str], name: str, default: str = "") -> str:
    url = environ.get(name, default).rstrip("/")
    parts = urlsplit(url)
    sendable = re.fullmatch(r"[!-~]*", url)
    if not sendable or parts.scheme not in ("http", "https") or not parts.netloc or parts.query or parts.fragment:
        raise ConfigError(f"{name} must be a URL such as http://127.0.0.1:8010, not {url!r}")
    return url


def redis_url(environ: Mapping[str, str]) -> str | None:
    url = environ.get("REDIS_URL", "")
    if not url and "REDIS_HOST" in environ:
        url = f"redis://{environ['REDIS_HOST']}:{environ.get('REDIS_PORT', '6379')}"
    if url and not url.startswith(("redis://", "rediss://", "unix://")):
        raise ConfigError("REDIS_URL must begin with redis://, rediss:// or unix://")
    return url or None


def broker_url(environ: Mapping[str, str], database_url: str) -> str | None:
    url = environ.get("BROKER_URL", "")
    if url and not url.startswith(("redis://", "rediss://", "amqp://", "amqps://")):
        raise ConfigError("BROKER_URL must begin with redis://, rediss://, amqp:// or amqps://")
    if url and database_url.startswith("sqlite"):
        raise ConfigError("BROKER_URL needs a database for many machines; set DATABASE_URL to a PostgreSQL")
    return url or None


def rate_limit(environ: Mapping[str, str]) -> str | None:
    text = environ.get("RATE_LIMIT", "")
    if text and not re.fullmatch(r"[1-9][0-9]*/(second|minute|hour|day)", text):
        raise ConfigError(f"RATE_LIMIT must be a limit such as 100/second or 1000/minute, not {text!r}")
    return text or None


def number(environ: Mapping[str, str], name: str, default: float, *, above: float) -> float:
    text = environ.get(name, str(default))
    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    if not above < number < float("inf"):
        raise ConfigError(f"{name} must be a number above {above:g}, not {text!r}")
    return number


def count(environ: Mapping[str, str], name: str, default: int, *, low: int = 1) -> int:
    text = environ.get(name, str(default))
    if not text.isdecimal() or not low <= int(text) < 1 << 31:
        raise ConfigError(f"{name} must be a whole number from {low} on, not {text!r}")
    return int(text)


def workers(environ: Mapping[str, str], database_url: str) -> int:
    workers = count(environ, "WORKERS", 1)
    if workers > 1 and database_url.startswith("sqlite"):
        raise ConfigError("WORKERS must be 1 on SQLite, which has one process alone; set DATABASE_URL to a PostgreSQL")
    return workers


def port(environ: Mapping[str, str], name: str, default: str = "") -> int | None:
    """Read a port; None where it is not set and has no default."""
    text = environ.get(name) or default
    if not text:
        return None
    if not text.isdecimal() or not 0 < int(text) < 1 << 16:
        raise ConfigError(f"{name} must be a number from 1 to 65535, not {text!r}")
    return int(text)


def log_level(environ: Mapping[str, str]) -> str:
    level = environ.get("LOG_LEVEL", "INFO").upper()
    if level not in ("DEBUG", "INFO", "WARNING", "ERROR"):
        raise ConfigError(f"LOG_LEVEL must be DEBUG, INFO, WARNING or ERROR, not {level!r}")
    return level
