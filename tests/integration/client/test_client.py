"""The client starts sagas, waits for them and reads them.

After a lost answer the client repeats the request with the same key. Each kind of error has its own exception.
"""

import threading
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from email.utils import format_datetime
from uuid import UUID, uuid4

import pytest
from flask import Response
from saga_client import (
    Compensated,
    Conflict,
    Forbidden,
    InvalidData,
    KeyReused,
    NotFound,
    SagaError,
    Sagas,
    Status,
    StepStatus,
    StillRunning,
    Stuck,
    Unauthorized,
    Unavailable,
    Unexpected,
    WrongField,
)

from app.access.permissions import Scope
from app.config import check_webhooks, from_environment
from app.services import services
from app.store.database import db
from app.store.models import SagaRow
from machines import statuses
from machines.statuses import SAGA_STATUSES
from tests.support.waiting import eventually, free_port
from tests.support.webhooks import webhooks_file

TRIP = {"customer": "Ada", "city": "Łódź", "nights": 3}


def stored(service):
    with service.app_context():
        return db.session.query(SagaRow).count()


def problem(status, **headers):
    body = {"type": "about:blank", "title": "No", "status": status, "detail": "not now"}
    return Response(__import__("json").dumps(body), status, headers, content_type="application/problem+json")


# Starting and waiting.


def test_a_later_start_is_pending_until_its_time(sagas):
    at = datetime(2031, 1, 31, 9, 30, tzinfo=UTC)
    saga = sagas.start("travel", TRIP, key="trip-later", at=at)
    assert (saga.status, saga.start_at, saga.ended) == (Status.PENDING, at, False)
    assert sagas.start("travel", TRIP, key="trip-later", at=at).replayed
    assert sagas.get(saga).start_at == at
    (result,) = sagas.batch("travel", {"trip-batch": TRIP}, at=at)
    assert result.saga.start_at == at
    with pytest.raises(InvalidData, match="the time has no time zone"):
        sagas.start("travel", TRIP, at=at.replace(tzinfo=None))


def test_run_returns_the_completed_saga(sagas):
    saga = sagas.run("travel", TRIP, key="trip-1", wait=30)
    assert (saga.type, saga.status, saga.state, saga.reason) == ("travel", Status.COMPLETED, "BOOKED", None)
    assert isinstance(saga.id, UUID)
    assert (saga.ended, saga.stuck, saga.replayed) == (True, False, False)


def test_run_with_a_known_key_returns_the_same_saga(sagas, service):
    first, again = (sagas.run("travel", TRIP, key="trip-1", wait=30) for _ in range(2))
    assert (again.id, again.replayed) == (first.id, True)
    assert stored(service) == 1


def test_each_start_without_a_key_gets_a_key_and_a_saga_of_its_own(sagas, service):
    assert sagas.run("travel", TRIP).id != sagas.run("travel", TRIP).id
    keys = [headers["Idempotency-Key"] for method, _, headers in service.faults.seen if method == "POST"]
    assert len(set(keys)) == len(keys) == 2


def test_run_raises_the_reason_when_the_saga_was_compensated(sagas, agency, service):
    agency.refusing.add("car/cars")
    with pytest.raises(Compensated, match="was compensated: NO_CAR: drive: 409 none left") as caught:
        sagas.run("travel", TRIP, wait=30)
    assert caught.value.reason == "NO_CAR: drive: 409 none left"
    assert len(service.faults.seen) == 1
    assert (caught.value.saga.status, caught.value.saga.state) == (Status.COMPENSATED, "CALLED_OFF")
    assert sagas.get(caught.value.saga).reason == caught.value.reason


def test_run_raises_when_the_saga_is_stuck(sagas, agency):
    agency.refusing.add("invoice/invoices")
    with pytest.raises(Stuck, match="STUCK_BILL: bill: 409 none left") as caught:
        sagas.run("travel", TRIP, wait=30)
    assert caught.value.saga.stuck


def test_run_raises_after_the_wait_and_the_saga_goes_on(service, key, agency):
    agency.free.clear()
    with Sagas(service.url, key) as sagas:
        with pytest.raises(StillRunning) as caught:
            sagas.run("travel", TRIP, key="slow", wait=0.2)
        assert caught.value.saga.status is Status.IN_PROGRESS
        agency.free.set()
        assert sagas.wait_for_end(caught.value.saga.id, wait=30).status is Status.COMPLETED


def test_start_does_not_wait_and_wait_for_end_does(service, key, agency):
    agency.free.clear()
    with Sagas(service.url, key) as sagas:
        saga = sagas.start("travel", TRIP)
        assert saga.status is Status.IN_PROGRESS
        threading.Timer(0.3, agency.free.set).start()
        assert sagas.wait_for_end(saga).status is Status.COMPLETED


def test_start_returns_an_ended_saga_of_its_key_without_an_error(sagas, agency):
    agency.refusing.add("car/cars")
    with pytest.raises(Compensated) as caught:
        sagas.run("travel", TRIP, key="k", wait=30)
    again = sagas.start("travel", TRIP, key="k")
    assert (again.id, again.status, again.replayed) == (caught.value.saga.id, Status.COMPENSATED, True)


def test_a_second_start_with_a_key_finds_the_saga_that_still_runs(service, key, agency):
    agency.free.clear()
    with Sagas(service.url, key) as sagas:
        first = sagas.start("travel", TRIP, key="k")
        again = sagas.start("travel", TRIP, key="k")
        assert (again.id, again.status, again.replayed) == (first.id, Status.IN_PROGRESS, True)
        threading.Timer(0.3, agency.free.set).start()
        assert sagas.run("travel", TRIP, key="k", wait=30).status is Status.COMPLETED
    assert stored(service) == 1


def test_get_returns_data_and_steps(sagas):
    details = sagas.get(str(sagas.run("travel", TRIP, wait=30).id))
    assert (details.data, details.started_by, details.version) == (TRIP, "key:shop", 1)
    assert [step.name for step in details.steps] == ["fly", "sleep", "drive", "bill"]
    fly = details.step("fly")
    assert (fly.kind, fly.status, fly.attempts) == ("compensatable", StepStatus.COMPLETED, 1)
    assert fly.output == {"seat": "12A"}
    assert details.created_at <= fly.completed_at <= details.completed_at
    with pytest.raises(KeyError, match="travel has no step walk; it has fly, sleep, drive, bill"):
        details.step("walk")


def test_a_batch_returns_a_saga_or_an_error_for_each_key_in_order(sagas, service):
    starts = {f"b-{number}": TRIP | {"nights": number} for number in range(5)}
    results = sagas.batch("travel", starts)
    assert [result.key for result in results] == list(starts)
    error = results[0].error
    assert (results[0].saga, type(error)) == (None, InvalidData)
    assert [each.pointer for each in error.errors] == ["/starts/0/data/nights"]
    assert [sagas.wait_for_end(result.saga).status for result in results[1:]] == [Status.COMPLETED] * 4
    again = sagas.batch("travel", starts)
    assert [each.saga and each.saga.id for each in again] == [each.saga and each.saga.id for each in results]
    assert stored(service) == 4


def test_values_of_python_become_the_json_of_the_fields(sagas):
    trip = TRIP | {"customer": uuid4(), "city": date(2027, 1, 31)}
    assert sagas.get(sagas.start("travel", trip)).data["city"] == "2027-01-31"
    with pytest.raises(InvalidData) as caught:
        sagas.start("travel", TRIP | {"nights": Decimal("2.5")})
    assert [each.pointer for each in caught.value.errors] == ["/nights"]
    for wrong in (object(), float("nan"), Decimal("0.1234567890123456789")):
        with pytest.raises(InvalidData, match="the data is no JSON"):
            sagas.start("travel", TRIP | {"nights": wrong})


# Sending again.


@pytest.mark.parametrize("fault", ["lose", problem(503), problem(500), problem(502), problem(429)], ids=str)
def test_a_start_is_sent_again_with_the_same_key(sagas, service, paused, fault):
    service.faults.next = [fault, fault]
    assert sagas.run("travel", TRIP, wait=30).status is Status.COMPLETED
    keys = [headers["Idempotency-Key"] for method, _, headers in service.faults.seen if method == "POST"]
    assert (len(keys), len(set(keys))) == (3, 1)
    assert paused[:2] == [0.2, 0.4]
    assert stored(service) == 1


def test_a_batch_whose_answer_is_lost_is_sent_again(sagas, service):
    service.faults.next = ["lose"]
    results = sagas.batch("travel", {"a": TRIP, "b": TRIP})
    assert [result.saga.replayed for result in results] == [True, True]
    assert stored(service) == 2


def test_get_is_sent_again(sagas, service):
    saga = sagas.start("travel", TRIP)
    service.faults.next = ["lose", problem(503)]
    assert sagas.get(saga).id == saga.id


def test_retry_after_is_obeyed(sagas, service, paused):
    service.faults.next = [problem(429, **{"Retry-After": "7"})]
    sagas.run("travel", TRIP, wait=30)
    assert paused[0] == 7.0


def test_a_retry_after_beyond_a_minute_is_not_waited_for(sagas, service, paused):
    tomorrow = format_datetime(datetime.now(UTC) + timedelta(days=1))
    service.faults.next = [problem(429, **{"Retry-After": tomorrow})]
    with pytest.raises(Unavailable, match="429: not now"):
        sagas.run("travel", TRIP, wait=30)
    assert paused == []


def test_the_client_gives_up_after_the_last_attempt(sagas, service, paused):
    service.faults.next = [problem(503)] * 9
    with pytest.raises(Unavailable, match=r"503: not now \(attempts: 5\)") as caught:
        sagas.run("travel", TRIP)
    assert caught.value.status == 503
    assert paused == [0.2, 0.4, 0.8, 1.6]
    assert stored(service) == 0


def test_a_service_that_does_not_listen_is_unavailable(paused):
    with (
        Sagas(f"http://127.0.0.1:{free_port()}", sleep=paused.append) as sagas,
        pytest.raises(Unavailable, match="no answer: ConnectionRefusedError") as caught,
    ):
        sagas.get(uuid4())
    assert (caught.value.status, len(paused)) == (None, 4)


# Errors by kind.


def test_wrong_data_names_each_field(sagas, service):
    with pytest.raises(InvalidData, match=r"/nights: .*; /more: Unknown field") as caught:
        sagas.run("travel", TRIP | {"nights": 0, "more": 1})
    assert {each.pointer for each in caught.value.errors} == {"/nights", "/more"}
    assert all(isinstance(each, WrongField) and each.detail for each in caught.value.errors)
    assert len(service.faults.seen) == 1
    assert stored(service) == 0


def test_a_key_of_other_data_is_named(sagas):
    saga = sagas.run("travel", TRIP, key="k", wait=30)
    with pytest.raises(KeyReused) as caught:
        sagas.run("travel", TRIP | {"nights": 4}, key="k")
    assert caught.value.saga_id == saga.id
    assert isinstance(caught.value, Conflict)


@pytest.mark.parametrize("sent", [None, "saga_wrong"])
def test_a_wrong_api_key_is_unauthorized(service, sent):
    with Sagas(service.url, sent) as sagas, pytest.raises(Unauthorized):
        sagas.run("travel", TRIP)


def test_a_missing_scope_is_forbidden(service):
    reader = services(service).api_keys.make("reader", {Scope.READ}, 1, "test").secret
    with Sagas(service.url, reader) as sagas, pytest.raises(Forbidden):
        sagas.run("travel", TRIP)


@pytest.mark.parametrize(
    "ask",
    [lambda sagas: sagas.run("trvael", TRIP), lambda sagas: sagas.batch("trvael", {"k": TRIP}),
     lambda sagas: sagas.get(uuid4()), lambda sagas: sagas.wait_for_end("nonsense")],
)  # fmt: skip
def test_an_unknown_saga_or_type_is_not_found(sagas, ask):
    with pytest.raises(NotFound):
        ask(sagas)


@pytest.mark.parametrize(
    "answer",
    [Response("<h1>It works</h1>", 200), Response("{}", 200), Response("[]", 201), Response("gone", 404),
     Response("", 302, {"Location": "/"}), Response('{"results": []}', 200)],
    ids=str,
)  # fmt: skip
def test_an_answer_of_another_program_is_unexpected(sagas, service, answer):
    for ask in (
        lambda: sagas.start("travel", TRIP),
        lambda: sagas.batch("travel", {"k": TRIP}),
        lambda: sagas.get(uuid4()),
    ):
        service.faults.next = [answer]
        with pytest.raises(Unexpected):
            ask()


def test_the_client_has_the_statuses_of_the_service():
    assert set(Status) == set(SAGA_STATUSES.values())
    assert set(StepStatus) == set(statuses.StepStatus)


def test_every_error_is_a_saga_error():
    import saga_client  # noqa: PLC0415

    kinds = [kind for kind in vars(saga_client).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    assert len(kinds) == 12
    assert all(issubclass(kind, SagaError) for kind in kinds)


@pytest.mark.parametrize("url", ["localhost:8009", "ftp://a", "http://", "http://h/?q=1"])
def test_a_url_that_is_none_is_refused_at_once(url):
    with pytest.raises(ValueError, match="not the URL of a service"):
        Sagas(url)


def test_no_secret_is_shown():
    with pytest.raises(ValueError, match="pass the API key as the second argument") as caught:
        Sagas("http://ada:secret-1@h")
    assert "secret-1" not in str(caught.value)
    with pytest.raises(ValueError, match="the API key is empty") as caught:
        Sagas("http://h", "secret-2\n")
    assert "secret-2" not in str(caught.value)
    assert "secret-3" not in repr(Sagas("http://h", "secret-3"))


def test_many_threads_share_one_client(sagas, service):
    found = []
    threads = [threading.Thread(target=lambda: found.append(sagas.run("travel", TRIP, wait=30))) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({saga.id for saga in found}) == 16
    eventually(lambda: stored(service) == 16, "all are stored")


def test_start_run_and_batch_name_a_webhook(service, sagas, tmp_path):
    file = webhooks_file(tmp_path, "[shop]\nurl = 'https://shop.example'\nsecrets_file = SECRET")
    settings = from_environment({"WEBHOOKS_FILE": str(file)})
    services(service).webhooks = check_webhooks(settings, services(service).registry)
    sagas.run("travel", TRIP, wait=30, webhook="shop")
    sagas.start("travel", TRIP, webhook="https://shop.example")
    assert sagas.batch("travel", {"a": TRIP}, webhook="shop")[0].saga
    sagas.start("travel", TRIP)
    with service.app_context():
        named = [row.webhook for row in db.session.query(SagaRow).order_by(SagaRow.created_at)]
    assert named == ["shop", "https://shop.example", "shop", None]
    with pytest.raises(InvalidData, match="Saga-Webhook names no webhook"):
        sagas.start("travel", TRIP, webhook="https://evil.example")
