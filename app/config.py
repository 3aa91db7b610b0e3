"""The settings of the service, read once from the environment. The name of a setting holds its unit."""

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
    """All settings of a process."""

    #: SQLAlchemy URL of the database.
    database_url: str = DEFAULT_DATABASE_URL
    #: Most connections of one process; the server must allow the sum over all processes.
    database_connections: int = 24
    #: Seconds after which PostgreSQL cancels a statement.
    database_statement_timeout_s: float = 30.0
    #: Base URL below which each participant is found under its name.
    participants_url: str = "http://127.0.0.1:8010"
    #: Variable → base URL of one participant; see machines.table.participant_variable.
    participant_urls: Mapping[str, str] = field(default_factory=dict)
    #: Certificates of a private CA that participants may use, besides the public CAs.
    participants_ca_file: str | None = None
    #: Seconds for which a process keeps a saga after the call in flight, unless a commit renews the lease.
    lease_s: float = 30.0
    #: Seconds for which a request waits for its saga, unless the request sets its own wait.
    wait_s: float = 30.0
    #: Sagas that one process runs at once.
    threads: int = 128
    #: Seconds between two checks for due sagas, and between two heartbeats.
    recovery_interval_s: float = 1.0
    #: Seconds in which a process must end after the signal to end.
    grace_s: int = 25
    #: Claims without a move after which a saga is quarantined.
    max_claims: int = 10
    #: Failures in a row, within breaker_window_s, that open a participant's circuit breaker.
    breaker_failures: int = 5
    #: Seconds for which a circuit breaker stays open.
    breaker_open_s: float = 30.0
    #: Seconds within which the failures in a row must lie.
    breaker_window_s: float = 60.0
    #: Redis for the shared cache, see app.shared_cache; None: none.
    redis_url: str | None = None
    #: Broker for workers and events, see app.worker; None: none.
    broker_url: str | None = None
    #: Requests that one address may send, such as "100/second"; None: no limit.
    rate_limit: str | None = None
    #: Proxies before this service that each add the sender's address.
    trusted_proxies: int = 0
    #: Key sent with each call to a participant, for the gateway before it.
    participants_api_key: str | None = field(default=None, repr=False)
    #: Processes that serve requests side by side.
    workers: int = 1
    #: Port on which a Celery worker serves its metrics; None: not served.
    metrics_port: int | None = None
    #: DEBUG, INFO, WARNING or ERROR.
    log_level: str = "INFO"
    #: Field names that are hidden in the log, besides names that look like secrets.
    log_redact: frozenset[str] = frozenset()
    #: Origins that may call the API from a browser, see app.access.browser_policy.
    cors_origins: tuple[str, ...] = ()
    #: Where a test kills the process, see app.failpoints; "" for nowhere.
    failpoint: str = ""
    #: Signs the cookies of signed-in users.
    secret_key: str | None = field(default=None, repr=False)
    #: True: the API requires a key.
    api_auth: bool = True

    @property
    def requests(self) -> int:
        """The number of requests that one process serves at once; a request that waits for its saga costs little."""
        return 2 * self.threads

    @property
    def embedded(self) -> bool:
        return self.database_url.startswith("sqlite")

    def participant_url(self, name: str) -> str:
        return self.participant_urls.get(participant_variable(name), f"{self.participants_url}/{name}")


def from_environment(environ: Mapping[str, str]) -> Config:
    """Return the settings. Raise ConfigError for the first illegal one."""
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


#: Share of letters that a misspelled variable has in common with the one meant; PARTICIPANT_ and _URL always match.
_ALIKE = 0.9


def check_participants(config: Config, definitions: "Iterable[Saga]") -> None:
    """Raise ConfigError for a participant URL that no table uses, because a misspelled variable would be ignored."""
    known = {participant_variable(name) for definition in definitions for name in definition.participants}
    for variable in config.participant_urls:
        if variable not in known:
            nearest = get_close_matches(variable, sorted(known), n=1, cutoff=_ALIKE)
            remedy = f"did you mean {nearest[0]}?" if nearest else f"they use {', '.join(sorted(known))}"
            raise ConfigError(f"{variable} fits no participant of the tables; {remedy}")


def check_serving(config: Config) -> None:
    """Raise ConfigError when a setting is missing that only serving needs."""
    if config.secret_key is None:
        raise ConfigError(f"SECRET_KEY is not set, and there is no default; {HOW_TO_MAKE}")
