"""Who has the page of a saga open: one row for each saga and person, as long as the page says so.

The rows are in the database, because another process may answer a colleague, and Redis is not always there. Each write
deletes the rows of pages that are gone, so while nobody looks, nothing is written and a handful of old rows is left.
"""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Engine as Database
from sqlalchemy import delete, select
from sqlalchemy.dialects import postgresql, sqlite

from app.store.console_models import PresenceRow
from app.store.database import db, db_now, in_seconds

_PRESENCE = PresenceRow.__table__
#: Seconds without a word from a page after which it counts as closed. An open page says every 10 s that it is there.
GONE_AFTER_S = 30.0
_GONE = _PRESENCE.c.seen_at < in_seconds(-GONE_AFTER_S)


def say(database: Database, saga_id: UUID, actor: str) -> None:
    """Write down that a person has the page of a saga open."""
    insert = sqlite.insert if database.dialect.name == "sqlite" else postgresql.insert
    new = insert(_PRESENCE).values(saga_id=saga_id, actor=actor, seen_at=db_now())
    keys = [_PRESENCE.c.saga_id, _PRESENCE.c.actor]
    with database.connect() as connection:
        connection.execute(new.on_conflict_do_update(index_elements=keys, set_={"seen_at": db_now()}))
        connection.execute(delete(_PRESENCE).where(_GONE))


def others(saga_id: UUID, actor: str) -> Sequence[str]:
    """Return the other persons who have the page of a saga open."""
    there = select(_PRESENCE.c.actor).where(_PRESENCE.c.saga_id == saga_id, _PRESENCE.c.actor != actor, ~_GONE)
    return db.session.scalars(there.order_by(_PRESENCE.c.actor)).all()
