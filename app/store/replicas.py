"""The processes that run sagas, as the database lists them."""

from sqlalchemy import Engine, Table, delete
from sqlalchemy.dialects import postgresql, sqlite

from app.store.database import db_now, in_seconds
from app.store.models import ReplicaRow

_REPLICA: Table = ReplicaRow.__table__
#: Seconds without a heartbeat after which a replica is deleted from the list.
FORGOTTEN_AFTER_S = 3600.0


class Replicas:
    """The heartbeat of this process among the replicas."""

    def __init__(self, engine: Engine, owner: str) -> None:
        self._engine = engine
        self._owner = owner
        insert = sqlite.insert if engine.dialect.name == "sqlite" else postgresql.insert
        new = insert(_REPLICA).values(owner=owner, started_at=db_now(), beat_at=db_now())
        self._beat = new.on_conflict_do_update(index_elements=["owner"], set_={"beat_at": db_now()})

    def beat(self) -> None:
        """Write a heartbeat, which also proves that the database accepts writes."""
        with self._engine.connect() as connection:
            connection.execute(self._beat)

    def forget_silent(self) -> None:
        with self._engine.connect() as connection:
            connection.execute(delete(_REPLICA).where(_REPLICA.c.beat_at < in_seconds(-FORGOTTEN_AFTER_S)))

    def leave(self) -> None:
        """Remove this process from the list."""
        with self._engine.connect() as connection:
            connection.execute(delete(_REPLICA).where(_REPLICA.c.owner == self._owner))
