"""The webhook of a start: named by a header, in a batch by each start, or on the command line."""

import json

import pytest
from sqlalchemy import select

from app import create_app
from app.config import from_environment
from app.services import services
from app.store.database import db
from app.store.models import SagaRow
from machines.purchase import PURCHASE as TABLE
from machines.samples import example
from tests.support.servers import OPEN
from tests.support.webhooks import webhooks_file

PURCHASE = example(TABLE.data)
PATH = "/api/v1/sagas/purchase_saga"
ONLY_PREFIX = "[books]\nprefix = 'https://books.example/hooks/'\nsecrets_file = SECRET\n"
SHOP = "[shop]\nurl = 'https://shop.example/hook'\nprefix = 'https://shop.example/hooks'\nsecrets_file = SECRET"
BELOW = "https://shop.example/hooks/17"


@pytest.fixture
def client(store_url, tmp_path):
    file = str(webhooks_file(tmp_path, f"{SHOP}\n{ONLY_PREFIX}"))
    settings = {"DATABASE_URL": store_url, "PARTICIPANTS_URL": "http://127.0.0.1:9", "WEBHOOKS_FILE": file}
    app = create_app(from_environment(OPEN | settings))
    with app.app_context():
        yield app.test_client()
        services(app).runner.stop()
        db.session.remove()
        db.engine.dispose()


def stored():
    with db.engine.connect() as connection:
        return list(connection.scalars(select(SagaRow.webhook).order_by(SagaRow.created_at)))


def send(client, webhook=None, path=PATH, body=PURCHASE, **headers):
    headers = {"Prefer": "respond-async"} | ({} if webhook is None else {"Saga-Webhook": webhook}) | headers
    return client.post(path, json=body, headers=headers)


@pytest.mark.parametrize("webhook", ["shop", BELOW, None])
def test_start_keeps_its_webhook(client, webhook):
    assert send(client, webhook).status_code == 202
    assert stored() == [webhook]


def test_draft_keeps_its_webhook(client):
    body = {"type": "purchase_saga", "data": PURCHASE}
    answer = client.post("/api/v1/sagas", json=body, headers={"Saga-Webhook": "shop"})
    assert answer.status_code == 201
    assert stored() == ["shop"]


@pytest.mark.parametrize("webhook", ["", "other", "https://evil.example/x", "http://169.254.169.254/latest/meta-data"])
def test_webhook_that_is_not_allowed_is_refused_and_nothing_starts(client, webhook):
    for answer in (
        send(client, webhook),
        send(client, webhook, path="/api/v1/sagas", body={"type": "purchase_saga", "data": PURCHASE}, Prefer=""),
    ):
        assert answer.status_code == 400
        assert answer.get_json()["detail"].startswith("Saga-Webhook names no webhook that a start can use")
    assert stored() == []


def test_name_of_a_webhook_with_only_a_prefix_is_refused_as_an_unknown_name_is(client):
    (refused,) = {send(client, named).get_json()["detail"] for named in ("books", "nobody")}
    assert refused.endswith("or, for one with only prefix=, an address below the prefix")
    assert send(client, "https://books.example/hooks/1").status_code == 202


def test_key_with_another_webhook_is_another_request(client):
    key = {"Idempotency-Key": "k-1"}
    created = send(
        client, "shop", path="/api/v1/sagas", body={"type": "purchase_saga", "data": PURCHASE}, Prefer="", **key
    )
    assert created.status_code == 201
    for webhook in (None, BELOW):
        refused = send(client, webhook, **key)
        assert (refused.status_code, refused.json["detail"]) == (
            422, "this key started a saga with another webhook; send a new key",
        )  # fmt: skip
    again = send(
        client, "shop", path="/api/v1/sagas", body={"type": "purchase_saga", "data": PURCHASE}, Prefer="", **key
    )
    assert again.headers["Idempotent-Replayed"] == "true"


def test_each_start_of_a_batch_has_its_own_webhook(client):
    starts = [
        {"key": "a", "data": PURCHASE, "webhook": "shop"},
        {"key": "b", "data": PURCHASE, "webhook": "https://evil.example"},
        {"key": "c", "data": PURCHASE},
        {"key": "a", "data": PURCHASE},
    ]
    a, b, c, again = client.post(f"{PATH}/batch", json={"starts": starts}).get_json()["results"]
    assert a["problem"] is c["problem"] is None
    assert b["problem"]["errors"][0]["pointer"] == "/starts/1/webhook"
    assert again["problem"]["status"] == 422
    assert sorted(stored(), key=str) == [None, "shop"]


def test_header_on_a_batch_is_refused(client):
    body = {"starts": [{"key": "a", "data": PURCHASE}]}
    answer = client.post(f"{PATH}/batch", json=body, headers={"Saga-Webhook": "shop"})
    assert answer.status_code == 400
    assert "Saga-Webhook: each start of a batch has its own" in answer.get_json()["detail"]


def run(client, *arguments, code=0):
    done = client.application.test_cli_runner().invoke(args=["saga", *arguments])
    assert done.exit_code == code, done.output
    return done.output


def test_command_starts_with_a_webhook(client):
    data = ["--data", json.dumps(PURCHASE), "--wait", "0"]
    run(client, "start", "purchase_saga", *data, "--webhook", BELOW, code=4)
    assert stored() == [BELOW]
    assert "--webhook: no webhook of WEBHOOKS_FILE" in run(
        client, "start", "purchase_saga", *data, "--webhook", "other", code=2
    )


@pytest.fixture
def dead(client):
    """Store a dead letter and return its number."""
    data = ["--data", json.dumps(PURCHASE), "--wait", "0"]
    run(client, "start", "purchase_saga", *data, "--webhook", "shop", code=4)
    with db.engine.connect() as connection:
        (row,) = connection.execute(select(SagaRow.__table__.c.id, SagaRow.__table__.c.state)).all()
    services().sagas.compensate(row.id, "cli:ada", "not wanted", 0.0)
    deliveries = services().deliveries
    for delivery in deliveries.claim("shop", 5, 30):
        deliveries.failed(delivery, "the receiver answered 500", None)
    (letter,) = deliveries.dead()
    return str(letter.id)


def test_commands_list_redeliver_and_discard_dead_letters(client, dead):
    assert "the receiver answered 500" in run(client, "webhooks", "list")
    listed = json.loads(run(client, "webhooks", "list", "--json"))
    assert (listed["webhook"], listed["event"], listed["status"], listed["attempts"]) == (
        "shop", "compensated", "dead", 1,
    )  # fmt: skip
    assert "sent again to shop" in run(client, "webhooks", "redeliver", "--all", "--reason", "mended")
    assert "There are no such messages." in run(client, "webhooks", "list")
    assert '"pending"' in run(client, "webhooks", "list", "--saga", listed["saga_id"], "--json")
    assert "being sent anyway" in run(client, "webhooks", "redeliver", dead, "--reason", "again", code=7)
    assert "no dead letter" in run(client, "webhooks", "discard", dead, "--reason", "again", code=7)
    (delivery,) = services().deliveries.claim("shop", 5, 30)
    services().deliveries.failed(delivery, "no", None)
    assert "discarded" in run(client, "webhooks", "discard", dead, "--reason", "not needed")
    actions = [json.loads(line)["action"] for line in run(client, "audit", "list", "--json").splitlines()]
    assert actions[:2] == ["webhook.discard", "webhook.redeliver"]


def test_delivered_message_can_be_sent_again(client, dead):
    run(client, "webhooks", "redeliver", dead, "--reason", "mended")
    (delivery,) = services().deliveries.claim("shop", 5, 30)
    services().deliveries.delivered(delivery)
    run(client, "webhooks", "redeliver", dead, "--reason", "the receiver has lost it")
    assert len(services().deliveries.claim("shop", 5, 30)) == 1


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["redeliver", "--reason", "x"], 2, "NO: name messages by their numbers"),
        (["redeliver", "1", "--all", "--reason", "x"], 2, "NO: name messages by their numbers"),
        (["redeliver", "999", "--reason", "x"], 6, "there is no message 999"),
        (["discard", "999", "--reason", "x"], 6, "there is no message 999"),
        (["discard", "999", "--reason", " "], 2, "--reason"),
        (["discard", "999"], 2, "Missing option '--reason'"),
    ],
)
def test_wrong_command_ends_with_one_line(client, arguments, code, says):
    assert says in run(client, "webhooks", *arguments, code=code)
