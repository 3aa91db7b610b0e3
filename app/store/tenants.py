"""Tenants: with which tenant the statements of this thread end, and how the database keeps to it.

A request whose sender belongs to a tenant acts for this tenant: each of its statements sees the rows of the tenant's
sagas only. The database applies this, so no query can forget it. Everybody else, such as the engine, acts for all
tenants, and its statements are sent unchanged.

* On PostgreSQL, the policies of migration 0024 (row level security) compare each row with the setting `saga.tenant`.
  Policies do not apply to the owner of a table or to a superuser, so the statement also takes the role of `provide`.
  They apply to the service's own role (app.store.service_role), and PostgreSQL reads slowly through them: it estimates
  too few rows, and uses no index for LIKE. So its connections take another role, ALL_TENANTS, which has a policy that
  admits every row. Statements of tenants leave that role. Behind a pooler, which gives the session to others, each
  query takes the role for itself alone.
* On SQLite, the names of the tables stand for the rows of the tenant: common table expressions hide the tables.
"""

import re
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine as Database
from sqlalchemy import event, text
from sqlalchemy.exc import DBAPIError

from app.errors import ConflictError, InvalidError
from app.store.citus import is_distributed
from app.store.database_errors import sqlstate
from app.store.transactions import atomic

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: Name of a tenant. It is written into statements, so it has no quote and no per cent sign.
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_TENANT: ContextVar[str | None] = ContextVar("tenant", default=None)
#: Tables with a column `tenant`.
_OWN = ("saga", "bulk_job", "request_key", "saved_view", "schedule", "parked")
_OF_SAGA = ("journal", "arrival", "saga_case", "presence", "saga_tag", "outbox", "webhook_delivery", "audit")
#: Tables whose rows belong to a row of another table: table → that table, its key, and the column that names the key.
_BELONG = dict.fromkeys(_OF_SAGA, ("saga", "id", "saga_id")) | {"bulk_item": ("bulk_job", "id", "job_id")}
#: The statements that read or write rows. Others, such as BEGIN, are sent unchanged.
_ROWS = re.compile(r"\s*(?:(WITH)(?:\s+RECURSIVE)?|SELECT|INSERT|UPDATE|DELETE|SET)\b", re.IGNORECASE)
#: The statements whose plans suffer from the policies.
_QUERIES = re.compile(r"\s*(?:WITH|SELECT)\b", re.IGNORECASE)
#: The role of the statements of tenants on PostgreSQL, one for each database.
_DATABASE = r"left(regexp_replace(current_database(), '\W', '_', 'g'), 50)"
_ROLE = f"{_DATABASE} || '_tenant'"
#: The role in which the service's role acts for all tenants. The service's role must not inherit its rights.
ALL_TENANTS = f"{_DATABASE} || '_all_tenants'"
_MAY_TAKE = f"""
    FROM pg_roles WHERE rolname = {ALL_TENANTS} AND pg_has_role(oid, 'MEMBER') AND NOT pg_has_role(oid, 'USAGE')
    AND row_security_active(to_regclass('saga'))
"""
#: Takes this role for the rest of the session, if the policies apply to the user and the user may take it.
TAKE_ALL_TENANTS = f"SELECT set_config('role', rolname, false) {_MAY_TAKE}"
#: Returns the name of this role on the same conditions.
FIND_ALL_TENANTS = f"SELECT rolname {_MAY_TAKE}"
#: Key in the `info` of a connection behind a pooler for the name of this role, which each query takes.
ROLE_OF_QUERIES = "role_of_queries"
#: The role of the statements of tenants. 'none': the user of the connection, to whom the policies apply.
_TENANTS_ROLE = f"""
    SELECT set_config('role', 'none', true);
    SELECT CASE WHEN row_security_active('saga') AND NOT EXISTS (
        SELECT FROM pg_roles WHERE rolname = {ALL_TENANTS} AND pg_has_role(oid, 'USAGE')
    ) THEN 'none' ELSE {_ROLE} END
"""  # noqa: S608

#: True in the column `ready`: the policies apply to this user, or the role exists and this user may take it.
_READY = text(f"""
    SELECT current_user, role, row_security_active('saga') OR coalesce(
        (SELECT pg_has_role(oid, 'MEMBER') AND has_table_privilege(oid, 'saga', 'SELECT')
         FROM pg_roles WHERE rolname = role), false)
    FROM (SELECT {_ROLE} AS role) AS named
""")  # noqa: S608  a constant
#: The role has the rights to all tables, as the service has. The policies limit the rows.
_MAKE = text(
    f"""
    DO $make$ DECLARE role text := {_ROLE}; BEGIN
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role) THEN
            EXECUTE format('CREATE ROLE %I NOLOGIN', role);
        END IF;
        IF NOT pg_has_role(role, 'MEMBER') THEN EXECUTE format('GRANT %I TO %I', role, current_user); END IF;
        EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', current_schema(), role);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA %I TO %I', current_schema(), role);
        EXECUTE format('GRANT USAGE ON ALL SEQUENCES IN SCHEMA %I TO %I', current_schema(), role);
        EXECUTE format('ALTER DEFAULT PRIVILEGES IN SCHEMA %I GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO %I',
                       current_schema(), role);
        EXECUTE format('ALTER DEFAULT PRIVILEGES IN SCHEMA %I GRANT USAGE ON SEQUENCES TO %I', current_schema(), role);
    END $make$
"""
)
_NOT_ALLOWED = "42501"  # SQLSTATE of a statement for which the user lacks a right


def acting_tenant() -> str | None:
    """Return the tenant for which this thread acts; None: for all."""
    return _TENANT.get()


def act_for(tenant: str | None) -> None:
    """Act for a tenant from now on; None: for all."""
    _TENANT.set(tenant)


@contextmanager
def acting_for(tenant: str | None) -> "Iterator[None]":
    """Act for a tenant within the block; None: for all."""
    token = _TENANT.set(tenant)
    try:
        yield
    finally:
        _TENANT.reset(token)


def check_name(tenant: str) -> None:
    """Raise InvalidError for a text that is no name of a tenant."""
    if not _NAME.fullmatch(tenant):
        raise InvalidError(("/tenant", "Give 1 to 64 of a-z, 0-9, '.', '_' and '-', the first a letter or digit."))


def keep_to_tenants(database: Database) -> None:
    """Make every statement of this engine keep to the tenant for which its thread acts."""
    limit: Callable[[str, str, Any], str] = _on_sqlite if database.dialect.name == "sqlite" else _Roles()

    @event.listens_for(database, "before_cursor_execute", retval=True)
    def _limit(
        connection: Any, cursor: Any, statement: str, parameters: Any, _context: Any, _many: bool
    ) -> tuple[str, Any]:
        tenant = _TENANT.get()
        if tenant is not None and _ROWS.match(statement):
            assert _NAME.fullmatch(tenant), "it is written into the statement"
            statement = limit(statement, tenant, cursor)
        elif (role := connection.info.get(ROLE_OF_QUERIES)) and _QUERIES.match(statement):
            statement = f"SELECT set_config('role', '{role}', true); {statement}"
        return statement, parameters


def provide(database: Database) -> None:
    """Make the role in which PostgreSQL executes the statements of tenants, unless it exists or is not needed.

    Raise ConflictError when the database user may not make roles, and on a distributed database.
    """
    if database.dialect.name == "sqlite":
        return
    if is_distributed(database):
        raise ConflictError("a distributed database does not keep tenants apart, so it has none")
    with database.connect() as connection:
        user, role, ready = connection.execute(_READY).one()
    if ready:
        return
    try:
        with atomic(database) as connection:
            connection.execute(_MAKE)
    except DBAPIError as error:
        if sqlstate(error.orig) != _NOT_ALLOWED:
            raise
        raise ConflictError(
            "the database user may not make the role that keeps tenants apart; an administrator of the database runs: "
            f'CREATE ROLE "{role}" NOLOGIN; GRANT "{role}" TO "{user}"; then try again'
        ) from error


def _on_sqlite(statement: str, tenant: str, _cursor: Any) -> str:
    found = _ROWS.match(statement)
    if found is None or statement.lstrip()[:3].upper() == "SET":
        return statement
    hidden = ", ".join(f"{name} AS NOT MATERIALIZED ({_rows_of(name, tenant)})" for name in (*_OWN, *_BELONG))
    return f"WITH RECURSIVE {hidden}, {statement[found.end() :]}" if found[1] else f"WITH {hidden} {statement}"


def _rows_of(name: str, tenant: str) -> str:
    if name in _OWN:
        return f"SELECT * FROM main.{name} WHERE tenant = '{tenant}'"  # noqa: S608  see check_name
    table, key, column = _BELONG[name]
    owner = f"SELECT 1 FROM main.{table} AS owning WHERE owning.{key} = {name}.{column} AND owning.tenant = '{tenant}'"  # noqa: S608
    return f"SELECT * FROM main.{name} WHERE EXISTS ({owner})"  # noqa: S608


class _Roles:
    """Adds the settings of a tenant to a statement. The driver sends both together, so they are one transaction."""

    def __init__(self) -> None:
        #: Name of the role; None: not read yet.
        self._role: str | None = None

    def __call__(self, statement: str, tenant: str, cursor: Any) -> str:
        if self._role is None:
            cursor.execute(_TENANTS_ROLE)
            self._role = cursor.fetchone()[0]
        settings = f"set_config('role', '{self._role}', true), set_config('saga.tenant', '{tenant}', true)"
        return f"SELECT {settings}; {statement}"
