"""The attempts to sign in whose password was wrong or is being checked: they bound how often a password is guessed."""

from uuid import UUID, uuid4

from sqlalchemy import Engine as Database
from sqlalchemy import and_, case, delete, func, insert, select

from app.store.database import db_now, in_seconds
from app.store.models import LoginAttemptRow

_ATTEMPT = LoginAttemptRow.__table__
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

    def _forget(self, attempt_id: UUID) -> None:
        with self._database.connect() as connection:
            connection.execute(delete(_ATTEMPT).where(_ATTEMPT.c.id == attempt_id))
