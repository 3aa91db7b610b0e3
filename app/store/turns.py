"""Turns: which process does a piece of work now, of which one process at a time is enough."""

from sqlalchemy import Engine as Database
from sqlalchemy import and_, update
from sqlalchemy.dialects import postgresql, sqlite

from app.store.console_models import NoticeRow
from app.store.database import db_now, in_seconds

_TURN = NoticeRow.__table__
#: The work of turns, by the names of their rows.
NOTICES, RETENTION = "turn", "retention"


class Turns:
    """The rows of the table `notice` without a channel. A turn ends by itself, so a process that dies holds none."""

    def __init__(self, database: Database) -> None:
        self._database = database
        new = postgresql.insert(_TURN) if database.dialect.name == "postgresql" else sqlite.insert(_TURN)
        self._new = new.on_conflict_do_nothing()

    def claim(self, work: str, for_s: float) -> bool:
        """Return True when this process is to do the work now; no other process gets the turn for `for_s` seconds."""
        return self._take(work, for_s, _TURN.c.due_at <= db_now())

    def prolong(self, work: str, for_s: float) -> None:
        """Keep the turn that this process has for `for_s` seconds from now."""
        self._take(work, for_s)

    def _take(self, work: str, for_s: float, *conditions: object) -> bool:
        now, mine = db_now(), and_(_TURN.c.channel == "", _TURN.c.subject == work, *conditions)  # type: ignore[arg-type]
        with self._database.connect() as connection:
            connection.execute(
                self._new.values(channel="", subject=work, first_at=now, seen_at=now, due_at=now, attempts=0)
            )
            return connection.execute(update(_TURN).where(mine).values(due_at=in_seconds(for_s))).rowcount == 1
