"""The attempts to sign in: those of the last minute bound how often a password is guessed, and failures are counted."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Engine as Database
from sqlalchemy import Row, and_, case, delete, func, insert, select
from sqlalchemy.dialects import postgresql, sqlite

from app.store.access_models import FailedSignInRow, LoginAttemptRow
from app.store.database import DAY_S, db_now, hour_of, in_seconds

_ATTEMPT, _FAILED = LoginAttemptRow.__table__, FailedSignInRow.__table__
#: Days for which failed sign-ins are kept.
KEPT_DAYS = 30
#: Within ATTEMPT_WINDOW_S seconds one address can fail OF_ONE_NAME times for one name, and OF_ALL_NAMES times for all
#: names. Other addresses can still sign in with the name; otherwise anyone who knows it could lock the operator out.
ATTEMPT_WINDOW_S, OF_ONE_NAME, OF_ALL_NAMES = 60.0, 5, 20


class LoginAttempts:
    def __init__(self, database: Database) -> None:
        self._database = database

    def register(self, name: str, address: str) -> bool:
        """Record an attempt before its password is checked. Return False, without a record, after too many attempts.

        The caller must then refuse the attempt without a check of its password.
        """
        attempt_id = uuid4()
        with self._database.connect() as connection:
            connection.execute(delete(_ATTEMPT).where(_ATTEMPT.c.at < in_seconds(-ATTEMPT_WINDOW_S)))
            connection.execute(insert(_ATTEMPT).values(id=attempt_id, name=name, address=address, at=db_now()))
            # The count comes after the insert, so that each of several simultaneous attempts counts the others.
            of_name = func.sum(case((_ATTEMPT.c.name == name, 1), else_=0))
            counted = select(of_name, func.count()).where(_ATTEMPT.c.address == address)
            names, all_names = connection.execute(counted).one()
        allowed = names <= OF_ONE_NAME and all_names <= OF_ALL_NAMES
        if not allowed:  # an attempt whose password is not checked must not extend the time until the next one
            self._forget(attempt_id)
        return bool(allowed)

    def forgive(self, name: str, address: str) -> None:
        """Delete the attempts for this name from this address, because a correct password followed."""
        mine = and_(_ATTEMPT.c.name == name, _ATTEMPT.c.address == address)
        with self._database.connect() as connection:
            connection.execute(delete(_ATTEMPT).where(mine))

    def failed(self, user: str | None, address: str) -> None:
        """Count a failed sign-in of a user; None: no user has the typed name. Delete the counts of old failures.

        A user has one row an hour, so however many passwords somebody tries, few rows are written.
        """
        with self._database.connect() as connection:
            insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
            last = {"last_at": db_now(), "last_address": address}
            new = insert(_FAILED).values(hour=hour_of(db_now()), name=user or "", times=1, **last)
            again = {"times": _FAILED.c.times + 1, **last}
            connection.execute(new.on_conflict_do_update(index_elements=[_FAILED.c.hour, _FAILED.c.name], set_=again))
            connection.execute(delete(_FAILED).where(_FAILED.c.hour < in_seconds(-KEPT_DAYS * DAY_S)))

    def failures(self, limit: int) -> Sequence[Row[Any]]:
        """Return the counts of failed sign-ins, the newest first."""
        query = select(_FAILED).order_by(_FAILED.c.last_at.desc(), _FAILED.c.name).limit(limit)
        with self._database.connect() as connection:
            return connection.execute(query).all()

    def _forget(self, attempt_id: UUID) -> None:
        with self._database.connect() as connection:
            connection.execute(delete(_ATTEMPT).where(_ATTEMPT.c.id == attempt_id))
