"""Messages to webhooks by the client, for threads and asyncio: what a call returns, and what a lost answer means."""

from datetime import UTC, datetime
from functools import partial
from uuid import UUID, uuid4

import pytest
from flask import Response
from saga_client import (
    AsyncWebhooks,
    Conflict,
    Forbidden,
    InvalidData,
    MessageStatus,
    NotFound,
    Unexpected,
    Webhooks,
)  # fmt: skip

from app.store import audit
from app.store.database import db
from tests.integration.client.conftest import Both, store_message, words

TRIP = {"customer": "Ada", "city": "Oslo", "nights": 3}
DUE = "2999-01-01 00:00:00.000000"


@pytest.fixture(params=[False, True], ids=["threads", "asyncio"])
def webhooks(request, service, operator_key):
    return Both(service.url, operator_key, "webhooks", asynchronous=request.param)


@pytest.fixture
def saga(sagas):
    return sagas.run("travel", TRIP)


@pytest.fixture
def stored(service, saga):
    """Return a function that stores a message about the saga, and returns its number."""
    return partial(store_message, service, saga.id)


def actions(service):
    with service.app_context():
        return [(row.actor, row.action, row.reason) for row in audit.page(db.engine, limit=9)]


def test_both_clients_have_the_same_words():
    assert words(AsyncWebhooks) == words(Webhooks)


def test_dead_letters_are_listed_with_all_that_is_known(webhooks, stored, saga):
    assert webhooks.dead() == ()
    number, pending = stored(), stored(due=DUE)
    (letter,) = webhooks.dead()
    assert (letter.id, letter.webhook, letter.url) == (number, "shop", "https://shop.example")
    assert (letter.saga_id, letter.event, letter.status) == (saga.id, "completed", MessageStatus.DEAD)
    assert (letter.at, letter.attempts, letter.error) == (datetime(2026, 1, 1, tzinfo=UTC), 12, "500")
    about = webhooks.of_saga(saga)
    assert about == webhooks.of_saga(saga.id) == webhooks.of_saga(str(saga.id))
    assert [(each.id, each.status) for each in about] == [(number, "dead"), (pending, "pending")]


def test_redelivered_message_is_due_and_audited(webhooks, service, stored, saga):
    stored()
    (letter,) = webhooks.dead()
    assert webhooks.redeliver(letter, reason="the shop is repaired") is None
    assert webhooks.dead() == ()
    (message,) = webhooks.of_saga(saga)
    assert (message.status, message.attempts) == (MessageStatus.PENDING, 0)
    assert actions(service)[0] == ("key:ops", "webhook.redeliver", "the shop is repaired")


def test_discarded_message_is_gone_and_audited(webhooks, service, stored, saga):
    assert webhooks.discard(stored(), reason="read by hand") is None
    assert webhooks.of_saga(saga) == ()
    assert actions(service)[0] == ("key:ops", "webhook.discard", "read by hand")


@pytest.mark.parametrize("word", ["redeliver", "discard"])
def test_message_that_is_still_to_be_sent_is_a_conflict(webhooks, stored, word):
    with pytest.raises(Conflict, match=r"message \d+ is"):
        getattr(webhooks, word)(stored(due=DUE), reason="again")


@pytest.mark.parametrize("word", ["redeliver", "discard"])
def test_unknown_message_is_not_found_and_an_empty_reason_is_refused(webhooks, stored, word):
    with pytest.raises(NotFound, match="there is no message 404"):
        getattr(webhooks, word)(404, reason="x")
    with pytest.raises(InvalidData) as refused:
        getattr(webhooks, word)(stored(), reason="")
    assert [each.pointer for each in refused.value.errors] == ["/reason"]
    with pytest.raises(NotFound):
        webhooks.of_saga(uuid4())


def test_key_without_the_scope_is_forbidden(sagas, stored):
    number = stored()
    assert [letter.id for letter in sagas.webhooks.dead()] == [number]
    with pytest.raises(Forbidden):
        sagas.webhooks.redeliver(number, reason="x")


def test_change_whose_answer_is_lost_is_made_once_and_is_no_error(webhooks, service, stored):
    first, second = stored(), stored()
    service.faults.next = ["lose"]
    assert webhooks.redeliver(first, reason="mended") is None
    service.faults.next = ["lose"]
    assert webhooks.discard(second, reason="not wanted") is None
    sent = [path for method, path, _ in service.faults.seen if method == "POST" and "/webhooks/" in path]
    assert len(sent) == 4, "each change was sent twice"
    assert [action for _, action, _ in actions(service)[:3] if action[:8] == "webhook."] == [
        "webhook.discard", "webhook.redeliver",
    ]  # fmt: skip


@pytest.mark.parametrize("answer", [Response("<h1>It works</h1>", 200), Response("{}", 200)], ids=["page", "empty"])
def test_answer_of_another_program_is_unexpected(webhooks, service, answer):
    for ask in (webhooks.dead, lambda: webhooks.of_saga(UUID(int=1))):
        service.faults.next = [answer]
        with pytest.raises(Unexpected):
            ask()
