"""Statements work with any default settings of the database.

A transaction that fails because of another transaction is repeated.
"""

from datetime import UTC

import pytest
from sqlalchemy import create_engine, text

from app.store.database import database_options, make_durable
from app.store.database_errors import sqlstate
from app.store.models import SagaRow
from app.store.sagas import SagaStore
from app.store.statements import Connections
from app.store.transactions import atomic
from machines.discovery import discover
from machines.transitions import Trigger

HOSTILE = {
    "default_transaction_isolation": "serializable",
    "timezone": "Asia/Kathmandu",
    "datestyle": "SQL, DMY",
    "standard_conforming_strings": "off",
    "extra_float_digits": "-15",
    "client_encoding": "SQL_ASCII",
    "statement_timeout": "0",
    "plan_cache_mode": "auto",
}
pytestmark = pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)


@pytest.fixture
def engine(store_url, stored):
    name = store_url.split("/")[3].split("?")[0]
    for setting, value in HOSTILE.items():
        stored.rows(f"ALTER DATABASE {name} SET {setting} = '{value}'")
    url = store_url.replace("postgresql:", "postgresql+psycopg2:")
    engine = create_engine(url, **database_options(url, 4))
    make_durable(engine)
    yield engine
    engine.dispose()


def test_every_connection_has_the_settings_that_statements_rely_on(engine):
    names = [*HOSTILE, "transaction_isolation"]
    with engine.connect() as connection:
        shown = {name: connection.execute(text(f"SHOW {name}")).scalar_one() for name in names}
    assert shown == {
        "default_transaction_isolation": "read committed",
        "transaction_isolation": "read committed",
        "timezone": "UTC",
        "datestyle": "ISO, DMY",
        "standard_conforming_strings": "on",
        "extra_float_digits": "1",
        "client_encoding": "UTF8",
        "statement_timeout": "30s",
        "plan_cache_mode": "force_generic_plan",
    }


def test_transaction_is_read_committed_despite_the_session(engine):
    with atomic(engine) as connection:
        assert connection.execute(text("SHOW transaction_isolation")).scalar_one() == "read committed"


def test_times_are_read_in_utc(engine, saga):
    SagaStore(Connections(engine), discover(), "one").insert(saga, 30, owner="one")
    with engine.connect() as connection:
        connection.execute(text("SET TimeZone = 'Asia/Kathmandu'"))
        row = connection.execute(SagaRow.__table__.select()).one()
    assert {row.created_at.tzinfo, row.due_at.tzinfo} == {UTC}


def fails_at_first(stored, code, times):
    """Make the first `times` updates of sagas fail with the SQLSTATE `code`.

    A sequence counts the updates, because a rollback does not reset a sequence.
    """
    stored.rows("CREATE SEQUENCE tries")
    stored.rows(
        "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        f"IF nextval('tries') <= {times} THEN RAISE EXCEPTION USING ERRCODE = '{code}'; END IF; RETURN NEW; END $$"
    )
    stored.rows("CREATE TRIGGER fail BEFORE UPDATE ON saga FOR EACH ROW EXECUTE FUNCTION fail()")


@pytest.mark.parametrize("code", ["40001", "40P01", "55P03"])
def test_commit_is_repeated_at_once_after_a_lost_race(engine, stored, saga, code):
    store = SagaStore(Connections(engine), discover(), "one")
    store.insert(saga, 30, owner="one")
    fails_at_first(stored, code, times=3)
    saga.fire(Trigger.SUCCEEDED, actor="engine", step="lire_panier", direction="do")
    store.save(saga, 30, owner="one")
    assert store.read(saga.id).version == 2


def test_claim_is_repeated_at_once_after_a_lost_race(engine, stored, saga):
    store = SagaStore(Connections(engine), discover(), "one")
    store.insert(saga, 0, owner="one")
    fails_at_first(stored, "40P01", times=2)
    with engine.connect() as connection:
        assert connection.execute(SagaRow.__table__.update().values(claims=1)).rowcount == 1


def test_commit_is_repeated_a_limited_number_of_times(engine, stored, saga):
    store = SagaStore(Connections(engine), discover(), "one")
    store.insert(saga, 30, owner="one")
    fails_at_first(stored, "40001", times=1000)
    with pytest.raises(Exception, match="fail") as raised:
        store.save(saga, 30, owner="one")
    assert sqlstate(raised.value.orig) == "40001"


def test_statement_inside_a_transaction_is_not_repeated_alone(engine, stored, saga):
    SagaStore(Connections(engine), discover(), "one").insert(saga, 30, owner="one")
    fails_at_first(stored, "40P01", times=1)
    with pytest.raises(Exception, match="fail"), atomic(engine) as connection:
        connection.execute(SagaRow.__table__.update().values(claims=1))
    assert stored.rows("SELECT last_value FROM tries") == [{"last_value": 1}]


def test_a_statement_is_cancelled_when_it_lasts_too_long(store_url):
    url = store_url.replace("postgresql:", "postgresql+psycopg2:")
    engine = create_engine(url, **database_options(url, 4))
    make_durable(engine, statement_timeout_s=0.05)
    with pytest.raises(Exception, match="canceling statement") as raised, engine.connect() as connection:
        connection.execute(text("SELECT pg_sleep(30)"))
    assert sqlstate(raised.value.orig) == "57014"
    engine.dispose()
