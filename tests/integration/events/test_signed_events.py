"""Signed events: who may send an event, and to which tenant it belongs."""

import json
import threading

import pytest
from kombu.entity import Queue
from kombu.message import Message
from prometheus_client import CollectorRegistry

from app.config import from_environment
from app.errors import ForbiddenError
from app.events.intake import Intake
from app.events.signatures import SIGNATURE, TIMESTAMP, signature_headers, signature_in, tenant_of
from app.events.topics import OUTGOING, Publisher, connect
from app.settings import ConfigError
from app.store.dead_letters import DeadLetters
from app.store.tenants import acting_for, provide
from app.webhook_settings.model import decoded
from tests.integration.events.fakes import ANSWERS, ORDERED
from tests.support.webhooks import NEW, OLD, verified

EVENT = {"specversion": "1.0", "id": "7", "source": "/boutique", "type": "CommandeCreate", "data": ORDERED}
SECRETS = {"EVENTS_SECRETS": f"{OLD} acme:{NEW}"}


@pytest.fixture
def intake(scene):
    scene.given(**ANSWERS)
    provide(scene.database)
    secrets = from_environment(SECRETS).events_secrets
    letters = DeadLetters(scene.database)
    yield Intake(scene.service, scene.registry, letters, CollectorRegistry(), threading.Event(), secrets=secrets)
    scene.runner.stop()


def signed(secret, body):
    return signature_headers("7", body, [decoded(secret)], 1.0)


def wire(**changed):
    return json.dumps(EVENT | changed).encode()


@pytest.mark.parametrize(("secret", "tenant"), [(OLD, None), (NEW, "acme")])
def test_saga_of_a_signed_event_belongs_to_the_tenant_of_the_secret(scene, intake, secret, tenant):
    begun = intake.accept(wire(), signed(secret, wire())).saga
    assert scene.engine.store.find(begun.id).tenant == tenant
    assert intake.accept(wire(), signed(secret, wire())).outcome == "known"


def test_two_senders_may_use_the_same_source_and_id(scene, intake):
    ids = {intake.accept(wire(), signed(secret, wire())).saga.id for secret in (OLD, NEW)}
    assert len(ids) == 2


@pytest.mark.parametrize(
    "signature",
    [
        {},
        {SIGNATURE: ""},
        {SIGNATURE: "v1,"},
        {SIGNATURE: "caf\u00e9"},
        signed(OLD, wire(id="8")),
        signed(OLD, wire()) | {TIMESTAMP: "2"},
        signed("whsec_" + "A" * 44, wire()),
    ],
)
def test_event_without_a_valid_signature_is_refused(scene, intake, signature):
    with pytest.raises(ForbiddenError, match="EVENTS_SECRETS"):
        intake.accept(wire(), signature)
    assert scene.rows("SELECT id FROM saga") == []


def test_dead_letter_keeps_its_tenant_and_its_signature(scene, intake):
    bad = wire(type="Unknown")
    for body, headers in ((bad, signed(NEW, bad)), (wire(), {}), (bad, signed(OLD, bad))):
        intake._take(Delivered(body=body, headers=headers))
    letters = DeadLetters(scene.database).oldest()
    assert [letter.tenant for letter in letters] == ["acme", None, None]
    assert letters[0].signature == signed(NEW, bad)
    with pytest.raises(ForbiddenError):
        intake.accept(letters[1].body.encode(), letters[1].signature or {})


def test_without_secrets_a_retry_acts_for_the_tenant_of_the_person(scene):
    scene.given(**ANSWERS)
    provide(scene.database)
    intake = Intake(scene.service, scene.registry, DeadLetters(scene.database), CollectorRegistry(), threading.Event())
    with acting_for("acme"):
        begun = intake.accept(wire()).saga
    assert scene.engine.store.find(begun.id).tenant == "acme"
    scene.runner.stop()


def test_outgoing_event_is_signed_with_each_secret():
    url, taken = "memory://", []
    keys = from_environment({"EVENTS_SIGNING_SECRETS": f"{OLD} {NEW}"}).events_signing_secrets
    with connect(url) as connection:
        queue = Queue("signed", OUTGOING, routing_key="Signed")
        with connection.Consumer(queue, on_message=taken.append, no_ack=True):
            Publisher(url, keys).publish({"id": "s/1", "type": "Signed", "data": {"name": "caf\u00e9"}})
            connection.drain_events(timeout=10)
    (message,) = taken
    assert all(verified(message.headers, message.body, secret) for secret in (OLD, NEW))
    assert tenant_of(message.body, signature_in(message.headers), from_environment(SECRETS).events_secrets) is None


def test_signature_in_a_message_may_be_anything():
    assert signature_in({TIMESTAMP: 1, SIGNATURE: None, "other": "x"}) == {TIMESTAMP: "1", SIGNATURE: "None"}


@pytest.mark.parametrize("text", ["not-one", f"Acme!:{NEW}", f":{NEW}", "acme:whsec_x"])
def test_secret_of_another_form_is_refused_without_showing_it(text):
    with pytest.raises(ConfigError, match="EVENTS_SECRETS must be whsec_") as refused:
        from_environment({"EVENTS_SECRETS": text})
    assert text not in str(refused.value)


class Delivered(Message):
    """A message of a broker, which needs no acknowledgement here."""

    def ack(self, multiple=False):
        pass
