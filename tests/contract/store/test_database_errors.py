"""For each error of a real database: who can repair it, and whether a repeated statement may succeed."""

import sqlite3

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.exc import TimeoutError as NoConnectionError

from app.store.database_errors import Meaning, is_away, meaning


def error_of(engine, *statements):
    # Only the last statement is expected to fail.
    with pytest.raises(SQLAlchemyError) as raised, engine.connect() as connection:  # noqa: PT012
        for statement in statements:
            connection.execute(text(statement))
    return raised.value


@pytest.mark.parametrize(
    ("code", "meant"),
    [
        ("08006", Meaning.AWAY),
        ("25006", Meaning.AWAY),
        ("40003", Meaning.AWAY),
        ("53100", Meaning.AWAY),
        ("53200", Meaning.AWAY),
        ("53300", Meaning.AWAY),
        ("57P01", Meaning.AWAY),
        ("57P03", Meaning.AWAY),
        ("58030", Meaning.AWAY),
        ("58P01", Meaning.AWAY),
        ("XX001", Meaning.AWAY),
        ("40001", Meaning.BUSY),
        ("40P01", Meaning.BUSY),
        ("55P03", Meaning.BUSY),
        ("57014", Meaning.BUSY),
        ("26000", Meaning.BUSY),
        ("42P05", Meaning.BUSY),
        ("42P01", Meaning.NOT_MIGRATED),
        ("42703", Meaning.NOT_MIGRATED),
        ("42501", Meaning.FORBIDDEN),
        ("22P05", Meaning.UNSTORABLE),
        ("22003", Meaning.UNSTORABLE),
        ("54000", Meaning.UNSTORABLE),
        ("54001", Meaning.UNSTORABLE),
        ("23505", Meaning.DEFECT),
        ("23514", Meaning.DEFECT),
        ("42601", Meaning.DEFECT),
        ("0A000", Meaning.DEFECT),
        ("P0001", Meaning.DEFECT),
        ("XX000", Meaning.DEFECT),
    ],
)
@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
def test_an_error_of_postgresql_means_what_its_sqlstate_says(stored, code, meant):
    error = error_of(stored.engine, f"DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '{code}'; END $$")
    assert meaning(error) is meant
    assert is_away(error) == (meant in {Meaning.AWAY, Meaning.BUSY})


@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
def test_value_too_long_for_an_index_is_a_client_error(stored):
    long = "(SELECT string_agg(md5(n::text), '') FROM generate_series(1, 2000) AS n)"
    assert meaning(error_of(stored.engine, f"INSERT INTO user_account VALUES ({long}, 'x', 'x', now())")) is (
        Meaning.UNSTORABLE
    )


def test_a_server_that_refuses_the_connection_is_away():
    engine = create_engine("postgresql+psycopg2://x@127.0.0.1:1/x")
    assert meaning(error_of(engine, "SELECT 1")) is Meaning.AWAY


@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
def test_a_connection_that_was_cut_is_away(stored):
    assert meaning(error_of(stored.engine, "SELECT pg_terminate_backend(pg_backend_pid())")) is Meaning.AWAY


def test_missing_table_means_not_migrated(store_url, stored):
    assert meaning(error_of(stored.engine, "SELECT * FROM no_such_table")) is Meaning.NOT_MIGRATED
    assert meaning(error_of(stored.engine, "SELECT no_such_column FROM saga")) is Meaning.NOT_MIGRATED


def test_a_broken_constraint_is_a_defect(stored):
    twice = "INSERT INTO audit_head VALUES (1, 0, '')"
    assert meaning(error_of(stored.engine, twice)) is Meaning.DEFECT


def test_no_free_connection_means_busy_and_not_unhealthy():
    assert meaning(NoConnectionError("none came free")) is Meaning.BUSY
    assert meaning(NoConnectionError("none came free")) is Meaning.BUSY


def test_error_outside_the_database_is_a_defect():
    assert meaning(ValueError("x")) is Meaning.DEFECT


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
def test_a_sqlite_file_that_takes_no_writes_is_away(stored, store_url):
    write = "INSERT INTO parked (id) VALUES (1)"
    assert meaning(error_of(stored.engine, "PRAGMA query_only = on", write)) is Meaning.AWAY
    locked = create_engine(store_url, connect_args={"timeout": 0})
    other = sqlite3.connect(store_url.removeprefix("sqlite:///"))
    other.execute("BEGIN IMMEDIATE")
    assert meaning(error_of(locked, write)) is Meaning.AWAY
    other.close()
    locked.dispose()
    nowhere = create_engine("sqlite:////nowhere/saga.db")
    assert meaning(error_of(nowhere, "SELECT 1")) is Meaning.AWAY
