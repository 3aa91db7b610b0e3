"""The service runs with a database role that does not own the tables: what it can do, and what it cannot."""

import os

import pytest
from sqlalchemy import event, func, select, text
from sqlalchemy.exc import DBAPIError

from app.errors import ConflictError
from app.store import audit
from app.store.accounts import Users
from app.store.audit import Entry
from app.store.database import db
from app.store.models import JournalRow, SagaRow
from app.store.months import make_ahead
from app.store.partitions import partition
from app.store.service_role import RIGHTS, grant_rights
from app.store.tenants import ALL_TENANTS, TAKE_ALL_TENANTS, acting_for, provide
from app.store.transactions import atomic
from machines.transitions import Trigger
from tests.support.databases import service_engine

ROLE = f"service_{os.getpid()}"


@pytest.fixture
def store_url(postgres_pool):
    """Use PostgreSQL only; SQLite has no roles."""
    yield from postgres_pool.lend()


@pytest.fixture
def owned(stored):
    """A store of the owner, and the service's role with its rights."""
    with stored.engine.connect() as connection:
        connection.execute(text(f"DROP ROLE IF EXISTS {ROLE}"))
        connection.execute(text(f"CREATE ROLE {ROLE} LOGIN"))
    grant_rights(stored.engine, ROLE)
    yield stored
    with stored.engine.connect() as connection:
        for role in (all_tenants(stored), ROLE):
            connection.execute(text(f"DROP OWNED BY {role}"))
            connection.execute(text(f"DROP ROLE {role}"))


def all_tenants(stored):
    """Return the name of the role in which the service's role acts for all tenants."""
    with stored.engine.connect() as connection:
        return connection.scalar(text(f"SELECT {ALL_TENANTS}"))


@pytest.fixture(params=["this release", "an earlier release"])
def served(owned, request):
    """The store as the service's role."""

    def take_role(connection, *_):
        with connection.cursor() as cursor:
            cursor.execute(f"SET SESSION AUTHORIZATION {ROLE}")
            if request.param == "this release":
                cursor.execute(TAKE_ALL_TENANTS)

    def give_back(connection, *_):
        with connection.cursor() as cursor:
            cursor.execute("RESET SESSION AUTHORIZATION")

    event.listen(owned.engine, "checkout", take_role)
    event.listen(owned.engine, "checkin", give_back)
    yield owned
    event.remove(owned.engine, "checkout", take_role)
    event.remove(owned.engine, "checkin", give_back)


def moved(served, saga, tenant=None):
    """Store a saga with two moves, as the engine does."""
    saga.tenant = tenant
    store = served.store()
    store.insert(saga, 30.0, "one")
    saga.fire(Trigger.SUCCEEDED, actor="engine", step="lire_panier", direction="do")
    store.save(saga, 30.0, "one")
    return saga


def test_every_table_has_its_rights():
    tables = {table.name for table in db.metadata.tables.values()}
    assert tables | {"alembic_version"} == set(RIGHTS), "say in app/store/service_role.py what the service needs"


def test_service_runs_sagas_and_writes_the_journal_and_the_trail(served, saga):
    moved(served, saga)
    Users(served.engine).add("ada", "admin", "x", "cli:test")
    with served.engine.connect() as connection:
        assert connection.scalar(text("SELECT session_user")) == ROLE
        assert connection.scalar(select(func.count()).select_from(JournalRow)) == 2
    assert audit.verify(served.engine).broken is None


@pytest.mark.parametrize("table", ["journal", "audit"])
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE {} SET actor = 'nobody'", "DELETE FROM {}", "TRUNCATE {}", "ALTER TABLE {} DISABLE TRIGGER ALL",
        "DROP TABLE {}", "ALTER TABLE {} DISABLE ROW LEVEL SECURITY", "DROP POLICY {0}_of_tenant ON {0}",
    ],
)  # fmt: skip
def test_service_cannot_change_what_was_written(served, saga, table, statement):
    moved(served, saga)
    audit.record(served.engine, Entry(actor="user:ada", action="test"))
    with served.engine.connect() as connection:
        before = connection.execute(text(f"SELECT * FROM {table}")).all()
        assert before
        with pytest.raises(DBAPIError, match=r"permission denied|must be owner"):
            connection.execute(text(statement.format(table)))
        assert connection.execute(text(f"SELECT * FROM {table}")).all() == before


@pytest.mark.parametrize("statement", ["DELETE FROM saga", "SET SESSION AUTHORIZATION postgres", "SET ROLE postgres"])
def test_service_gets_no_further_rights(served, saga, statement):
    moved(served, saga)
    with served.engine.connect() as connection:
        if statement.startswith("SET"):  # the tests' own connection may take any role, so ask for the right itself
            assert not connection.scalar(text("SELECT pg_has_role(current_user, 'postgres', 'MEMBER')"))
        else:
            with pytest.raises(DBAPIError, match="permission denied"):
                connection.execute(text(statement))
        assert not connection.scalar(text("SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user"))


def test_row_level_security_holds_for_the_service(served, saga):
    moved(served, saga, "acme")
    provide(served.engine)
    sagas, moves = (select(func.count()).select_from(each) for each in (SagaRow, JournalRow))

    def seen(tenant):
        with acting_for(tenant), served.engine.connect() as connection:
            return connection.scalar(sagas), connection.scalar(moves)

    assert [seen(tenant) for tenant in ("acme", "other", None)] == [(1, 2), (0, 0), (1, 2)]
    with acting_for("other"), atomic(served.engine) as connection:
        assert connection.execute(text("UPDATE saga SET client = 'x'")).rowcount == 0


@pytest.fixture
def process(owned, store_url):
    """The engine of a process that signs in as the service's role."""
    made = service_engine(store_url.replace("//postgres@", f"//{ROLE}@"))
    yield made
    made.dispose()


def test_policies_cost_nothing_for_all_tenants_and_hold_for_each(process, owned, saga):
    moved(owned, saga, "acme")
    count = select(func.count()).select_from(SagaRow)
    with process.connect() as connection:
        plan = "\n".join(connection.scalars(text("EXPLAIN SELECT FROM saga WHERE right(id::text, 8) = 'x'")))
        assert "saga.tenant" not in plan
        assert connection.scalar(count) == 1
        with acting_for("other"):
            assert connection.scalar(count) == 0
        assert connection.scalar(count) == 1


def test_policies_of_a_database_that_was_restored_under_another_name_are_replaced(owned):
    with owned.engine.connect() as connection:
        connection.execute(text(f"ALTER POLICY saga_of_all_tenants ON saga TO {ROLE}"))
    grant_rights(owned.engine, ROLE)
    found = owned.rows("SELECT roles::text[] FROM pg_policies WHERE policyname = 'saga_of_all_tenants'")
    assert [row["roles"] for row in found] == [[all_tenants(owned)]]


def test_service_role_that_inherits_the_second_role_sees_only_its_tenants(process, owned, saga):
    moved(owned, saga, "acme")
    with owned.engine.connect() as connection:
        connection.execute(text(f"GRANT {all_tenants(owned)} TO {ROLE} WITH INHERIT TRUE"))
    grant_rights(owned.engine, ROLE)
    with acting_for("other"), process.connect() as connection, pytest.raises(DBAPIError, match="_tenant"):
        connection.scalar(select(func.count()).select_from(SagaRow))


@pytest.mark.parametrize("second", [False, True])
def test_role_gets_no_more_than_its_rights_when_it_had_more(owned, second):
    role = all_tenants(owned) if second else ROLE
    with owned.engine.connect() as connection:
        connection.execute(text(f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}"))
    grant_rights(owned.engine, ROLE)
    with owned.engine.connect() as connection:
        found = connection.execute(
            text(
                "SELECT table_name, array_agg(privilege_type::text ORDER BY privilege_type) FROM "
                "information_schema.role_table_grants WHERE grantee = :role GROUP BY table_name"
            ),
            {"role": role},
        ).all()
    assert {name: tuple(rights) for name, rights in found} == {
        name: tuple(sorted(rights)) for name, rights in RIGHTS.items()
    }


def test_role_that_is_missing_or_owns_the_tables_is_refused(stored):
    with pytest.raises(ConflictError, match="CREATE ROLE nobody_of_that_name"):
        grant_rights(stored.engine, "nobody_of_that_name")
    with stored.engine.connect() as connection:
        owner = connection.scalar(text("SELECT current_user"))
    with pytest.raises(ConflictError, match="owns the tables"):
        grant_rights(stored.engine, owner)


def test_partitioned_tables_have_the_rights_of_before_and_their_partitions_none(owned):
    partition(owned.engine)
    make_ahead(owned.engine)
    kinds = "unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS kind"
    names = "relkind IN ('r', 'p') AND relname ~ '^(saga|journal)($|_[d2])'"
    found = owned.rows(
        f"SELECT relname, kind FROM pg_class, {kinds} WHERE {names}"
        f" AND has_table_privilege('{ROLE}', pg_class.oid, kind)"
    )
    granted = {(row["relname"], row["kind"]) for row in found}
    assert granted == {(table, right) for table in ("saga", "journal") for right in RIGHTS[table]}
