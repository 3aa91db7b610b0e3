"""Every setting of the service, read from the environment once, with its unit in its name."""

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, urlsplit

DEFAULT_DATABASE = Path(__file__).parent.parent / "var" / "saga.db"

DEFAULT_HOST = "127.0.0.1"
SHORTEST_SECRET = 32
_HOW_TO_MAKE = "make one with `openssl rand -hex 32` and keep it: SECRET_KEY=…, or in a file named by SECRET_KEY_FILE"


class ConfigError(ValueError):
    """A setting is wrong; the text names the variable and the mend."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """database_url: SQLAlchemy URL. participants_url: base below which each participant is found under its name.
    participant_urls: the base of one participant, where it has its own. lease_s: how long a saga stays with the
    process that runs it beyond its call in flight, unless renewed by a commit. wait_s: how long a request waits for
    its saga, unless it says. threads: how many sagas one process runs at once. recovery_interval_s: pause between
    looks for due sagas. grace_s: how long a process that is told to end may take. max_claims: how often a saga that
    never moves is taken before it is quarantined. breaker_failures in a row within breaker_window_s open a
    participant's breaker for breaker_open_s. redis_url: see app.fleeting. broker_url: see app.worker. rate_limit: what
    one address may ask, as in "100/second". workers: how many processes serve requests side by side. metrics_port:
    where a Celery worker shows its metrics. secret_key: what the cookies of those who are signed in are signed with.
    api_auth: whether the API asks for a key. log_redact: fields that no line of the log may tell. failpoint: see
    app.failpoints.
    """

    database_url: str = f"sqlite:///{DEFAULT_DATABASE}"
    participants_url: str = "http://127.0.0.1:8010"
    participant_urls: Mapping[str, str] = field(default_factory=dict)
    lease_s: float = 30.0
    wait_s: float = 30.0
    threads: int = 32
    recovery_interval_s: float = 1.0
    grace_s: int = 25
    max_claims: int = 10
    breaker_failures: int = 5
    breaker_open_s: float = 30.0
    breaker_window_s: float = 60.0
    redis_url: str | None = None
    broker_url: str | None = None
    rate_limit: str | None = None
    workers: int = 1
    metrics_port: int | None = None
    log_level: str = "INFO"
    log_redact: frozenset[str] = frozenset()
    failpoint: str = ""
    secret_key: str | None = field(default=None, repr=False)
    api_auth: bool = True

    @property
    def embedded(self) -> bool:
        return self.database_url.startswith("sqlite")

    def participant_url(self, name: str) -> str:
        return self.participant_urls.get(name, f"{self.participants_url}/{name}")


def from_environment(environ: Mapping[str, str]) -> Config:
    """Read the settings; raise ConfigError for the first that cannot be meant."""
    own_urls = {
        name.removeprefix("PARTICIPANT_").removesuffix("_URL").lower(): _http_url(environ, name)
        for name in environ
        if name.startswith("PARTICIPANT_") and name.endswith("_URL")
    }
    database_url = _database_url(environ)
    return Config(
        database_url=database_url,
        participants_url=_http_url(environ, "PARTICIPANTS_URL", Config.participants_url),
        participant_urls=own_urls,
        lease_s=_number(environ, "LEASE_S", Config.lease_s, above=0),
        wait_s=_number(environ, "WAIT_S", Config.wait_s, above=0),
        threads=_count(environ, "THREADS", Config.threads),
        recovery_interval_s=_number(environ, "RECOVERY_INTERVAL_S", Config.recovery_interval_s, above=0),
        grace_s=_count(environ, "GRACE_S", Config.grace_s),
        max_claims=_count(environ, "MAX_CLAIMS", Config.max_claims),
        breaker_failures=_count(environ, "BREAKER_FAILURES", Config.breaker_failures),
        breaker_open_s=_number(environ, "BREAKER_OPEN_S", Config.breaker_open_s, above=0),
        breaker_window_s=_number(environ, "BREAKER_WINDOW_S", Config.breaker_window_s, above=0),
        redis_url=_redis_url(environ),
        broker_url=_broker_url(environ, database_url),
        rate_limit=_rate_limit(environ),
        workers=_workers(environ, database_url),
        metrics_port=port(environ, "METRICS_PORT"),
        log_level=_log_level(environ),
        log_redact=frozenset(name for text in environ.get("LOG_REDACT", "").split(",") if (name := text.strip())),
        failpoint=environ.get("FAILPOINT", ""),
        secret_key=_secret_key(environ),
        api_auth=_api_auth(environ),
    )


def check_serving(config: Config) -> None:
    """Refuse to serve without what the command line and the workers can do without."""
    if config.secret_key is None:
        raise ConfigError(f"SECRET_KEY is not set, and there is no default; {_HOW_TO_MAKE}")


def _secret_key(environ: Mapping[str, str]) -> str | None:
    key, file = environ.get("SECRET_KEY", ""), environ.get("SECRET_KEY_FILE", "")
    if not key and file:
        try:
            key = Path(file).read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"SECRET_KEY_FILE {file} cannot be read ({error})") from None
    if key and len(key) < SHORTEST_SECRET:
        raise ConfigError(f"SECRET_KEY must have {SHORTEST_SECRET} characters or more; {_HOW_TO_MAKE}")
    return key or None


def _api_auth(environ: Mapping[str, str]) -> bool:
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


def _database_url(environ: Mapping[str, str]) -> str:
    url = environ.get("DATABASE_URL", "")
    if not url and "DB_HOST" in environ:
        secret = quote(environ.get("DB_PASSWORD", ""), safe="")
        user = quote(environ.get("DB_USERNAME", "postgres"), safe="")
        place = f"{environ['DB_HOST']}:{environ.get('DB_PORT', '5432')}/{environ.get('DB_DATABASE', 'saga_db')}"
        url = f"postgresql://{user}:{secret}@{place}"
    if not url:
        return Config.database_url
    scheme, separator, rest = url.partition("://")
    if scheme.partition("+")[0] in ("postgresql", "postgres") and separator:
        return f"postgresql+psycopg2://{rest}"  # SQLAlchemy 2.1 would take psycopg 3
    if scheme == "sqlite" and rest.strip("/") not in ("", ":memory:"):
        return url
    raise ConfigError("DATABASE_URL must begin with postgresql:// or name a file after sqlite:///")


def _http_url(environ: Mapping[str, str], name: str, default: str = "") -> str:
    url = environ.get(name, default).rstrip("/")
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.query or parts.fragment:
        raise ConfigError(f"{name} must be a URL such as http://127.0.0.1:8010, not {url!r}")
    return url


def _redis_url(environ: Mapping[str, str]) -> str | None:
    url = environ.get("REDIS_URL", "")
    if not url and "REDIS_HOST" in environ:
        url = f"redis://{environ['REDIS_HOST']}:{environ.get('REDIS_PORT', '6379')}"
    if url and not url.startswith(("redis://", "rediss://", "unix://")):
        raise ConfigError("REDIS_URL must begin with redis://, rediss:// or unix://")
    return url or None


def _broker_url(environ: Mapping[str, str], database_url: str) -> str | None:
    url = environ.get("BROKER_URL", "")
    if url and not url.startswith(("redis://", "rediss://", "amqp://", "amqps://")):
        raise ConfigError("BROKER_URL must begin with redis://, rediss://, amqp:// or amqps://")
    if url and database_url.startswith("sqlite"):
        raise ConfigError("BROKER_URL needs a database for many machines; set DATABASE_URL to a PostgreSQL")
    return url or None


def _rate_limit(environ: Mapping[str, str]) -> str | None:
    text = environ.get("RATE_LIMIT", "")
    if text and not re.fullmatch(r"[1-9][0-9]*/(second|minute|hour|day)", text):
        raise ConfigError(f"RATE_LIMIT must be a limit such as 100/second or 1000/minute, not {text!r}")
    return text or None


def _number(environ: Mapping[str, str], name: str, default: float, *, above: float) -> float:
    text = environ.get(name, str(default))
    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    if not above < number < float("inf"):
        raise ConfigError(f"{name} must be a number above {above:g}, not {text!r}")
    return number


def _count(environ: Mapping[str, str], name: str, default: int) -> int:
    text = environ.get(name, str(default))
    if not text.isdecimal() or not 0 < int(text) < 1 << 31:
        raise ConfigError(f"{name} must be a whole number from 1 on, not {text!r}")
    return int(text)


def _workers(environ: Mapping[str, str], database_url: str) -> int:
    workers = _count(environ, "WORKERS", Config.workers)
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


def _log_level(environ: Mapping[str, str]) -> str:
    level = environ.get("LOG_LEVEL", Config.log_level).upper()
    if level not in ("DEBUG", "INFO", "WARNING", "ERROR"):
        raise ConfigError(f"LOG_LEVEL must be DEBUG, INFO, WARNING or ERROR, not {level!r}")
    return level
