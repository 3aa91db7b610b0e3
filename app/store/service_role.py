"""The rights of the database role with which the service runs, where another role owns the tables.

The owner migrates. The service's role can add rows to the journal and the audit trail, and can neither change nor
delete them. It cannot drop a trigger or a policy either, so row level security holds for all that it does.

What it does for all tenants, it does in a second role with the same rights and a policy that admits every row, see
app.store.tenants. Only connections of this release take that role, so a replica of an earlier release stays limited.
"""

from functools import partial

from sqlalchemy import Connection, text
from sqlalchemy import Engine as Database

from app.errors import ConflictError
from app.store.partitions import when_free
from app.store.tenants import ALL_TENANTS
from app.store.transactions import atomic

_APPENDS = ("SELECT", "INSERT")
_KEEPS = (*_APPENDS, "UPDATE")
_ALL = (*_KEEPS, "DELETE")
#: Table → what the service needs. Only the owner deletes sagas with their journals (`saga prune`).
RIGHTS = {
    "journal": _APPENDS,
    "audit": _APPENDS,
    "audit_head": ("SELECT", "UPDATE"),
    **dict.fromkeys(("saga", "arrival", "saga_case", "saga_tag", "saga_table", "api_key", "data_key"), _KEEPS),
    **dict.fromkeys(("relay", "relay_part", "bulk_job", "bulk_item"), _KEEPS),
    **dict.fromkeys(("schedule", "outbox", "webhook_delivery", "parked", "request_key"), _ALL),
    **dict.fromkeys(("replica", "participant_pause", "notice", "presence", "process_release"), _ALL),
    **dict.fromkeys(("user_account", "user_session", "login_attempt", "failed_sign_in", "saved_view"), _ALL),
    "alembic_version": ("SELECT",),
}
_ABOUT = text("""
    SELECT current_schema() AS schema, current_database() AS name,
           (SELECT pg_has_role(:role, tableowner, 'MEMBER') FROM pg_tables
            WHERE schemaname = current_schema() AND tablename = 'saga') AS owns
    FROM pg_roles WHERE rolname = :role
""")

_IS = text("SELECT pg_has_role(:role, :name, :how)")
_MISSING = text("""
    SELECT format('DROP POLICY IF EXISTS %1$I ON %2$I; CREATE POLICY %1$I ON %2$I TO %3$I USING (true)',
                  tablename || '_of_all_tenants', tablename, :role)
    FROM pg_policies WHERE schemaname = current_schema() GROUP BY tablename
    HAVING NOT bool_or(policyname = tablename || '_of_all_tenants' AND :role = ANY (roles))
""")
_MAY_MAKE = text("SELECT rolsuper OR rolcreaterole FROM pg_roles WHERE rolname = current_user")


def grant_rights(database: Database, role: str, password: str = "") -> None:
    """Grant the role exactly RIGHTS. On SQLite there are no roles, and nothing happens.

    password: with which a missing role is made; "": none is made.

    role: a checked name, see app.server_urls. Raise ConflictError when there is no such role, or when it could change
    the tables anyway.
    """
    if database.dialect.name == "sqlite":
        return
    with atomic(database) as connection:
        about = connection.execute(_ABOUT, {"role": role}).one_or_none()
        if about is None and password and connection.scalar(_MAY_MAKE):
            # psycopg2 writes the value into the statement, as CREATE ROLE needs it.
            connection.execute(text(f"CREATE ROLE {role} LOGIN PASSWORD :password"), {"password": password})
            about = connection.execute(_ABOUT, {"role": role}).one_or_none()
        if about is None:
            raise ConflictError(
                "there is no database role of the name in DATABASE_SERVICE_ROLE; an administrator of the database "
                f"runs: CREATE ROLE {role} LOGIN PASSWORD '…'; then migrate again"
            )
        if about.owns:
            raise ConflictError(
                f"{role} of DATABASE_SERVICE_ROLE owns the tables, or is a member of their owner, so rights would not "
                "bind it; name another role"
            )
        _grant(connection, about.schema, about.name, role)
        all_tenants = _made_all_tenants(connection, role)
        if all_tenants is not None:
            _grant(connection, about.schema, about.name, f'"{all_tenants}"')
    if all_tenants is not None:
        for statement in _missing_policies(database, all_tenants):
            when_free(database, partial(_run, statement=statement))


def _made_all_tenants(connection: Connection, role: str) -> str | None:
    """Return the name of the second role. None: it cannot be made, or `role` would inherit its rights."""
    name: str = connection.scalar(text(f"SELECT {ALL_TENANTS}"))
    policies = connection.scalar(text("SELECT count(*) FROM pg_policy WHERE polrelid = 'saga'::regclass"))
    exists = connection.scalar(text("SELECT true FROM pg_roles WHERE rolname = :name"), {"name": name})
    if not policies or not (exists or connection.scalar(_MAY_MAKE)):
        return None
    if not exists:
        connection.execute(text(f'CREATE ROLE "{name}" NOLOGIN'))
    if not connection.scalar(_IS, {"role": role, "name": name, "how": "MEMBER"}):
        if connection.scalar(text("SELECT current_setting('server_version_num')::int >= 160000")):
            connection.execute(text(f'GRANT "{name}" TO {role} WITH INHERIT FALSE'))
        else:
            connection.execute(text(f"ALTER ROLE {role} NOINHERIT"))
            connection.execute(text(f'GRANT "{name}" TO {role}'))
    inherits = connection.scalar(_IS, {"role": role, "name": name, "how": "USAGE"})
    return None if inherits else name


def _missing_policies(database: Database, role: str) -> list[str]:
    """Return the statements that admit the role to every row of the tables with policies."""
    with database.connect() as connection:
        return list(connection.scalars(_MISSING, {"role": role}))


def _run(connection: Connection, statement: str) -> None:
    connection.execute(text(statement))


def _grant(connection: Connection, schema: str, name: str, role: str) -> None:
    def run(statement: str) -> None:
        connection.execute(text(statement))

    quoted_schema, quoted_name = (each.replace('"', '""') for each in (schema, name))
    run(f'GRANT CONNECT ON DATABASE "{quoted_name}" TO {role}')
    run(f'GRANT USAGE ON SCHEMA "{quoted_schema}" TO {role}')
    run(f'REVOKE ALL ON ALL TABLES IN SCHEMA "{quoted_schema}" FROM {role}')
    for table, rights in RIGHTS.items():
        run(f'GRANT {", ".join(rights)} ON "{quoted_schema}".{table} TO {role}')
    run(f'GRANT USAGE ON ALL SEQUENCES IN SCHEMA "{quoted_schema}" TO {role}')
