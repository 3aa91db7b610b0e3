"""The parts that publish and receive events, and send messages to webhooks and to people."""

from collections.abc import Iterable
from functools import partial

from app import notice_settings
from app.assembly.base import Base
from app.assembly.sagas import Sagas
from app.calls.client import HttpClient
from app.events.deliverer import THREADS, Deliverer, Receiver
from app.events.end_calls import end_call_receivers
from app.events.event_threads import IN_MEMORY, EventThreads
from app.events.intake import Intake
from app.events.relay import Relay
from app.events.topics import Publisher
from app.events.webhooks import webhook_receivers
from app.logs import Secrets
from app.notices.channels import Channels
from app.notices.notifier import Notifier
from app.notices.subjects import subjects
from app.participant_settings.model import ParticipantSettings
from app.store import queries
from app.store.dead_letters import DeadLetters
from app.store.deliveries import Deliveries
from app.store.notices import Notices
from app.store.outbox import Outbox
from app.store.participants import ParticipantStore


def make_event_threads(base: Base, sagas: Sagas) -> EventThreads:
    config, registry, stopping = base.config, base.registry, base.stopping
    url = config.broker_url or IN_MEMORY
    outbox, dead_letters = Outbox(base.database, base.owner), DeadLetters(base.database, base.data_keys)
    names = {event for definition in registry for event in definition.events.values()}
    publisher = Publisher(url, config.events_signing_secrets)
    relay = Relay(
        outbox, publisher, base.metrics, names=names, wake=base.committed.event, stopping=stopping,
        secrets_of=registry.secrets_of,
    )  # fmt: skip
    intake = Intake(sagas.service, registry, dead_letters, base.metrics, stopping, secrets=config.events_secrets)
    calls = sagas.engine.calls
    receivers: list[Receiver] = [
        *webhook_receivers(base.webhooks, _webhook_client(base), registry),
        *end_call_receivers(registry, config, calls.sender, calls.traces, base.data_keys),
    ]
    deliverer = None
    if receivers:
        deliveries = Deliveries(base.database, base.owner)
        deliverer = Deliverer(receivers, deliveries, base.metrics, wake=base.committed.delivery, stopping=stopping)
    return EventThreads(url, relay, intake, deliverer, base.threads, stopping)


def make_notifier(base: Base) -> Notifier | None:
    """Return what sends messages to people; None without a channel."""
    config = base.config
    channels = notice_settings.channels(config.notify_file)
    if not channels:
        return None
    sender = Channels(
        HttpClient(len(channels), participants=_settings(base, (each.name for each in channels))),
        lambda path: f"{config.public_url}{path}" if config.public_url else "",
        ca_file=config.participants_ca_file,
    )
    redact = Secrets(config.log_redact).redacted
    return Notifier(
        channels,
        sender,
        Notices(base.database),
        partial(subjects, base.registry, ParticipantStore(base.database), redact),
        context=base.app.app_context,
        now=queries.now,
        stopping=base.stopping,
    )


def _webhook_client(base: Base) -> HttpClient:
    """Return the client for webhooks. It uses no proxy, because it must check the address of each receiver itself."""
    webhooks = base.webhooks
    return HttpClient(THREADS, participants=_settings(base, webhooks.by_name), allows=webhooks.allows)


def _settings(base: Base, names: Iterable[str]) -> dict[str, ParticipantSettings]:
    """Return settings for receivers that are no participants: each has its own URL, and they share the CAs."""
    own_cas = (base.config.participants_ca_file,) if base.config.participants_ca_file else ()
    return {name: ParticipantSettings(url="", public_cas=base.config.public_cas, ca_files=own_cas) for name in names}
