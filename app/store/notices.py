"""Which message has gone to which channel: one row a channel and subject, so that it is sent once by all processes."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import Engine as Database
from sqlalchemy import Row, and_, delete, not_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from app.store.console_models import NoticeRow
from app.store.database import db_now, in_seconds
from app.store.turns import NOTICES, Turns

_NOTICE = NoticeRow.__table__


class Notices:
    def __init__(self, database: Database) -> None:
        self._database, self._turns = database, Turns(database)
        new = postgresql.insert(_NOTICE) if database.dialect.name == "postgresql" else sqlite.insert(_NOTICE)
        self._new = new.on_conflict_do_nothing()

    def claim_turn(self, every_s: float) -> bool:
        """Return True when this process is to look now; no other process looks for the next `every_s` seconds."""
        return self._turns.claim(NOTICES, every_s)

    def note(self, channel: str, subjects: Collection[str], forget_after_s: float) -> None:
        """Note the subjects that stand now. Forget those that have not stood for some time: they may come again."""
        for subject in subjects:
            self._add(channel, subject)
        mine = _NOTICE.c.channel == channel
        with self._database.connect() as connection:
            if subjects:
                here = mine & _NOTICE.c.subject.in_(list(subjects))
                connection.execute(update(_NOTICE).where(here).values(seen_at=db_now()))
            connection.execute(delete(_NOTICE).where(mine, _NOTICE.c.seen_at < in_seconds(-forget_after_s)))

    def claim(self, channel: str, subject: str, lease_s: float) -> Row[Any] | None:
        """Claim a message that is to be sent now. Return its row; None: it was sent, or another process sends it."""
        due = and_(_is(channel, subject), _NOTICE.c.sent_at.is_(None), _NOTICE.c.due_at <= db_now())
        if not self._update(due, due_at=in_seconds(lease_s), attempts=_NOTICE.c.attempts + 1):
            return None
        with self._database.connect() as connection:
            return connection.execute(select(_NOTICE).where(_is(channel, subject))).one_or_none()

    def sent(self, channel: str, subject: str) -> None:
        self._update(_is(channel, subject), sent_at=db_now(), error=None)

    def failed(self, channel: str, subject: str, error: str, again_s: float) -> None:
        self._update(_is(channel, subject), due_at=in_seconds(again_s), error=error)

    def forget_others(self, channels: Collection[str]) -> None:
        """Delete the rows of channels that the settings do not have any more."""
        others = and_(_NOTICE.c.channel != "", not_(_NOTICE.c.channel.in_(list(channels))))
        with self._database.connect() as connection:
            connection.execute(delete(_NOTICE).where(others))

    def _add(self, channel: str, subject: str) -> None:
        now = db_now()
        with self._database.connect() as connection:
            connection.execute(
                self._new.values(channel=channel, subject=subject, first_at=now, seen_at=now, due_at=now, attempts=0)
            )

    def _update(self, where: Any, **values: Any) -> bool:
        with self._database.connect() as connection:
            return connection.execute(update(_NOTICE).where(where).values(**values)).rowcount == 1


def _is(channel: str, subject: str) -> Any:
    return and_(_NOTICE.c.channel == channel, _NOTICE.c.subject == subject)
