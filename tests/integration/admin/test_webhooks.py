"""The page of messages to webhooks that were not delivered."""

import pytest
from sqlalchemy import text

from app.access.permissions import Role
from app.access.principal import user
from app.services import services
from app.store import audit
from app.store.database import db
from app.webhook_settings.model import Webhooks
from tests.integration.admin.conftest import seen


@pytest.fixture
def dead(client, walk):
    """Return a function that stores a dead letter about a new saga and returns the path of its actions."""

    def store(error="the receiver answered 500"):
        saga = walk("succeeded")
        columns = "saga_id, seq, event, webhook, url, at, attempts, error"
        values = ":saga, 2, 'completed', 'shop', 'https://shop.example/hook', '2026-01-01 00:00:00.000000', 12, :error"
        saga_id = saga.id if db.engine.dialect.name == "postgresql" else saga.id.hex
        given = {"saga": saga_id, "error": error}
        db.session.execute(text(f"INSERT INTO webhook_delivery ({columns}) VALUES ({values})"), given)
        db.session.commit()
        return f"/admin/webhooks/{services().deliveries.dead()[-1].id}"

    return store


def left():
    return len(services().deliveries.dead())


def test_page_without_dead_letters_says_so(client):
    assert "No messages to webhooks have failed." in seen(client.get("/admin/webhooks"))


def test_menu_has_the_page_only_when_there_are_webhooks(client):
    assert "/admin/webhooks" not in client.get("/admin/audit").text
    services().webhooks = type("Some", (Webhooks,), {"__bool__": lambda _self: True})()
    assert '"/admin/webhooks"' in client.get("/admin/audit").text


def test_dead_letter_is_shown_escaped_with_its_saga(client, dead):
    dead(error="<script>alert(1)</script>")
    answer = client.get("/admin/webhooks")
    assert "shop: <script>alert(1)</script>" in seen(answer)
    assert b"<script>alert" not in answer.data
    assert "to https://shop.example/hook ; attempts: 12" in seen(answer)


def test_redelivered_message_is_due_with_all_its_attempts(client, dead):
    path = dead()
    answer = client.post(f"{path}/redeliver", data={"reason": "mended"}, follow_redirects=True)
    assert "is sent again." in seen(answer)
    assert left() == 0
    assert [row.attempts for row in services().deliveries.claim("shop", 5, 30)] == [1]
    (entry,) = audit.page(db.engine, limit=1)
    assert (entry.actor, entry.action, entry.reason) == ("user:ada", "webhook.redeliver", "mended")
    assert entry.before["attempts"] == 12


def test_message_that_is_being_sent_is_not_redelivered(client, dead):
    path = dead()
    client.post(f"{path}/redeliver", data={"reason": "mended"})
    before = len(audit.page(db.engine, limit=9))
    answer = client.post(f"{path}/redeliver", data={"reason": "again"}, follow_redirects=True)
    assert "Nothing was done: message" in seen(answer)
    assert len(audit.page(db.engine, limit=9)) == before


@pytest.mark.parametrize("action", ["redeliver", "discard"])
def test_each_action_needs_a_reason(client, dead, action):
    assert client.post(f"{dead()}/{action}", data={"reason": " "}).status_code == 400
    assert left() == 1


def test_discarded_message_is_gone_and_in_the_audit_trail(client, dead):
    assert client.post(f"{dead()}/discard", data={"reason": "not needed"}).status_code == 303
    assert left() == 0
    (entry,) = audit.page(db.engine, limit=1)
    assert (entry.action, entry.before["url"]) == ("webhook.discard", "https://shop.example/hook")


def test_delivered_message_is_not_discarded(client, dead):
    path = dead()
    client.post(f"{path}/redeliver", data={"reason": "mended"})
    (row,) = services().deliveries.claim("shop", 5, 30)
    services().deliveries.delivered(row)
    assert client.post(f"{path}/discard", data={"reason": "because"}).status_code == 409
    assert len(services().deliveries.of_saga(row.saga_id)) == 1


def test_viewer_sees_no_buttons_and_changes_nothing(client, dead, monkeypatch):
    path = dead()
    monkeypatch.setattr("app.access.authorization.signed_in", lambda: user("vera", Role.VIEWER))
    assert b'<form method="post" action="/admin/webhooks' not in client.get("/admin/webhooks").data
    assert client.post(f"{path}/redeliver", data={"reason": "because"}).status_code == 403
    assert left() == 1
