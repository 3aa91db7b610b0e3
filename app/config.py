"""Every setting of the service, read from the environment once, with its unit in its name."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import TYPE_CHECKING

from app import settings
from app.settings import DEFAULT_DATABASE_URL, HOW_TO_MAKE, ConfigError
from machines.table import participant_variable

if TYPE_CHECKING:
    from machines.saga import Saga


@dataclass(frozen=True, kw_only=True)
class Config:
    """database_url: SQLAlchemy URL. participants_url: base below which each participant is found under its name.
    participant_urls: the base of one participant by its variable, where it has its own; see
    machines.table.participant_variable. participants_ca_file: certificates of a private CA, which participants' are
    believed by beside the public ones. lease_s: how long a saga stays with the
    process that runs it beyond its call in flight, unless renewed by a commit. wait_s: how long a request waits for
    its saga, unless it says. threads: how many sagas one process runs at once. recovery_interval_s: pause between
    looks for due sagas. grace_s: how long a process that is told to end may take. max_claims: how often a saga that
    never moves is taken before it is quarantined. breaker_failures in a row within breaker_window_s open a
    participant's breaker for breaker_open_s. redis_url: see app.fleeting. broker_url: see app.worker. rate_limit: what
    one address may ask, as in "100/second". trusted_proxies: how many proxies stand before this, each of which says
    whose request it hands on. participants_api_key: what each call to a participant shows to the gateway it goes
    through. workers: how many processes serve requests side by side. metrics_port: where a Celery worker shows its
    metrics. secret_key: what the cookies of those who are signed in are signed with. api_auth: whether the API asks
    for a key. log_redact: fields that no line of the log may tell. cors_origins: see app.access.cors. failpoint: see
    app.failpoints.
    """

    database_url: str = DEFAULT_DATABASE_URL
    database_connections: int = 24  # of one process, at most; the server must allow the sum of all processes
    database_statement_timeout_s: float = 30.0  # PostgreSQL cancels a statement that lasts longer
    participants_url: str = "http://127.0.0.1:8010"
    participant_urls: Mapping[str, str] = field(default_factory=dict)
    participants_ca_file: str | None = None
    lease_s: float = 30.0
    wait_s: float = 30.0
    threads: int = 128
    recovery_interval_s: float = 1.0
    grace_s: int = 25
    max_claims: int = 10
    breaker_failures: int = 5
    breaker_open_s: float = 30.0
    breaker_window_s: float = 60.0
    redis_url: str | None = None
    broker_url: str | None = None
    rate_limit: str | None = None
    trusted_proxies: int = 0
    participants_api_key: str | None = field(default=None, repr=False)
    workers: int = 1
    metrics_port: int | None = None
    log_level: str = "INFO"
    log_redact: frozenset[str] = frozenset()
    cors_origins: tuple[str, ...] = ()
    failpoint: str = ""
    secret_key: str | None = field(default=None, repr=False)
    api_auth: bool = True

    @property
    def requests(self) -> int:
        """How many requests one process serves at once; one that only waits for its saga needs little."""
        return 2 * self.threads

    @property
    def embedded(self) -> bool:
        return self.database_url.startswith("sqlite")

    def participant_url(self, name: str) -> str:
        return self.participant_urls.get(participant_variable(name), f"{self.participants_url}/{name}")


def from_environment(environ: Mapping[str, str]) -> Config:
    """Read the settings; raise ConfigError for the first that cannot be meant."""
    environ = settings.with_secrets(environ)
    database_url = settings.database_url(environ)
    return Config(
        database_url=database_url,
        database_connections=settings.count(
            environ, "DATABASE_CONNECTIONS", Config.database_connections, low=2, high=settings.MOST_CONNECTIONS
        ),
        database_statement_timeout_s=settings.number(
            environ, "DATABASE_STATEMENT_TIMEOUT_S", Config.database_statement_timeout_s
        ),
        participants_url=settings.http_url(environ, "PARTICIPANTS_URL", Config.participants_url),
        participant_urls=settings.participant_urls(environ),
        participants_ca_file=settings.ca_file(environ),
        lease_s=settings.number(environ, "LEASE_S", Config.lease_s),
        wait_s=settings.number(environ, "WAIT_S", Config.wait_s),
        threads=settings.count(environ, "THREADS", Config.threads, high=settings.MOST_THREADS),
        recovery_interval_s=settings.number(environ, "RECOVERY_INTERVAL_S", Config.recovery_interval_s),
        grace_s=settings.count(environ, "GRACE_S", Config.grace_s, high=int(settings.LONGEST_S)),
        max_claims=settings.count(environ, "MAX_CLAIMS", Config.max_claims, high=settings.MOST_TIMES),
        breaker_failures=settings.count(environ, "BREAKER_FAILURES", Config.breaker_failures, high=settings.MOST_TIMES),
        breaker_open_s=settings.number(environ, "BREAKER_OPEN_S", Config.breaker_open_s),
        breaker_window_s=settings.number(environ, "BREAKER_WINDOW_S", Config.breaker_window_s),
        redis_url=settings.redis_url(environ),
        broker_url=settings.broker_url(environ, database_url),
        rate_limit=settings.rate_limit(environ),
        trusted_proxies=settings.count(
            environ, "TRUSTED_PROXIES", Config.trusted_proxies, low=0, high=settings.MOST_PROXIES
        ),
        participants_api_key=settings.api_key(environ),
        workers=settings.workers(environ, database_url),
        metrics_port=settings.port(environ, "METRICS_PORT"),
        log_level=settings.log_level(environ),
        log_redact=frozenset(name for text in environ.get("LOG_REDACT", "").split(",") if (name := text.strip())),
        cors_origins=settings.cors_origins(environ),
        failpoint=environ.get("FAILPOINT", ""),
        secret_key=settings.secret_key(environ),
        api_auth=settings.api_auth(environ),
    )


def check_participants(config: Config, definitions: "Iterable[Saga]") -> None:
    """Refuse the URL of a participant that no table calls: a misspelled variable would be ignored."""
    known = {participant_variable(name) for definition in definitions for name in definition.participants}
    for variable in config.participant_urls:
        if variable not in known:
            nearest = get_close_matches(variable, sorted(known), n=1, cutoff=0.0)
            raise ConfigError(f"{variable} fits no participant of the tables; did you mean {' '.join(nearest)}?")


def check_serving(config: Config) -> None:
    """Refuse to serve without what the command line and the workers can do without."""
    if config.secret_key is None:
        raise ConfigError(f"SECRET_KEY is not set, and there is no default; {HOW_TO_MAKE}")
