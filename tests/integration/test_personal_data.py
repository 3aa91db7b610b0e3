"""Secret and personal values are encrypted with a key of their client, and unreadable after the key was dropped."""

import base64
import json
import threading
from contextlib import contextmanager
from uuid import UUID

import pytest
from sqlalchemy import inspect, text

from app import create_app
from app.access.permissions import Role
from app.access.principal import user
from app.config import from_environment
from app.errors import ConflictError
from app.events.signatures import UNSIGNED
from app.services import services
from app.settings import ConfigError
from app.store.data_keys import ErasedError
from app.store.database import db
from app.store.sagas import SagaStore
from app.store.statements import Connections
from app.store.transactions import atomic
from machines.sealed import SEALED
from machines.transitions import Trigger
from tests.support.applications import opened, settle
from tests.support.scripted_server import http, serving
from tests.support.servers import OPEN
from tests.support.waiting import eventually

FIRST, SECOND = (base64.b64encode(bytes([number]) * 32).decode() for number in (1, 2))
WHY = {"reason": "asked by letter"}
ERASED_LETTER = "the personal data of its client were erased; discard it"
SAGA = """
from machines import *

VISIT = Saga(
    name="visit", version=1, initial="ASKED", completed="DONE", compensated="NOT_DONE", client="guest",
    started_by="VisitAsked",
    data={"guest": text(), "email": personal(text()), "extra": optional(anything())}, participants=("hotel",),
    steps=(
        compensatable("book", post("hotel", "/book", email="email", extra=maybe("extra"),
                                   keeps={"room": personal(text())}),
                      undo=post("hotel", "/undo", room="book.room"), repeatable=True, done="BOOKED", refused="FULL"),
        compensatable("greet", post("hotel", "/greet", room="book.room"), undo=post("hotel", "/ungreet"),
                      done="DONE", refused="RUDE"),
    ),
)
"""
OLD = SAGA.replace("personal(", "secret(").replace("VISIT", "OLD").replace('"visit"', '"old"')
PLAIN = SAGA.replace("personal(text())", "text()").replace("VISIT", "PLAIN").replace('"visit"', '"plain"')


@pytest.fixture(scope="session")
def tables(tmp_path_factory):
    folders = {}
    for name, source in (("visit", SAGA), ("old", OLD), ("plain", PLAIN)):
        folders[name] = tmp_path_factory.mktemp("personal")
        (folders[name] / f"{name}_table.py").write_text(source)
    return folders


@pytest.fixture
def hotel():
    with serving() as server:
        server.answers = [http(b'{"room": "R-4711"}')] * 40
        yield server


@pytest.fixture
def service(store_url, tables, hotel, monkeypatch):
    """Return a function that opens the service with keys and a table, as a signed-in admin."""
    monkeypatch.setattr("app.access.authorization.signed_in", lambda: user("ada", Role.ADMIN))
    monkeypatch.setattr("app.access.authorization._check_session", lambda: None)
    monkeypatch.setattr("app.access.authorization._check_form", lambda _largest: None)

    @contextmanager
    def opening(key=FIRST, table="visit"):
        settings = {"DATABASE_URL": store_url, "PARTICIPANTS_URL": hotel.url, "SAGAS": str(tables[table])}
        app = create_app(from_environment(OPEN | settings | ({"DATA_KEY": key} if key else {})))
        with opened(app):
            yield app.test_client()

    return opening


def begin(client, guest="g1", table="visit", **more):
    data = {"guest": guest, "email": f"{guest}@secret.example"} | more
    created = client.post("/api/v1/sagas", json={"type": table, "data": data})
    assert created.status_code == 201, created.get_data(as_text=True)
    return created.get_json()["saga"]["id"]


def finish(client, saga_id):
    db.session.rollback()
    answer = client.post(f"/api/v1/sagas/{saga_id}/execute", headers={"Prefer": "wait=20"})
    return answer.get_json()["saga"]["state"]


def ended(client, guest="g1", **more):
    saga_id = begin(client, guest, **more)
    assert finish(client, saga_id) == "DONE"
    return saga_id


def stored():
    with db.engine.connect() as connection:
        names = [name for name in inspect(connection).get_table_names() if name != "saga_table"]
        return "".join(str(connection.execute(text(f'SELECT * FROM "{name}"')).all()) for name in names)


def sent(hotel):
    return [json.loads(hotel.body(number)) for number in range(len(hotel.received))]


def plan(client, table="visit", **data):
    """Add a schedule of client g1."""
    schedule = {"name": "daily", "type": table, "cron": "0 3 * * *"}
    schedule |= {"data": {"guest": "g1", "email": "g1@secret.example"} | data}
    assert client.post("/api/v1/schedules", json=schedule).status_code == 201


def make_due():
    """Let the time of each schedule come, and start what is due. Return the results."""
    with db.engine.connect() as connection:
        connection.execute(text("UPDATE schedule SET next_at = created_at"))
        services().runner.tables.compare()
        services().schedules.start_due()
        return connection.scalars(text("SELECT last_result FROM schedule")).all()


def park(guest="g1", **data):
    """Add a dead letter of a client, and return its path."""
    event = {"specversion": "1.0", "id": "1", "source": "/shop", "type": "VisitAsked"}
    event |= {"data": {"guest": guest, "email": f"{guest}@secret.example"} | data}
    intake = services().events.intake
    intake._add_dead_letter("/type: was not known yet", json.dumps(event).encode(), UNSIGNED)
    with db.engine.connect() as connection:
        return f"/api/v1/events/parked/{connection.scalar(text('SELECT max(id) FROM parked'))}"


def forget(client, guest="g1", **more):
    db.session.rollback()
    return client.post(f"/api/v1/clients/{guest}/forget", json=WHY | more)


def test_values_are_stored_encrypted_and_sent_in_clear(service, hotel):
    with service() as client:
        ended(client)
        everything = stored()
    assert SEALED in everything
    assert "secret.example" not in everything
    assert "R-4711" not in everything
    assert [body.get("email", body.get("room")) for body in sent(hotel)] == ["g1@secret.example", "R-4711"]


def test_each_client_of_each_tenant_has_a_key(service):
    with service() as client:
        ids = [begin(client, "g1"), begin(client, "g1"), begin(client, "g2")]
        with db.engine.connect() as connection:
            keys = dict(connection.execute(text("SELECT id, data_key FROM saga")).all())
            found = [
                keys.get(each) or keys[next(key for key in keys if str(key).replace("-", "") == each.replace("-", ""))]
                for each in ids
            ]
            owners = connection.execute(text("SELECT tenant, client FROM data_key ORDER BY client")).all()
        assert found[0] == found[1] != found[2]
        assert owners == [("", "g1"), ("", "g2")]
        with atomic(db.engine) as connection:
            other = services().data_keys.provide(connection, "acme", "g1")
        assert other.id not in found


def test_sagas_in_flight_with_values_in_clear_go_on(service, hotel):
    with service(None, "old") as client:
        saga_id = begin(client, table="old")
        assert "g1@secret.example" in stored()
    with service(FIRST, "old") as client:
        assert finish(client, saga_id) == "DONE"
    assert sent(hotel)[0]["email"] == "g1@secret.example"


def test_personal_data_are_refused_without_a_key(service):
    with pytest.raises(ConfigError, match="DATA_KEY is not set, and visit v1 has personal"), service(None):
        pass


@pytest.mark.parametrize(("later", "state"), [(f"{SECOND} {FIRST}", "DONE"), (SECOND, None)])
def test_a_new_first_key_needs_the_old_one_beside_it(service, later, state):
    with service() as client:
        saga_id = begin(client)
    with service(later) as client:
        answer = client.post(f"/api/v1/sagas/{saga_id}/execute", headers={"Prefer": "wait=20"})
        if state is None:
            assert answer.status_code == 503
            assert "DATA_KEY is not set, or not the one that sealed it" in answer.get_json()["detail"]
        else:
            assert answer.get_json()["saga"]["state"] == state


def test_the_sealed_value_of_another_saga_is_not_opened(service, hotel):
    with service() as client:
        begin(client)
        with db.engine.connect() as connection:
            data = connection.execute(text("SELECT data FROM saga")).scalar_one()
        stolen = (data if isinstance(data, dict) else json.loads(data))["email"]
        assert SEALED in stolen
        saga_id = ended(client, extra=[stolen])
        assert sent(hotel)[0]["extra"] == [stolen]
        assert "secret.example" not in client.get(f"/api/v1/sagas/{saga_id}").get_data(as_text=True)


def test_a_forgotten_client_is_unreadable_and_shown_as_erased(service, hotel):
    with service() as client:
        mine, other = ended(client), ended(client, "g2")
        assert forget(client).get_json() == {"client": "g1", "keys": 1, "sagas": 1, "unmarked": 0}
        db.session.rollback()
        whole = client.get(f"/api/v1/sagas/{mine}").get_json()
        assert (whole["data"]["email"], whole["state"], bool(whole["erased_at"])) == ("***", "DONE", True)
        assert "Personal data erased on" in client.get(f"/admin/sagas/{mine}").get_data(as_text=True)
        for path in (f"/api/v1/sagas/{mine}/{each}" for each in ("journal", "events", "replay", "diagram.svg")):
            assert client.get(path).status_code == 200, path
        refused = client.post(f"/api/v1/sagas/{mine}/compensate", json=WHY)
        assert refused.status_code == 409
        assert "were erased; it can be read, and not moved or repeated" in refused.get_json()["detail"]
        again = client.post("/admin/start/visit", data={"again": mine, "data.guest": "g1", "key": "k" * 20} | WHY)
        assert "were erased" in again.get_data(as_text=True)
        db.session.rollback()
        assert (
            client.post(f"/api/v1/sagas/{other}/compensate", json=WHY, headers={"Prefer": "wait=20"}).status_code == 200
        )
        assert sent(hotel)[-1] == {"room": "R-4711"}


def test_forgetting_is_repeatable_and_the_client_may_come_again(service, hotel):
    with service() as client:
        ended(client)
        assert forget(client).get_json()["keys"] == 1
        assert forget(client).get_json() == {"client": "g1", "keys": 0, "sagas": 0, "unmarked": 0}
        ended(client)
        assert sent(hotel)[-2]["email"] == "g1@secret.example"
        with db.engine.connect() as connection:
            wrapped = connection.scalars(text("SELECT wrapped FROM data_key ORDER BY created_at")).all()
            audit = connection.execute(text("SELECT actor, action, target, reason FROM audit ORDER BY seq")).all()
        assert [each is None for each in wrapped] == [True, False]
        assert audit[0] == ("user:ada", "client.forget", "g1", "asked by letter")


def test_a_client_with_a_running_saga_is_not_forgotten(service):
    with service() as client:
        ended(client)
        running = begin(client)
        refused = forget(client)
        assert refused.status_code == 409
        assert running in refused.get_json()["detail"]
        assert refused.get_json()["saga_ids"] == [running]
        assert finish(client, running) == "DONE"
        assert forget(client).get_json()["sagas"] == 2


def test_a_client_of_a_schedule_is_not_forgotten(service):
    with service() as client:
        plan(client)
        refused = forget(client)
        assert refused.status_code == 409
        assert refused.get_json()["detail"] == "schedule daily starts sagas of client g1; remove it first"


@pytest.mark.parametrize("data", [{}, {"email": "g1"}], ids=["usual", "a value that repeats the client"])
def test_the_data_of_a_schedule_are_encrypted_until_its_saga_starts(service, hotel, data):
    with service() as client:
        plan(client, **data)
        with db.engine.connect() as connection:
            row = dict(connection.execute(text("SELECT * FROM schedule")).one()._mapping)
        assert "secret.example" not in stored()
        assert SEALED in str(row["data"])
        assert client.get("/api/v1/schedules/daily").get_json()["data"]["email"] == "***"
        assert "schedule daily starts sagas of client g1" in forget(client).get_json()["detail"]
        assert make_due() == ["started"]
        assert client.patch("/api/v1/schedules/daily", json={"data": {"guest": "g2", "email": "x"}}).status_code == 200
        settle()
        assert sent(hotel)[0]["email"] == data.get("email", "g1@secret.example")
        assert forget(client).status_code == 200
        with db.engine.connect() as connection:  # as a backup has it
            old = {"data": json.dumps(row["data"]) if isinstance(row["data"], dict) else row["data"]}
            connection.execute(text("UPDATE schedule SET data = :data"), old)
        (result,) = make_due()
        assert result == "not started: the personal data of its client were erased; change its data, or remove it"


def test_a_schedule_and_a_dead_letter_in_clear_stay_usable(service, hotel):
    with service(None, "old") as client:
        plan(client, "old")
        kept, erased = park(), park("g2")
        assert "g1@secret.example" in stored()
    with service(FIRST, "old") as client:
        assert make_due() == ["started"]
        assert client.post(f"{kept}/retry").status_code == 200
        settle()
        eventually(lambda: [body.get("email") for body in sent(hotel)].count("g1@secret.example") == 2, "two bookings")
        assert forget(client, "g2").status_code == 200
        assert "g2@secret.example" not in stored()
        assert client.post(f"{erased}/retry").get_json()["detail"] == ERASED_LETTER


def test_a_dead_letter_is_encrypted_and_forgotten_with_its_client(service, hotel):
    with service() as client:
        ended(client, "g2")
        mine, other = park(), park("g2")
        assert "secret.example" not in stored()
        shown = client.get("/api/v1/events/parked").get_json()["parked"]
        assert [("/shop" in each["body"], "***" in each["body"]) for each in shown] == [(True, True)] * 2
        assert forget(client).get_json() == {"client": "g1", "keys": 1, "sagas": 0, "unmarked": 0}
        db.session.rollback()
        assert client.get("/api/v1/events/parked").get_json()["parked"][0]["body"] == "***"
        refused = client.post(f"{mine}/retry")
        assert (refused.status_code, refused.get_json()["detail"]) == (409, ERASED_LETTER)
        assert client.post(f"{mine}/discard", json={}).status_code == 200
        assert client.post(f"{other}/retry").status_code == 200
        settle()
        eventually(lambda: [body.get("email") for body in sent(hotel)].count("g2@secret.example") == 2, "two bookings")


def test_values_that_are_stored_in_clear_are_overwritten(service):
    with service(None, "old") as client:
        saga_id, other = begin(client, table="old"), begin(client, "g2", table="old")
        finish(client, saga_id), finish(client, other)
        assert forget(client).get_json() == {"client": "g1", "keys": 0, "sagas": 1, "unmarked": 0}
        everything = stored()
        assert "g1@secret.example" not in everything
        assert "g2@secret.example" in everything
        db.session.rollback()
        assert client.get(f"/api/v1/sagas/{saga_id}").get_json()["data"] == {"guest": "g1", "email": "***"}
        assert client.post(f"/api/v1/sagas/{saga_id}/compensate", json=WHY).status_code == 409
        assert forget(client).get_json()["sagas"] == 0


def test_erasure_says_how_many_sagas_keep_their_data(service):
    with service(None, "plain") as client:
        finish(client, begin(client, table="plain"))
        page = client.post("/admin/clients/forget", data={"client": "g1"} | WHY).get_data(as_text=True)
        assert "<b>1</b> further saga of the client would keep all data" in page
        assert forget(client).get_json() == {"client": "g1", "keys": 0, "sagas": 0, "unmarked": 1}
        assert "g1@secret.example" in stored()


def test_a_dry_run_and_the_page_show_what_would_be_erased(service):
    with service() as client:
        ended(client)
        command = ["saga", "forget", "--client", "g1", "--reason", "asked", "--dry-run"]
        shown = client.application.test_cli_runner().invoke(args=command)
        assert json.loads(shown.output) == {"client": "g1", "keys": 1, "sagas": 1, "unmarked": 0, "erased": False}
        db.session.rollback()
        page = client.post("/admin/clients/forget", data={"client": "g1"} | WHY).get_data(as_text=True)
        assert "<b>1 saga</b> of client g1 would be erased" in page
        assert "secret.example" not in page
        assert client.post("/admin/clients/forget", data={"client": "g1", "erase": "yes"} | WHY).status_code == 303
        again = client.application.test_cli_runner().invoke(args=command[:-1])
        assert json.loads(again.output) == {"client": "g1", "keys": 0, "sagas": 0, "unmarked": 0, "erased": True}


def test_a_start_at_the_same_moment_is_seen_by_the_erasure(service, store_url):
    if store_url.startswith("sqlite"):
        pytest.skip("SQLite has one writer at a time")
    with service() as client:
        ended(client)
        parts, refused = services(), []

        def erase():
            with pytest.raises(ConflictError) as error:
                parts.erasure.erase("g1", "", "user:ada", "now")
            refused.append(error.value.detail)

        with atomic(db.engine) as connection:
            parts.data_keys.provide(connection, None, "g1")
            thread = threading.Thread(target=erase)
            thread.start()
            thread.join(0.3)
            assert thread.is_alive()
            connection.execute(text("UPDATE saga SET status = 'running'"))
        thread.join(20)
        assert "have not ended" in refused[0]


def test_a_person_who_moves_an_ended_saga_while_it_is_erased_gets_an_error(service):
    with service() as client:
        saga_id = ended(client)
        parts = services()
        store = SagaStore(Connections(db.engine), parts.registry, "test", keys=parts.data_keys)
        saga = store.read(UUID(saga_id))
        saga.prepare_audit("compensate", "user:ada", "back")
        saga.fire(Trigger.COMPENSATE, actor="user:ada")
        assert forget(client).status_code == 200
        with pytest.raises(ErasedError, match="were erased"):
            store.save(saga, None, None)
        db.session.rollback()
        assert client.get(f"/api/v1/sagas/{saga_id}").get_json()["state"] == "DONE"
