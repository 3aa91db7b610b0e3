"""How often a password was offered lately, counted in the database, and so by all processes together."""

from uuid import UUID, uuid4

from sqlalchemy import Engine, and_, case, delete, func, insert, select

from app.store.access import LoginAttemptRow
from app.store.database import db_now, in_seconds

_ATTEMPT = LoginAttemptRow.__table__
#: In so many seconds one address may be wrong so often about one name, and about all names together. A name alone is
#: never closed: who knows an operator's name could keep the operator out. Nobody waits for longer than this.
WINDOW_S, OF_ONE_NAME, OF_ALL_NAMES = 60.0, 5, 20


class Attempts:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def begin(self, name: str, address: str) -> bool:
        """Take note of an attempt before its password is looked at; False: there were too many, look at none."""
        attempt = uuid4()
        with self._engine.connect() as connection:
            connection.execute(delete(_ATTEMPT).where(_ATTEMPT.c.at < in_seconds(-WINDOW_S)))
            connection.execute(insert(_ATTEMPT).values(id=attempt, name=name, address=address, at=db_now()))
            # Counted after it was added: of those that come at the same moment none counts too few.
            of_name = func.sum(case((_ATTEMPT.c.name == name, 1), else_=0))
            counted = select(of_name, func.count()).where(_ATTEMPT.c.address == address)
            names, all_names = connection.execute(counted).one()
        allowed = names <= OF_ONE_NAME and all_names <= OF_ALL_NAMES
        if not allowed:  # one that was not looked at makes nobody wait for longer
            self._forget(attempt)
        return bool(allowed)

    def forgive(self, name: str, address: str) -> None:
        """Forget what was wrong before a password was right."""
        mine = and_(_ATTEMPT.c.name == name, _ATTEMPT.c.address == address)
        with self._engine.connect() as connection:
            connection.execute(delete(_ATTEMPT).where(mine))

    def _forget(self, attempt: UUID) -> None:
        with self._engine.connect() as connection:
            connection.execute(delete(_ATTEMPT).where(_ATTEMPT.c.id == attempt))
