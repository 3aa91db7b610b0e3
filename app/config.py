"""The settings of the service, each declared once. They are read from the environment when a process starts.

The table in docs/operations.md is generated from the declarations here (app/settings_table.py).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

from app import link_settings, notice_settings, server_urls, settings
from app.link_settings import Link
from app.networks import Network
from app.participant_settings import reading
from app.participant_settings.model import ParticipantSettings
from app.settings import (
    HOST,
    HOW_TO_MAKE,
    LONGEST_S,
    MOST_THREADS,
    NO_PROXIES,
    PORT,
    SHARED,
    ConfigError,
    EventSecret,
    Setting,
    count,
    mapping,
    seconds,
    setting,
)
from app.sign_in_settings import SignInSettings, check_sign_in
from app.version import VERSION
from app.webhook_settings import reading as webhook_reading
from app.webhook_settings.model import Webhooks
from machines.children import Start
from machines.discovery import discover
from machines.registry import BadTablesError, Registry
from machines.saga import Saga
from machines.table import participant_variable

MOST_CONNECTIONS = 10_000
#: Upper bound of settings in days, ten years; a larger number is a typing error.
MOST_DAYS = 3650
#: Upper bound of settings that count failures or claims; a larger number is a typing error.
MOST_TIMES = 1_000_000
MOST_WORKERS = 256


@dataclass(frozen=True, kw_only=True)
class Config(SignInSettings):
    """All settings of a process. The names of times end with their unit."""

    # The server, and the access to it.
    secret_key: str | None = setting(
        "SECRET_KEY",
        settings.secret_key,
        None,
        "32 characters or more; signs the session cookies of people who are signed in",
        shown="none: the service does not start without one",
        secret=True,
    )
    api_auth: bool = setting(
        "API_AUTH",
        settings.api_auth,
        True,
        "whether the API requires a key; `off` works only on 127.0.0.1, elsewhere write `off-for-everyone`",
        shown="on",
    )
    session_idle_s: float = seconds(
        "SESSION_IDLE_S",
        3600.0,
        "a signed-in person who sends nothing for this time must sign in again; an open page that updates itself sends "
        "nothing. Every session ends after 12 hours",
    )
    workers: int = count(
        "WORKERS", 1, "number of processes of one server; more than 1 needs PostgreSQL", high=MOST_WORKERS
    )
    threads: int = count(
        "THREADS",
        128,
        "number of sagas that one process runs at once; a call in flight takes about 50 KB, so 10,000 take 600 MB",
        high=MOST_THREADS,
    )
    tenants_at_once: Mapping[str, int] = mapping(
        "TENANTS_AT_ONCE",
        settings.tenants_at_once,
        "the most sagas of a [tenant](#tenants) that one process runs at once, such as `acme=48,*=16`; `*` is each "
        "other tenant ([fairness](#fairness))",
    )
    trusted_proxies: int | tuple[Network, ...] = setting(
        "TRUSTED_PROXIES",
        settings.proxies,
        NO_PROXIES,
        "networks of the proxies in front of the service, such as `10.1.0.0/16,fd00::/8`, or their number; only then "
        "X-Forwarded-For and -Prefix are used ([why networks are better](#limits-and-the-proxy-in-front))",
    )
    public_url: str | None = setting(
        "PUBLIC_URL",
        server_urls.public_url,
        None,
        "the URL of this service as participants reach it, such as `https://sagas.example`; tables with "
        "`later=callback(…)` need it",
        shown="none: such tables are refused",
    )
    cors_origins: tuple[str, ...] = setting(
        "CORS_ORIGINS",
        server_urls.cors_origins,
        (),
        "origins whose pages may use `/api` from a browser, such as `https://shop.example`, separated by commas, or "
        "`*`; cookies are never accepted. Behind Kong leave it empty: Kong's own plugin does the same",
    )
    trusted_hosts: tuple[str, ...] = setting(
        "TRUSTED_HOSTS",
        server_urls.host_names,
        (),
        "names under which the API and the pages answer, such as `sagas.example`, separated by commas; IP addresses, "
        "`localhost` and the host of PUBLIC_URL are always such names ([why](#limits-and-the-proxy-in-front))",
        shown="with API_AUTH every name; without it only those",
    )
    rate_limit: str | None = setting(
        "RATE_LIMIT", settings.rate_limit, None, "limit for each client address, as in `100/second`"
    )

    # The sagas.
    sagas: str = setting(
        "SAGAS",
        settings.as_written,
        "samples",
        "where the tables are: folders, such as `/sagas`, modules, such as `shop.sagas`, and `samples`, separated by "
        "commas; the contracts of the samples are served only with `samples`",
    )

    # The database.
    database_url: str = setting(
        "DATABASE_URL",
        server_urls.database_url,
        server_urls.DEFAULT_DATABASE_URL,
        "`postgresql://user:password@host/name`, or `sqlite:///file`; several hosts as in libpq: "
        "`…@h1:5432,h2:5432/name?target_session_attrs=read-write`",
        shown="`var/saga.db`, or `saga.db` in the current folder where the service was installed with pip",
        secret=True,
        parts=server_urls.DATABASE_PARTS,
    )
    database_connections: int = count(
        "DATABASE_CONNECTIONS",
        24,
        "the maximum number of connections of one process; at least 2 ([how to add them up](#scaling))",
        low=2,
        high=MOST_CONNECTIONS,
    )
    database_statement_timeout_s: float = seconds(
        "DATABASE_STATEMENT_TIMEOUT_S", 30.0, "PostgreSQL cancels a statement that takes longer"
    )
    database_service_role: str = setting(
        "DATABASE_SERVICE_ROLE",
        server_urls.role_name,
        "",
        "for migrations only: the role with which the service runs, when another one owns the tables; `db upgrade` "
        "gives it its rights ([how](#two-database-roles))",
        shown="none: the service runs as the owner",
    )
    database_service_password: str = setting(
        "DATABASE_SERVICE_PASSWORD",
        settings.as_written,
        "",
        "for migrations only: the password with which `db upgrade` makes that role, when it is missing",
        shown="none: an administrator makes it",
        secret=True,
    )

    # Redis and the broker.
    redis_url: str | None = setting(
        "REDIS_URL",
        server_urls.redis_url,
        None,
        "shared cache, rate limit and circuit breakers; results are correct without it",
        secret=True,
        parts=server_urls.REDIS_PARTS,
    )
    broker_url: str | None = setting(
        "BROKER_URL",
        server_urls.broker_url,
        None,
        "`redis://` or `amqp://`: workers run sagas too, and events are published and consumed",
        secret=True,
    )

    # The participants.
    participants_url: str = setting(
        "PARTICIPANTS_URL",
        server_urls.http_url,
        "http://127.0.0.1:8010",
        "base URL; each participant is below it, under its name; without user and password",
    )
    participants_file: Mapping[str, Any] = mapping(
        "PARTICIPANTS_FILE",
        reading.toml_tables,
        "a TOML file with the settings of each participant; see [participants](participants.md)",
    )
    participant_variables: Mapping[str, str] = mapping(
        "PARTICIPANT_<NAME>_<SETTING>",
        reading.participant_variables,
        "one setting of one participant, such as PARTICIPANT_STOCK_URL; it wins over the file",
    )
    public_cas: str | None = setting(
        "REQUESTS_CA_BUNDLE",
        reading.public_cas,
        None,
        "a PEM file, or a folder, of the CAs to trust instead of the public ones; also CURL_CA_BUNDLE, SSL_CERT_FILE",
        shown="the public CAs",
    )
    proxies: Mapping[str, str] = mapping(
        "HTTPS_PROXY",
        reading.proxy_variables,
        "the proxy on the way to `https://` participants; also HTTP_PROXY, ALL_PROXY, NO_PROXY",
    )
    participants_ca_file: str | None = setting(
        "PARTICIPANTS_CA_FILE",
        settings.ca_file,
        None,
        "a PEM file of private CAs, trusted for `https://` participants in addition to the public CAs",
    )
    participants_api_key: str | None = setting(
        "PARTICIPANTS_API_KEY",
        settings.header_value,
        None,
        "sent as X-API-Key to participants below PARTICIPANTS_URL, for the gateway there; the storefront uses it too, "
        "but does not read the file",
        secret=True,
    )
    breaker_failures: int = count(
        "BREAKER_FAILURES",
        5,
        "number of failures in a row that open a participant's circuit breaker",
        high=MOST_TIMES,
    )
    breaker_window_s: float = seconds("BREAKER_WINDOW_S", 60.0, "time within which these failures must happen")
    breaker_open_s: float = seconds("BREAKER_OPEN_S", 30.0, "how long the circuit breaker stays open")

    # The webhooks.
    webhooks_file: Mapping[str, Any] = mapping(
        "WEBHOOKS_FILE",
        webhook_reading.webhooks_file,
        "a TOML file with the receivers of the ends of sagas; see [webhooks](webhooks.md)",
    )
    webhook_secrets: Mapping[str, str] = mapping(
        "WEBHOOK_<NAME>_SECRETS",
        webhook_reading.webhook_secrets,
        "the secrets of one webhook, separated by spaces, instead of its `secrets_file`; each of them signs",
    )
    webhook_networks: tuple[Network, ...] = setting(
        "WEBHOOK_NETWORKS",
        webhook_reading.networks,
        (),
        "private networks that webhooks may call, such as `10.1.0.0/16`, separated by commas",
        shown="none: only public addresses",
    )

    # The events at the broker.
    events_secrets: tuple[EventSecret, ...] = setting(
        "EVENTS_SECRETS",
        webhook_reading.event_secrets,
        (),
        "the secrets of those who may send events, separated by spaces, such as `whsec_…`, or `acme:whsec_…` for "
        "events of a [tenant](#tenants); an event that none of them has signed is not accepted "
        "([how](#signed-events))",
        shown="none: events need no signature",
        secret=True,
    )
    events_signing_secrets: tuple[bytes, ...] = setting(
        "EVENTS_SIGNING_SECRETS",
        webhook_reading.signing_keys,
        (),
        "the secrets that sign outgoing events, separated by spaces; each of them signs ([how](#signed-events))",
        shown="none: they are not signed",
        secret=True,
    )

    # The messages to people.
    notify_file: Mapping[str, Any] = mapping(
        "NOTIFY_FILE",
        notice_settings.notify_file,
        "a TOML file with the channels that get a message about each new cause of stuck sagas and each outage; see "
        "[messages](#messages-to-people)",
    )

    # The sagas.
    wait_s: float = seconds("WAIT_S", 30.0, "how long a request waits for its saga, unless the request says so itself")
    lease_s: float = seconds(
        "LEASE_S", 30.0, "how long the sagas of a dead process wait before another process claims them"
    )
    recovery_interval_s: float = seconds("RECOVERY_INTERVAL_S", 1.0, "pause between two claims of such sagas")
    draft_days: int = count(
        "DRAFT_DAYS",
        7,
        "how many days a saga that `POST /api/v1/sagas` stored waits to be started; then it ends compensated, without "
        "a call",
        high=MOST_DAYS,
    )
    retention_days: int | None = setting(
        "RETENTION_DAYS",
        partial(settings.optional_number, high=MOST_DAYS),
        None,
        "how many days after their end sagas are deleted, by one process at a time ([how](#retention))",
        shown="none: they stay until `saga prune`",
    )
    retention_keys_days: int | None = setting(
        "RETENTION_KEYS_DAYS",
        partial(settings.optional_number, high=MOST_DAYS),
        None,
        "with RETENTION_DAYS: how many days after its start an Idempotency-Key is free again ([how](#retention))",
        shown="none: when its saga is deleted",
    )
    grace_s: int = count(
        "GRACE_S",
        25,
        "how long a process may take to end after SIGTERM; wait longer than this before SIGKILL",
        high=int(LONGEST_S),
    )
    max_claims: int = count(
        "MAX_CLAIMS", 10, "how often a saga that never moves is claimed before it is quarantined", high=MOST_TIMES
    )

    # The log and the metrics.
    log_level: str = setting("LOG_LEVEL", settings.log_level, "INFO", "DEBUG, INFO, WARNING or ERROR")
    audit_key: str | None = setting(
        "AUDIT_KEY",
        settings.secret_key,
        None,
        "32 characters or more; seals the audit trail, so that nobody can rewrite it in the database alone "
        "([how](#audit-trail))",
        shown="none: the trail is sealed without a key",
        secret=True,
    )
    data_keys: tuple[bytes, ...] = setting(
        "DATA_KEY",
        settings.data_keys,
        (),
        "32 bytes in base64; encrypts the keys of the clients, with which `personal()` and `secret()` values are "
        "encrypted ([how](#personal-data)). Several, separated by spaces: the first one encrypts",
        shown="none: they are stored in clear, and `personal()` is refused",
        secret=True,
    )
    audit_anchor_file: str | None = setting(
        "AUDIT_ANCHOR_FILE",
        settings.optional_path,
        None,
        "a file outside the database, to which each process appends the head of the audit trail every hour",
    )
    links: tuple[Link, ...] = setting(
        "LINKS",
        link_settings.links,
        (),
        "links on the pages of sagas, calls and participants, such as `Trace=https://traces.example/{trace_id}, "
        "Order=https://shop.example/orders/{order}`; also `saga_id`, `type`, `client`, `parent_id`, `step` and "
        "`participant`",
    )
    release: str = setting(
        "RELEASE",
        settings.release,
        VERSION,
        "the id of what is deployed, such as a commit; on `/health` and at the foot of each page",
    )
    log_redact: frozenset[str] = setting(
        "LOG_REDACT",
        settings.comma_separated,
        frozenset(),
        "names of fields that logs and the JSON on pages do not show, separated by commas; what nothing may show is a "
        "[`secret()`](tables.md#fields-of-data) in its table",
    )
    metrics_port: int | None = setting(
        "METRICS_PORT", settings.optional_port, None, "the port on which a worker serves its metrics"
    )
    failpoint: str = setting("FAILPOINT", settings.as_written, "", "for tests: the place at which to kill the process")

    @property
    def requests(self) -> int:
        """Largest number of requests of one process that wait for their sagas at once. A waiting request is cheap."""
        return 2 * self.threads

    @property
    def embedded(self) -> bool:
        return self.database_url.startswith("sqlite")

    def participant_url(self, name: str) -> str:
        return self._urls.get(name) or self._url_of(name)

    @cached_property
    def _urls(self) -> dict[str, str]:
        return {}

    def _url_of(self, name: str) -> str:
        own = self.participant_variables.get(participant_variable(name)) or self.participants_file.get(name, {}).get(
            "url"
        )
        found = self._urls[name] = str(own).rstrip("/") if own else f"{self.participants_url}/{name}"
        return found


_OF_SIGN_IN = settings.declared_in(SignInSettings)
#: The settings of signing in follow the others.
_DECLARED = {name: each for name, each in settings.declared_in(Config).items() if name not in _OF_SIGN_IN} | _OF_SIGN_IN
OTEL_ENDPOINT = Setting(
    name="OTEL_EXPORTER_OTLP_ENDPOINT",
    parse=settings.as_written,
    default="",
    help="where traces are sent; without it there are no traces",
)
OTEL_SERVICE_NAME = Setting(
    name="OTEL_SERVICE_NAME",
    parse=settings.as_written,
    default="saga-orchestrator",
    help="the service's name in traces",
)
_METRICS_FOLDER = Setting(
    name=SHARED,
    parse=settings.as_written,
    default="",
    shown="a folder in /tmp",
    help="the folder in which several processes of one server combine their metrics",
)
#: Every setting, in the order of the table in docs/operations.md. Each setting of Config comes before its parts.
SETTINGS: tuple[Setting[Any], ...] = (
    *(HOST, PORT),
    *(each for declared in _DECLARED.values() for each in (declared, *declared.parts)),
    *(_METRICS_FOLDER, OTEL_ENDPOINT, OTEL_SERVICE_NAME),
)
#: Names of the settings that can also be read from a file, whose path is in NAME_FILE instead of NAME.
SECRETS = tuple(declared.name for declared in SETTINGS if declared.secret)


def from_environment(environ: Mapping[str, str]) -> Config:
    """Return the settings. Raise ConfigError for the first illegal setting."""
    environ = settings.with_secrets(environ, SECRETS)
    config = Config(**{name: declared.read(environ) for name, declared in _DECLARED.items()})
    if config.embedded and config.broker_url:
        raise ConfigError("BROKER_URL needs a database for many machines; set DATABASE_URL to a PostgreSQL")
    if config.embedded and config.workers > 1:
        raise ConfigError("WORKERS must be 1 on SQLite, which has one process alone; set DATABASE_URL to a PostgreSQL")
    if config.retention_keys_days is not None and config.retention_days is None:
        raise ConfigError("RETENTION_KEYS_DAYS needs RETENTION_DAYS; set both, or run `saga prune --keys-days`")
    check_sign_in(config)
    return config


def read_tables(config: Config) -> Registry:
    """Return the registry of all sagas in the places that SAGAS names.

    Raise ConfigError for an illegal table, with one line that names the table, the problem and the remedy.
    """
    try:
        return discover(config.sagas)
    except BadTablesError as error:
        raise ConfigError(str(error)) from error


def check_participants(config: Config, definitions: Iterable[Saga]) -> Mapping[str, ParticipantSettings]:
    """Return the settings of every participant that a table names.

    Raise ConfigError for an illegal setting, and for a setting of a participant that no table names: its name may be
    misspelled.
    """
    common = reading.Common(
        url=config.participants_url,
        api_key=config.participants_api_key,
        ca_file=config.participants_ca_file,
        public_cas=config.public_cas,
        proxies=config.proxies,
    )
    called: dict[str, set[str]] = {}
    for definition in definitions:
        for name in definition.participants:
            called.setdefault(name, set())
        calls = (call for step in definition.steps for call in step.calls)
        for call in (*calls, *definition.at_end.values()):
            if isinstance(call, Start):
                continue
            called[call.participant].update(call.headers)
    return reading.participant_settings(called, config.participants_file, config.participant_variables, common)


def check_webhooks(config: Config, definitions: Registry) -> Webhooks:
    """Return the webhooks. Raise ConfigError for an illegal setting, and for a saga name that no table has."""
    return webhook_reading.read(
        config.webhooks_file, config.webhook_secrets, config.webhook_networks, definitions.names
    )


def check_callbacks(config: Config, definitions: Iterable[Saga]) -> None:
    """Raise ConfigError when a step is answered by a callback, and PUBLIC_URL or SECRET_KEY is not set."""
    for definition in definitions:
        if step := next((step for step in definition.steps if step.later and not step.asks), None):
            needs = f"step {step.name} of {definition} is answered by a callback"
            if config.public_url is None:
                raise ConfigError(f"PUBLIC_URL is not set, and {needs}; set it to the URL of this service")
            if config.secret_key is None:
                raise ConfigError(f"SECRET_KEY is not set, and {needs}; {HOW_TO_MAKE}")


def check_data_key(config: Config, definitions: Iterable[Saga]) -> None:
    """Raise ConfigError when a table has personal data, and DATA_KEY is not set. Old secrets may stay in clear."""
    for definition in definitions:
        if definition.personal and not config.data_keys:
            raise ConfigError(
                f"DATA_KEY is not set, and {definition} has personal() data; {settings.HOW_TO_MAKE_DATA_KEY}"
            )


def check_serving(config: Config) -> None:
    """Raise ConfigError when SECRET_KEY is not set. Only a server needs this check: commands work without the key."""
    if config.secret_key is None:
        raise ConfigError(f"SECRET_KEY is not set, and there is no default; {HOW_TO_MAKE}")
