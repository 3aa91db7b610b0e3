"""The parts of the service, with their types. All code inside the Flask application gets them from here."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from flask import Flask, current_app

from app.version import VERSION

if TYPE_CHECKING:  # every layer imports this module, so this module must not import them at run time
    from datetime import datetime

    from app.access.api_keys import KeyRing
    from app.access.oidc import Provider
    from app.engine.answers import Answers
    from app.engine.batch import Batches
    from app.engine.bulk import BulkJobs
    from app.engine.pauses import Pauses
    from app.engine.questions import Questions
    from app.engine.retention import Retention
    from app.engine.runner import Runner
    from app.engine.schedules import Schedules
    from app.engine.service import SagaService
    from app.events.event_threads import EventThreads
    from app.link_settings import Link
    from app.notices.notifier import Notifier
    from app.participant_settings.model import ParticipantSettings
    from app.service_threads import ServiceThread, ServiceThreads
    from app.shared_cache import SharedCache
    from app.store.accounts import Users
    from app.store.data_keys import DataKeys
    from app.store.database_health import Bounded, Schema
    from app.store.deliveries import Deliveries
    from app.store.erasure import Erasure
    from app.store.figures import SharedFigures
    from app.store.login_attempts import LoginAttempts
    from app.store.participants import ParticipantStore
    from app.store.rates import Rates
    from app.store.statistics import Heat, Minute
    from app.telemetry.exposition import Exposition
    from app.telemetry.refusals import RefusedSenders
    from app.views.participants import Health
    from app.webhook_settings.model import Webhooks
    from machines.registry import Registry

_KEY = "saga"


@dataclass(kw_only=True)
class Services:
    """The parts of one application, which `app.factory` builds."""

    registry: "Registry"
    #: Settings of every participant that a table names.
    participants: "Mapping[str, ParticipantSettings]"
    webhooks: "Webhooks"
    #: The messages to webhooks.
    deliveries: "Deliveries"
    #: Starts and moves sagas.
    sagas: "SagaService"
    #: Takes the answers of participants to steps that are answered later.
    answers: "Answers"
    #: Sends the probes that people ask for.
    questions: "Questions"
    #: Starts sagas at the times of schedules.
    schedules: "Schedules"
    #: Pauses and resumes participants.
    pauses: "Pauses"
    #: Works on bulk jobs, in a thread of its own.
    bulk_jobs: "BulkJobs"
    bulk_thread: "ServiceThread"
    #: Sends messages to people; None: NOTIFY_FILE names no channel.
    notifier: "Notifier | None"
    notifier_thread: "ServiceThread | None"
    #: The keys with which the values of clients are encrypted.
    data_keys: "DataKeys"
    #: Erases the values of one client.
    erasure: "Erasure"
    #: Deletes old sagas; None: RETENTION_DAYS is not set.
    retention: "Retention | None"
    retention_thread: "ServiceThread | None"
    #: The participants in the database: pauses, the reports of processes, and the sagas that wait.
    participant_store: "ParticipantStore"
    #: Starts many sagas in one commit.
    batches: "Batches"
    #: Runs sagas. After `start`, it also recovers sagas of other processes.
    runner: "Runner"
    #: The threads that publish and receive events, once they are started.
    events: "EventThreads"
    #: Every service thread of the process.
    threads: "ServiceThreads"
    shared_cache: "SharedCache"
    metrics: "Exposition"
    #: Reads the migration, the encoding and the missing rights of the database.
    schema: "Bounded[Schema]"
    users: "Users"
    #: The OpenID Connect provider at which people sign in; None without OIDC_ISSUER.
    provider: "Provider | None"
    #: Counts the failed attempts to sign in.
    login_attempts: "LoginAttempts"
    #: Counts senders whose password or key is not right.
    refused_senders: "RefusedSenders"
    api_keys: "KeyRing"
    #: The numbers in the diagram of a definition, by definition and window.
    heat: "SharedFigures[Heat]"
    #: The figures of /admin/rates, by definitions and window.
    rates: "SharedFigures[Rates]"
    #: Returns a value without the secrets in it.
    redact: Callable[[Any], Any]
    #: The links of the setting LINKS.
    links: "Sequence[Link]" = ()
    #: The id of what is deployed, see the setting RELEASE.
    release: str = VERSION
    #: The bytes of /openapi.json; None before the first request for it.
    openapi: bytes | None = None
    #: Cache of the overview page: `time.monotonic()` of the query, and the sagas started in the last hour.
    last_hour: "tuple[float, tuple[datetime, Sequence[Minute]]] | None" = None
    #: Cache of the head of every page: `time.monotonic()` of the query, and the participants in trouble.
    troubled: "tuple[float, list[Health]] | None" = None

    def install(self, app: Flask) -> None:
        app.extensions[_KEY] = self


def services(app: Flask | None = None) -> Services:
    """Return the parts of an application; default: the application of the current request or command."""
    return cast("Services", (current_app if app is None else app).extensions[_KEY])
