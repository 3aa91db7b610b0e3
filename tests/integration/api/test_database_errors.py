"""The answers of the API and of /ready after a database error. A database trigger of the test raises the errors."""

import os

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import TimeoutError as NoConnectionError

from app.store.database import db

BODY = {"type": "checkout", "data": {"client_id": 4, "magasin_id": 1}}


def fails_with(code):
    """Make the database refuse each new saga with the SQLSTATE `code`."""
    with db.engine.connect() as connection:
        connection.execute(
            text(
                "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS "
                f"$$ BEGIN RAISE EXCEPTION 'raised by the test' USING ERRCODE = '{code}'; END $$"
            )
        )
        connection.execute(text("CREATE TRIGGER fail BEFORE INSERT ON saga FOR EACH ROW EXECUTE FUNCTION fail()"))


@pytest.mark.parametrize(
    ("code", "status", "ready", "says"),
    [
        ("53100", 503, 503, "send the request again, with the same Idempotency-Key"),
        ("57P01", 503, 503, "send the request again"),
        ("40P01", 503, 200, "send the request again"),
        ("55P03", 503, 200, "send the request again"),
        ("42P01", 503, 200, "flask --app app db upgrade"),
        ("42501", 500, 200, "lacks a right"),
        ("54000", 400, 200, "cannot keep a value"),
        ("22P05", 400, 200, "cannot keep a value"),
        ("23514", 500, 200, "the log of this moment"),
    ],
)
@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
def test_only_an_unreachable_database_makes_a_replica_not_ready(client, code, status, ready, says):
    fails_with(code)
    answer = client.post("/api/v1/sagas", json=BODY)
    assert (answer.status_code, answer.headers.get("Retry-After")) == (status, "1" if status == 503 else None)
    assert says in answer.get_json(force=True)["detail"]
    assert client.get("/ready").status_code == ready


def test_no_free_connection_is_answered_503_and_the_replica_stays_ready(client, monkeypatch):
    def none(*_, **__):
        raise NoConnectionError("none came free")

    monkeypatch.setattr("app.store.lists.page", none)
    answer = client.get("/api/v1/sagas")
    assert (answer.status_code, answer.headers.get("Retry-After")) == (503, "1")
    assert client.get("/ready").status_code == 200


def test_database_without_tables_is_answered_with_the_remedy(client):
    with db.engine.connect() as connection:
        connection.execute(text("DROP TABLE saga" if db.engine.dialect.name == "sqlite" else "DROP TABLE saga CASCADE"))
    for answer in (client.get("/api/v1/sagas"), client.post("/api/v1/sagas", json=BODY)):
        assert answer.status_code == 503
        assert "flask --app app db upgrade" in answer.get_json(force=True)["detail"]


@pytest.fixture
def role(client):
    """Make a database role with only the rights that a saga needs; each connection of the process uses this role."""
    name = f"limited_{os.getpid()}"

    def take_role(connection, *_):
        with connection.cursor() as cursor:
            cursor.execute(f"SET ROLE {name}")

    with db.engine.connect() as connection:
        connection.execute(text(f"CREATE ROLE {name}"))
        connection.execute(text(f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {name}"))
        event.listen(db.engine, "checkout", take_role)
        yield name
        event.remove(db.engine, "checkout", take_role)
        connection.execute(text("RESET ROLE"))
        connection.execute(text(f"DROP OWNED BY {name}"))
        connection.execute(text(f"DROP ROLE {name}"))


@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
def test_a_process_without_a_right_that_sagas_need_is_not_ready(client, role):
    assert client.get("/ready").status_code == 200
    with db.engine.connect() as connection:
        connection.execute(text("RESET ROLE"))
        connection.execute(text(f"REVOKE INSERT ON journal FROM {role}"))
    answer = client.get("/ready")
    assert answer.status_code == 503
    assert "lacks the right INSERT on journal" in answer.get_json(force=True)["detail"]
