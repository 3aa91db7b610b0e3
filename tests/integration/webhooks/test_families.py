"""Events and messages of a saga with branches: the order and the sagas of their own have them, branches have none."""

import dataclasses
from pathlib import Path
from uuid import UUID

import pytest

from app.config import check_webhooks, from_environment
from app.store.instance import Instance
from machines.discovery import discover
from machines.registry import Registry
from tests.integration.engine.families import InlinePool, ends, settle
from tests.integration.engine.scene import LOST, REFUSED, answer
from tests.integration.webhooks.conftest import LOCAL, Senders, received
from tests.support.scripted_server import http
from tests.support.webhooks import OLD, webhooks_file

FOLDER = Path(__file__).parents[3] / "docs" / "examples" / "branches"
EVENTS = {
    "web_order": {"SENT": "OrderSent", "CALLED_OFF": "OrderCalledOff"},
    "charge": {"CAPTURED": "ChargeCaptured", "NOT_CHARGED": "ChargeCalledOff"},
}
SETTINGS = "[shop]\nurl = 'http://127.0.0.1:9/hook'\nsecrets_file = SECRET\nsagas = ['web_order']"
ORDER = {
    "customer": "Ada", "amount": "12.00", "gift": True, "country": "US",
    "lines": [{"sku": f"s{number}", "warehouse": "north"} for number in range(3)],
}  # fmt: skip


def run(scene, folder: Path, settings: str = SETTINGS, webhook: str | None = None) -> Instance:
    """Run the order with every word: each, when=, sub, and together with a branch of two steps."""

    def answered(request) -> None:
        _, name, direction = request.headers["Idempotency-Key"].split("/")
        if direction == "do" and not scene.replies[name]:
            scene.replies[name].append(answer(201, id=name, url=f"/{name}", number="N1"))

    tables = [table for table in discover(str(FOLDER)) if table.name in EVENTS]
    scene.registry = Registry([dataclasses.replace(table, events=EVENTS[table.name]) for table in tables])
    environ = {"WEBHOOK_NETWORKS": LOCAL, "WEBHOOKS_FILE": str(webhooks_file(folder, settings, OLD))}
    scene.webhooks = check_webhooks(from_environment(environ), scene.registry)
    scene.at_each_call, scene.runner.pool = answered, InlinePool()
    saga = Instance.new(scene.registry.latest("web_order"), ORDER, actor="client", clock=lambda: scene.now)
    saga.webhook = webhook
    scene.engine.run(saga, 1000.0)
    settle(scene)
    return saga


def published(scene) -> list[str]:
    """Return definition and state of each move whose event waits in the outbox."""
    rows = scene.rows(
        "SELECT saga.definition, journal.dest FROM outbox"
        " JOIN saga ON saga.id = outbox.saga_id"
        " JOIN journal ON journal.saga_id = outbox.saga_id AND journal.seq = outbox.seq ORDER BY outbox.id"
    )
    return [f"{row['definition']} {row['dest']}" for row in rows]


def test_an_order_and_its_charge_publish_one_event_each_and_its_branches_none(scene, rows, tmp_path):
    run(scene, tmp_path)
    assert ends(scene)["web_order"] == "SENT"
    assert published(scene) == ["charge CAPTURED", "web_order SENT"]
    assert [(row["webhook"], row["event"]) for row in rows()] == [("shop", "completed")]


def test_an_order_that_goes_back_publishes_one_event_and_sends_one_message(scene, rows, tmp_path):
    scene.given(wrap=[REFUSED])
    run(scene, tmp_path)
    assert ends(scene)["web_order"] == "CALLED_OFF"
    assert published(scene) == ["web_order CALLED_OFF"]
    assert [(row["webhook"], row["event"]) for row in rows()] == [("shop", "compensated")]


def stuck_child(scene, rows) -> tuple[str, UUID | None]:
    """Return definition and parent of the saga with the only message, which says that it is stuck."""
    ((webhook, event, saga_id),) = [(row["webhook"], row["event"], row["saga_id"]) for row in rows()]
    assert (webhook, event) == ("shop", "stuck")
    return next(
        (row["definition"], row["parent_id"]) for row in scene.rows("SELECT * FROM saga") if row["id"] == saga_id
    )


@pytest.mark.parametrize("named", [False, True])
def test_stuck_branch_is_reported_to_the_webhooks_of_its_saga(scene, rows, tmp_path, named):
    scene.given(invoice=[REFUSED])
    settings = SETTINGS.replace("['web_order']", "[]") if named else SETTINGS
    saga = run(scene, tmp_path, settings, "shop" if named else None)
    definition, parent = stuck_child(scene, rows)
    assert (definition, UUID(str(parent))) == ("web_order.papers.invoice", saga.id)


def test_stuck_saga_that_another_has_started_is_reported_to_the_webhook_of_the_start(scene, rows, tmp_path):
    scene.given(capture=[LOST] * 20)
    run(scene, tmp_path, SETTINGS.replace("['web_order']", "[]"), "shop")
    assert stuck_child(scene, rows)[0] == "charge"


def test_message_about_a_stuck_child_names_its_parent(scene, receiver, tmp_path):
    scene.given(invoice=[REFUSED])
    receiver.answers = [http(b"")]
    saga = run(scene, tmp_path, SETTINGS.replace("http://127.0.0.1:9", receiver.url))
    assert Senders(scene).send() == 1
    message = received(receiver)
    assert (message["type"], message["data"]["parent"]) == ("saga.stuck", str(saga.id))
