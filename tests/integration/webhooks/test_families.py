"""Events and messages of a saga with branches: the order and the sagas of their own have them, branches have none."""

import dataclasses
from pathlib import Path

from app.config import check_webhooks, from_environment
from machines.discovery import discover
from machines.registry import Registry
from tests.integration.engine.families import InlinePool, ends, settle
from tests.integration.engine.scene import REFUSED, answer
from tests.integration.webhooks.conftest import LOCAL
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


def run(scene, folder: Path) -> None:
    """Run the order with every word: each, when=, sub, and together with a branch of two steps."""

    def answered(request) -> None:
        _, name, direction = request.headers["Idempotency-Key"].split("/")
        if direction == "do" and not scene.replies[name]:
            scene.replies[name].append(answer(201, id=name, url=f"/{name}", number="N1"))

    tables = [table for table in discover(str(FOLDER)) if table.name in EVENTS]
    scene.registry = Registry([dataclasses.replace(table, events=EVENTS[table.name]) for table in tables])
    environ = {"WEBHOOK_NETWORKS": LOCAL, "WEBHOOKS_FILE": str(webhooks_file(folder, SETTINGS, OLD))}
    scene.webhooks = check_webhooks(from_environment(environ), scene.registry)
    scene.at_each_call, scene.runner.pool = answered, InlinePool()
    scene.run(scene.registry.latest("web_order"), **ORDER)
    settle(scene)


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
