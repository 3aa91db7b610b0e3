"""Fixtures: a saga whose end goes to a webhook, a receiver on a real socket, and processes that send."""

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from app.calls.client import HttpClient
from app.config import check_webhooks, from_environment
from app.events.deliverer import Deliverer
from app.events.end_calls import end_call_receivers
from app.events.webhooks import webhook_receivers
from app.participant_settings.model import ParticipantSettings
from app.store.deliveries import Deliveries
from app.webhook_settings.model import Webhooks
from tests.integration.engine.conftest import scene
from tests.integration.engine.scene import Scene
from tests.support.scripted_server import ScriptedServer, serving
from tests.support.webhooks import OLD, webhooks_file

__all__ = ["scene"]

LOCAL = "127.0.0.0/8"
#: Settings of a webhook for every checkout.
CHECKOUTS = "[shop]\nurl = 'RECEIVER/hook'\nsecrets_file = SECRET\nsagas = ['checkout']"


@dataclass
class Senders:
    """Processes that send the messages of one database. Each message is sent in the thread of the caller."""

    scene: Scene
    metrics: CollectorRegistry = field(default_factory=CollectorRegistry)
    now: float = 1_800_000_000.0

    def one(self, owner: str = "one", **more: Any) -> Deliverer:
        settings = {name: ParticipantSettings(url="") for name in self.scene.webhooks.by_name}
        client = HttpClient(2, participants=settings, allows=self.scene.webhooks.allows)
        receivers = [
            *webhook_receivers(self.scene.webhooks, client, self.scene.registry, lambda: self.now),
            *end_call_receivers(
                self.scene.registry, self.scene.config, self.scene, self.scene.traces, self.scene.engine.store.keys
            ),
        ]
        return Deliverer(
            receivers, Deliveries(self.scene.database, owner), CollectorRegistry() if owner != "one" else self.metrics,
            wake=threading.Event(), stopping=threading.Event(), jitter=lambda longest_s: longest_s, **more,
        )  # fmt: skip

    def send(self, owner: str = "one") -> int:
        """Send every message that is due once. Return the number of messages that were sent."""
        self.metrics = CollectorRegistry()
        sender = self.one(owner)
        claimed = list(sender.claimed())
        for delivery in claimed:
            sender.deliver(delivery)
        return len(claimed)

    def counted(self, outcome: str, webhook: str = "shop") -> float | None:
        name = "saga_webhook_deliveries_total"
        return self.metrics.get_sample_value(name, {"webhook": webhook, "outcome": outcome})


@pytest.fixture
def receiver() -> Iterator[ScriptedServer]:
    with serving() as server:
        yield server


@pytest.fixture
def configured(scene: Scene, receiver: ScriptedServer, tmp_path: Any) -> Callable[..., Webhooks]:
    """Return a function that sets the webhooks. In its text, RECEIVER stands for the URL of the receiver."""

    def configure(text: str, secret: str = OLD, **environ: str) -> Webhooks:
        file = str(webhooks_file(tmp_path, text.replace("RECEIVER", receiver.url), secret))
        environ = {"WEBHOOK_NETWORKS": LOCAL, "WEBHOOKS_FILE": file, **environ}
        scene.webhooks = check_webhooks(from_environment(environ), scene.registry)
        scene.engine.store._webhooks = scene.webhooks
        return scene.webhooks

    configure(f"{CHECKOUTS}\nattempts = 3")
    return configure


@pytest.fixture
def senders(scene: Scene, configured: Any) -> Senders:
    return Senders(scene)


@pytest.fixture
def rows(scene: Scene) -> Callable[[], list[Any]]:
    return lambda: scene.rows("SELECT * FROM webhook_delivery ORDER BY id")


@pytest.fixture
def due(scene: Scene) -> Callable[[], None]:
    """Return a function that makes every message due. It ends all waits and all leases."""
    now = "statement_timestamp()" if scene.database.dialect.name == "postgresql" else "'2020-01-01 00:00:00.000000'"

    def make_due() -> None:
        with scene.database.connect() as connection:
            connection.exec_driver_sql(f"UPDATE webhook_delivery SET due_at = {now} WHERE due_at IS NOT NULL")

    return make_due


def received(server: ScriptedServer, number: int = -1) -> Any:
    return json.loads(server.body(number))
