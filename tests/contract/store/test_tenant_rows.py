"""The database keeps tenants apart for each kind of statement and of database user. The engine acts for all tenants."""

import os

import pytest
from sqlalchemy import event, func, select, text
from sqlalchemy.exc import DBAPIError

from app.errors import ConflictError
from app.store.models import SagaRow
from app.store.tenants import acting_for, provide
from app.store.transactions import atomic
from machines.transitions import Trigger

SAGAS = select(func.count()).select_from(SagaRow)
on_postgresql = pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)


@pytest.fixture
def of_two(stored, saga):
    """A store with one saga of the tenant acme and one of the tenant other."""
    for tenant in ("acme", "other"):
        new = saga.new(saga.definition, saga.data, actor="client")
        new.tenant = tenant
        stored.store().insert(new, 30.0, "one")
    return stored


@pytest.fixture
def owner(of_two):
    """The name of a role that owns the tables and may not make roles. Each connection of the service uses it."""
    name = f"owner_{os.getpid()}"

    def take_role(connection, *_):
        with connection.cursor() as cursor:
            cursor.execute(f"SET SESSION AUTHORIZATION {name}")

    tables = [row["tablename"] for row in of_two.rows("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
    with of_two.engine.connect() as connection:
        connection.execute(text(f"CREATE ROLE {name}"))
        connection.execute(text(f"GRANT ALL ON SCHEMA public TO {name}"))
        for table in tables:
            connection.execute(text(f"ALTER TABLE {table} OWNER TO {name}"))
        event.listen(of_two.engine, "checkout", take_role)
        yield name
        event.remove(of_two.engine, "checkout", take_role)


def count(engine, tenant):
    with acting_for(tenant), engine.connect() as connection:
        return connection.scalar(SAGAS)


def test_transaction_keeps_to_its_tenant_and_the_next_statement_to_none(of_two):
    provide(of_two.engine)
    with acting_for("acme"), atomic(of_two.engine) as connection:
        assert [connection.scalar(SAGAS) for _ in range(2)] == [1, 1]
    assert count(of_two.engine, None) == 2
    assert count(of_two.engine, "nobody") == 0


def test_statement_with_a_common_table_expression_is_limited(of_two):
    provide(of_two.engine)
    found = select(SagaRow.tenant).cte("found", recursive=True)
    with acting_for("acme"), of_two.engine.connect() as connection:
        assert connection.scalars(select(found.c.tenant)).all() == ["acme"]


def test_engine_commits_the_saga_of_a_tenant_also_within_a_request_of_another(of_two, saga):
    saga.tenant = "other"
    with acting_for("acme"):
        of_two.store().insert(saga, 30.0, "one")
        saga.fire(Trigger.SUCCEEDED, actor="engine", step="lire_panier", direction="do")
        of_two.store().save(saga, 30.0, "one")
    assert count(of_two.engine, None) == 3


@on_postgresql
def test_row_of_another_tenant_cannot_be_written(of_two):
    provide(of_two.engine)
    with acting_for("acme"), of_two.engine.connect() as connection:
        assert connection.execute(text("UPDATE saga SET client = 'x'")).rowcount == 1
        with pytest.raises(DBAPIError, match="row-level security"):
            connection.execute(text("UPDATE saga SET tenant = 'other'"))


@on_postgresql
def test_owner_of_the_tables_that_makes_no_roles_says_what_to_run(of_two, owner):
    with pytest.raises(ConflictError) as refused:
        provide(of_two.engine)
    role = refused.value.detail.partition('CREATE ROLE "')[2].partition('"')[0]
    assert f'GRANT "{role}" TO "{owner}"' in refused.value.detail
    with of_two.engine.connect() as connection:
        connection.execute(text("RESET SESSION AUTHORIZATION"))
        connection.execute(text(f'CREATE ROLE "{role}" NOLOGIN; GRANT "{role}" TO "{owner}"'))
    of_two.engine.pool.dispose()
    provide(of_two.engine)
    assert [count(of_two.engine, tenant) for tenant in ("acme", None)] == [1, 2]


@on_postgresql
def test_tenant_without_the_role_gets_nothing(of_two):
    with pytest.raises(DBAPIError, match="role"):
        count(of_two.engine, "acme")
