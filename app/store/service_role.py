"""The rights of the database role with which the service runs, where another role owns the tables.

The owner migrates. The service's role can add rows to the journal and the audit trail, and can neither change nor
delete them. It cannot drop a trigger or a policy either, so row level security holds for all that it does.
"""

from sqlalchemy import Connection, text
from sqlalchemy import Engine as Database

from app.errors import ConflictError
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
