"""Recent password attempts, counted in the database and so across all processes."""

from uuid import UUID, uuid4

from sqlalchemy import Engine, and_, case, delete, func, insert, select

from app.store.access import LoginAttemptRow
from app.store.database import db_now, in_seconds

_ATTEMPT = LoginAttemptRow.__table__
#: Within WINDOW_S seconds one address may fail OF_ONE_NAME times for one name, and OF_ALL_NAMES times for all names. A
#: name is never locked alone: anyone who knows an operator's name could lock the operator out. No wait is longer.
WINDOW_S, OF_ONE_NAME, OF_ALL_NAMES = 60.0, 5, 20


class Attempts:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def begin(self, name: str, address: str) -> bool:
        """Record an attempt before its password is checked. Return False when there were too many: do not check it."""
        attempt = uuid4()
        with self._engine.connect() as connection:
            connection.execute(delete(_ATTEMPT).where(_ATTEMPT.c.at < in_seconds(-WINDOW_S)))
            connection.execute(insert(_ATTEMPT).values(id=attempt, name=name, address=address, at=db_now()))
            # Counted after the insert, so that simultaneous attempts all count each other.
            of_name = func.sum(case((_ATTEMPT.c.name == name, 1), else_=0))
            counted = select(of_name, func.count()).where(_ATTEMPT.c.address == address)
            names, all_names = connection.execute(counted).one()
        allowed = names <= OF_ONE_NAME and all_names <= OF_ALL_NAMES
        if not allowed:  # an attempt that was not checked must not lengthen the wait
            self._forget(attempt)
        return bool(allowed)

    def forgive(self, name: str, address: str) -> None:
        """Delete the failed attempts before a correct password."""
        mine = and_(_ATTEMPT.c.name == name, _ATTEMPT.c.address == address)
        with self._engine.connect() as connection:
            connection.execute(delete(_ATTEMPT).where(mine))

    def _forget(self, attempt: UUID) -> None:
        with self._engine.connect() as connection:
            connection.execute(delete(_ATTEMPT).where(_ATTEMPT.c.id == attempt))
