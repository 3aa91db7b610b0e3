import json
import threading

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy.exc import OperationalError

from app.engine.service import SagaService
from app.errors import KeyReusedError, ProblemError
from app.events.intake import TRIES, Intake
from app.events.topics import INCOMING, connect
from app.store.dead_letters import LARGEST_BODY, LONGEST_REASON, DeadLetters
from app.values import LARGEST_CONTENT
from machines.lines import LONGEST_WORDS
from tests.integration.events.fakes import ANSWERS, ORDERED

EVENT = {"specversion": "1.0", "id": "7", "source": "/boutique", "type": "CommandeCreate", "data": ORDERED}


def wire(**changed):
    return json.dumps(EVENT | changed).encode()


@pytest.fixture
def intake(scene):
    scene.given(**ANSWERS)
    parked = DeadLetters(scene.database)
    yield Intake(scene.service, scene.registry, parked, CollectorRegistry(), threading.Event())
    scene.runner.stop()


def accepted(intake, body):
    """Return the saga of an event."""
    return intake.accept(body).saga


def sagas(scene):
    return [row["definition"] for row in scene.rows("SELECT definition FROM saga")]


def test_incoming_order_starts_a_saga(scene, intake):
    begun = accepted(intake, wire())
    scene.runner.stop()
    assert scene.engine.store.find(begun.id).state == "CommandeConfirm"
    assert scene.calls[0] == "creer_commande"
    assert scene.requests[0].body == ORDERED


def test_repeated_event_starts_one_saga(scene, intake):
    first = accepted(intake, wire())
    scene.runner.stop()
    again = accepted(intake, wire())
    assert again.replayed
    assert again.id == first.id
    assert sagas(scene) == ["order_saga"]


def test_repeated_event_starts_nothing_after_its_saga_was_deleted(scene, intake):
    accepted(intake, wire())
    scene.runner.stop()
    with scene.database.begin() as connection:
        connection.exec_driver_sql("UPDATE request_key SET outlives_saga = true")
        connection.exec_driver_sql("DELETE FROM outbox")
        connection.exec_driver_sql("DELETE FROM saga")
    found = intake.accept(wire())
    assert (found.outcome, found.saga, sagas(scene)) == ("known", None, [])


@pytest.mark.parametrize("other", [{"id": "8"}, {"source": "/marche"}])
def test_another_event_with_the_same_data_starts_another_saga(scene, intake, other):
    assert accepted(intake, wire()).id != accepted(intake, wire(**other)).id
    scene.runner.stop()
    assert len(sagas(scene)) == 2


def test_event_id_with_other_data_is_refused(scene, intake):
    accepted(intake, wire())
    scene.runner.stop()
    with pytest.raises(KeyReusedError):
        accepted(intake, wire(data=ORDERED | {"client_id": 5}))


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"\xff\xfe", "not UTF-8"),
        (b"[]", "must be a JSON object"),
        (wire(specversion="0.3"), "/specversion"),
        (wire(type="ProduitExist"), "/type: No saga starts with this event type; use one of CommandeCreate"),
        (wire(data={}), "/data/client_id"),
        (wire(data=ORDERED | {"produits": []}), "/data/produits"),
        (wire(id=""), "/id"),
        (b"[" * 300 + b"]" * 300, "nested deeper than 100; nest it less deeply"),
        (b'{"id": 1e999}', "a number of more than 400 digits; send it as text, or round it"),
        (b'{"id": "\\u0000"}', "/id: a NUL character in a text; leave it out"),
        (wire(more="x" * LARGEST_CONTENT), "send at most 262,144"),
    ],
)
def test_unusable_message_is_refused_with_the_cause(scene, intake, body, says):
    with pytest.raises(ProblemError) as refused:
        accepted(intake, body)
    assert says in refused.value.detail
    assert sagas(scene) == []


class FakeMessage:
    headers = None
    """Stands in for a message of kombu, and records whether it was acknowledged."""

    def __init__(self, body):
        self.body, self.acknowledged = body, False

    def ack(self):
        self.acknowledged = True


def test_unusable_message_is_kept_unchanged(scene, intake):
    message = FakeMessage(b"{nothing\0\xff")
    intake._take(message)
    (row,) = DeadLetters(scene.database).oldest()
    assert row.reason == "the message: not UTF-8; send it in UTF-8"
    assert row.body == "{nothing\ufffd\ufffd"
    assert message.acknowledged


def test_message_is_acknowledged_only_after_the_commit(scene, intake, monkeypatch):
    def away(*_, **__):
        raise OperationalError("INSERT", {}, Exception("the database is away"))

    message = FakeMessage(wire())
    monkeypatch.setattr(SagaService, "start", away)
    with pytest.raises(OperationalError):
        intake._take(message)
    assert not message.acknowledged
    assert DeadLetters(scene.database).oldest() == []


@pytest.mark.parametrize("failures", [TRIES - 1, TRIES])
def test_unknown_failure_is_retried_and_then_a_dead_letter(scene, intake, monkeypatch, failures):
    monkeypatch.setattr("app.events.intake.BETWEEN_TRIES_S", 0.0)
    start, tries = SagaService.start, []

    def fails(*arguments, **options):
        tries.append(1)
        if len(tries) <= failures:
            raise RecursionError("whatever")
        return start(*arguments, **options)

    message = FakeMessage(wire())
    monkeypatch.setattr(SagaService, "start", fails)
    intake._take(message)
    scene.runner.stop()
    assert message.acknowledged
    assert len(tries) == TRIES
    reasons = [row.reason for row in DeadLetters(scene.database).oldest()]
    assert reasons == ([] if failures < TRIES else ["tried 3 times: RecursionError: whatever"])
    assert len(sagas(scene)) == (failures < TRIES)


def test_event_with_a_long_key_starts_its_saga_once(scene, intake):
    """The key has 4,000 bytes (1,000 characters of 4 bytes). PostgreSQL allows 2,704 bytes in an index entry."""
    ideographs = [chr(0x20000 + number * 7919 % 42_000) for number in range(1000)]
    event = wire(source="".join(ideographs[:500]), id="".join(ideographs[500:]))
    for expected in (["order_saga"], ["order_saga"]):
        message = FakeMessage(event)
        intake._take(message)
        assert message.acknowledged
        assert sagas(scene) == expected
    assert DeadLetters(scene.database).oldest() == []


def test_events_with_ambiguous_names_start_two_sagas(scene, intake):
    first = accepted(intake, wire(source="a b", id="c"))
    second = accepted(intake, wire(source="a", id="b c"))
    scene.runner.stop()
    assert first.id != second.id
    assert not second.replayed


@pytest.mark.parametrize("source", ["a b", "é" * 400, "/boutique"])
def test_saga_of_an_earlier_release_is_found_by_its_event(scene, intake, source):
    began = scene.service.start("order_saga", intake_data(), f"\N{ENVELOPE} {source} c", wait_s=0)
    scene.runner.stop()
    with scene.database.begin() as connection:  # an earlier release did not store the sender
        connection.exec_driver_sql("UPDATE saga SET started_by = NULL, sent_digest = NULL")
    again = accepted(intake, wire(source=source, id="c"))
    assert (again.id, again.replayed) == (began.id, True)
    assert sagas(scene) == ["order_saga"]


def test_saga_of_another_event_of_an_earlier_release_is_ignored(scene, intake):
    scene.service.start("order_saga", intake_data() | {"client_id": 9}, "\N{ENVELOPE} a b c", wait_s=0)
    begun = accepted(intake, wire(source="a b", id="c"))
    scene.runner.stop()
    assert not begun.replayed
    assert len(sagas(scene)) == 2


def test_long_dead_letter_is_cut_and_says_so(scene, intake):
    message = FakeMessage(b"[" + b"x" * (3 * LARGEST_BODY))
    intake._take(message)
    (row,) = DeadLetters(scene.database).oldest()
    assert message.acknowledged
    assert len(row.body) == LARGEST_BODY
    assert len(row.reason) <= LONGEST_REASON
    assert f"only the first {LARGEST_BODY} of its {3 * LARGEST_BODY + 1} bytes are kept" in row.reason


def test_reason_of_a_dead_letter_is_one_short_line(scene, intake, capsys):
    intake._take(FakeMessage(wire(type="pwd\n\N{RIGHT-TO-LEFT OVERRIDE}", data={"pwd" * 10_000: 1})))
    (row,) = DeadLetters(scene.database).oldest()
    assert (len(row.reason) <= LONGEST_WORDS, row.reason.isprintable()) == (True, True)
    assert all(len(line) < 2 * LONGEST_WORDS for line in capsys.readouterr().out.splitlines())


def test_undecodable_message_becomes_a_dead_letter(scene, intake):
    message = FakeMessage("\udcff garbage")
    intake._undecodable(message, ValueError("no such compression"))
    (row,) = DeadLetters(scene.database).oldest()
    assert message.acknowledged
    assert (row.reason, row.body) == ("it cannot be decoded: no such compression", "? garbage")


def intake_data():
    return dict(ORDERED)


def test_message_over_the_memory_transport_starts_a_saga(scene, intake):
    url = "memory://"
    reading = threading.Thread(target=intake.run, args=(url,))
    reading.start()
    with connect(url) as connection:
        producer = connection.Producer()
        begun = threading.Event()
        intake._service.start = _noting(intake._service.start, begun)
        until_bound = threading.Event()
        for _ in range(200):
            producer.publish(wire(), exchange=INCOMING, declare=[INCOMING], routing_key="CommandeCreate", retry=False)
            if begun.wait(0.05):
                break
            until_bound.wait(0.05)
    intake._stopping.set()
    reading.join()
    assert sagas(scene) == ["order_saga"]


def _noting(start, begun):
    def noted(*arguments, **options):
        standing = start(*arguments, **options)
        begun.set()
        return standing

    return noted
