"""Which release each process ran, so that a move in the journal leads to the release that made it.

A move names its process already, so the journal needs no further column: a process writes one row when it starts.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, func, select
from sqlalchemy import Engine as Database
from sqlalchemy.dialects import postgresql, sqlite

from app.store.database import DAY_S, db, db_now, in_seconds
from app.store.process_models import ProcessReleaseRow

_PROCESS = ProcessReleaseRow.__table__
#: Days for which a process is remembered.
KEPT_DAYS = 400
#: Begin of the actor of a move that the engine made; the name of the process follows.
ENGINE = "engine@"


@dataclass(frozen=True, kw_only=True)
class Deploy:
    """A release, and when its first process started."""

    release: str
    at: datetime


def begin(database: Database, owner: str, release: str) -> None:
    """Write down the release of this process, and forget processes that started long ago."""
    insert = sqlite.insert if database.dialect.name == "sqlite" else postgresql.insert
    new = insert(_PROCESS).values(owner=owner, release=release, started_at=db_now())
    with database.connect() as connection:
        connection.execute(new.on_conflict_do_nothing())
        connection.execute(delete(_PROCESS).where(_PROCESS.c.started_at < in_seconds(-KEPT_DAYS * DAY_S)))


def releases_of(actors: Collection[str]) -> Mapping[str, str]:
    """Return the releases of the processes among the actors of moves, by actor. Persons and programs have none."""
    owners = {actor.removeprefix(ENGINE) for actor in actors if actor.startswith(ENGINE)}
    if not owners:
        return {}
    rows = db.session.execute(select(_PROCESS.c.owner, _PROCESS.c.release).where(_PROCESS.c.owner.in_(owners)))
    return {f"{ENGINE}{row.owner}": row.release for row in rows}


def deploys(connection: Connection, since: datetime) -> Sequence[Deploy]:
    """Return the releases that appeared since a time, the oldest first."""
    first = func.min(_PROCESS.c.started_at)
    rows = select(_PROCESS.c.release, first.label("at")).group_by(_PROCESS.c.release).having(first >= since)
    return [Deploy(release=row.release, at=row.at) for row in connection.execute(rows.order_by(first))]
