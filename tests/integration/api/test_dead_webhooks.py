"""Messages that were not delivered, in the API: list them, send them again, discard them."""

from uuid import UUID

import pytest
from sqlalchemy import text

from app import create_app
from app.config import from_environment
from app.services import services
from app.store import audit
from app.store.database import db
from machines.purchase import PURCHASE as TABLE
from machines.samples import example
from tests.support.servers import OPEN

NOTHING = "00000000-0000-0000-0000-000000000000"


@pytest.fixture
def client(store_url):
    app = create_app(from_environment(OPEN | {"DATABASE_URL": store_url, "PARTICIPANTS_URL": "http://127.0.0.1:9"}))
    with app.app_context():
        yield app.test_client()
        services(app).runner.stop()
        db.session.remove()
        db.engine.dispose()


@pytest.fixture
def saga_id(client):
    data = example(TABLE.data)
    created = client.post("/api/v1/sagas", json={"type": TABLE.name, "data": data})
    return created.headers["Location"].rpartition("/")[2]


@pytest.fixture
def stored(client, saga_id):
    """Return a function that stores a message about the saga, and returns its number."""

    def store(due=None, receiver="at_end:crm"):
        columns = "saga_id, seq, event, webhook, url, at, attempts, due_at, error"
        values = ":saga, 1, 'completed', :receiver, 'POST crm/sold', '2026-01-01 00:00:00.000000', 12, :due, '409 no'"
        shown = saga_id if db.engine.dialect.name == "postgresql" else saga_id.replace("-", "")
        with db.engine.connect() as connection:
            given = {"saga": shown, "receiver": receiver, "due": due}
            connection.execute(text(f"INSERT INTO webhook_delivery ({columns}) VALUES ({values})"), given)
            connection.commit()
        return services().deliveries.of_saga(UUID(saga_id))[-1].id

    return store


DUE = "2999-01-01 00:00:00.000000"


def test_dead_letters_are_listed_and_pending_messages_are_not(client, stored, saga_id):
    number = stored()
    pending = stored(due=DUE, receiver="shop")
    (letter,) = client.get("/api/v1/webhooks/dead").json["messages"]
    assert letter == {
        "id": number, "webhook": "at_end:crm", "url": "POST crm/sold", "saga_id": saga_id, "event": "completed",
        "status": "dead", "at": letter["at"], "attempts": 12, "error": "409 no",
    }  # fmt: skip
    all_of_it = client.get(f"/api/v1/sagas/{saga_id}/webhooks").json["messages"]
    assert [(each["id"], each["status"]) for each in all_of_it] == [(number, "dead"), (pending, "pending")]


def test_redelivered_message_is_due_and_audited(client, stored):
    number = stored()
    answer = client.post(f"/api/v1/webhooks/{number}/redeliver", json={"reason": "crm is repaired"})
    assert (answer.status_code, answer.json["webhook"]) == (200, "at_end:crm")
    assert client.get("/api/v1/webhooks/dead").json["messages"] == []
    assert services().deliveries.due(["at_end:crm"]) == ["at_end:crm"]
    (entry,) = audit.page(db.engine, limit=1)
    assert (entry.action, entry.reason) == ("webhook.redeliver", "crm is repaired")


def test_discarded_message_is_gone_and_audited(client, stored):
    number = stored()
    assert client.post(f"/api/v1/webhooks/{number}/discard", json={"reason": "by hand"}).status_code == 200
    assert services().deliveries.find(number) is None
    (entry,) = audit.page(db.engine, limit=1)
    assert (entry.action, entry.reason) == ("webhook.discard", "by hand")


@pytest.mark.parametrize("action", ["redeliver", "discard"])
def test_pending_message_is_refused_with_409(client, stored, action):
    answer = client.post(f"/api/v1/webhooks/{stored(due=DUE)}/{action}")
    assert (answer.status_code, answer.mimetype) == (409, "application/problem+json")


@pytest.mark.parametrize("action", ["redeliver", "discard"])
def test_unknown_message_gets_404(client, action):
    assert client.post(f"/api/v1/webhooks/7/{action}").status_code == 404


def test_messages_of_an_unknown_saga_get_404(client):
    assert client.get(f"/api/v1/sagas/{NOTHING}/webhooks").status_code == 404
