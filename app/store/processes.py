"""The processes that run now, by role, and whether the database server accepts the connections of all of them."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, func, select, text

from app.store.database import in_seconds
from app.store.process_models import ReplicaRow

_REPLICA = ReplicaRow.__table__
#: Seconds without a heartbeat after which a replica counts as gone.
SILENT_S = 10.0
WEB, WORKER = "web", "worker"
#: The role of a process of an earlier release, which does not say it.
UNKNOWN = "unknown"
#: The connections that the server accepts from this role to this database. Unset limits are -1. An engine that only
#: speaks PostgreSQL's protocol may lack a setting; it then has no known limit.
_ALLOWED = text("""
    SELECT least(current_setting('max_connections', true)::int
                 - coalesce(current_setting('superuser_reserved_connections', true), '0')::int
                 - coalesce(current_setting('reserved_connections', true), '0')::int,
                 nullif(datconnlimit, -1), nullif(rolconnlimit, -1))
    FROM pg_database, pg_roles WHERE datname = current_database() AND rolname = session_user
""")


@dataclass(frozen=True, kw_only=True)
class Processes:
    """The processes with a recent heartbeat."""

    #: Role → number of processes. The roles WEB and WORKER are always there.
    by_role: Mapping[str, int]
    #: The most connections that all of them open together: the sum of their DATABASE_CONNECTIONS.
    connections: int
    #: The connections that the database server accepts. None: SQLite, or a pooler shares the connections.
    allowed: int | None

    @property
    def count(self) -> int:
        return sum(self.by_role.values())

    @property
    def too_many(self) -> bool:
        """Return True when the processes may open more connections than the server accepts."""
        return self.allowed is not None and self.connections > self.allowed


def running_processes(connection: Connection) -> Processes:
    role = func.coalesce(_REPLICA.c.role, UNKNOWN).label("role")
    counted = select(role, func.count().label("number"), func.sum(_REPLICA.c.connections).label("connections"))
    rows = connection.execute(counted.where(_REPLICA.c.beat_at > in_seconds(-SILENT_S)).group_by(role)).all()
    return Processes(
        by_role={WEB: 0, WORKER: 0} | {row.role: row.number for row in rows},
        connections=sum(row.connections or 0 for row in rows),
        allowed=_allowed(connection),
    )


def _allowed(connection: Connection) -> int | None:
    if connection.dialect.name != "postgresql" or getattr(connection.engine.pool, "behind_pooler", False):
        return None
    allowed: int | None = connection.execute(_ALLOWED).scalar()
    return allowed
