"""Participants in the database: which are paused, what each process reports of them, and how many sagas wait."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import Engine as Database
from sqlalchemy import Row, and_, case, delete, func, insert, select, tuple_, update
from sqlalchemy.exc import IntegrityError

from app.errors import ConflictError
from app.store.audit import Entry, append
from app.store.database import db_now, in_seconds, seconds_until
from app.store.lists import StateKey
from app.store.models import SagaRow
from app.store.process_models import ParticipantPauseRow, ReplicaRow
from app.store.processes import SILENT_S
from app.store.queries import backs_off
from app.store.transactions import atomic

_PAUSE, _REPLICA, _SAGA = ParticipantPauseRow.__table__, ReplicaRow.__table__, SagaRow.__table__


class ParticipantStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    def paused(self) -> Mapping[str, Row[Any]]:
        """Return the paused participants by name, with the seconds since the pause as `paused_s`."""
        paused_s = (-seconds_until(_PAUSE.c.paused_at)).label("paused_s")
        with self._database.connect() as connection:
            return {row.name: row for row in connection.execute(select(_PAUSE, paused_s).order_by(_PAUSE.c.name))}

    def pause(self, name: str, entry: Entry) -> None:
        """Pause a participant. Raise ConflictError when it is paused already."""
        new = insert(_PAUSE).values(name=name, paused_at=db_now(), paused_by=entry.actor, reason=entry.reason)
        try:
            with atomic(self._database) as connection:
                connection.execute(new)
                append(connection, entry)
        except IntegrityError:
            raise ConflictError(f"{name} is paused already") from None

    def resume(
        self, name: str, entry: Entry, waiting_in: Sequence[StateKey], spread_s: Callable[[int], float]
    ) -> tuple[int, float]:
        """End the pause of a participant, and make the sagas due that wait in these states, one after another.

        Return their number, and the seconds until the last one is due. The saga whose deadline comes first is due
        first; one whose deadline comes before its turn is due now. spread_s: number of sagas → these seconds. Raise
        ConflictError when the participant is not paused.
        """
        here = tuple_(_SAGA.c.definition, _SAGA.c.definition_version, _SAGA.c.state).in_(list(waiting_in))
        with atomic(self._database) as connection:
            if connection.execute(delete(_PAUSE).where(_PAUSE.c.name == name)).rowcount != 1:
                raise ConflictError(f"{name} is not paused")
            append(connection, entry)
            count = select(func.count()).select_from(_SAGA).where(backs_off(), here)
            sagas = connection.execute(count).scalar_one()
            within_s = spread_s(sagas)
            order = func.row_number().over(
                order_by=(_SAGA.c.deadline_at.is_(None), _SAGA.c.deadline_at, _SAGA.c.due_at)
            )
            turns = select(_SAGA.c.id, (order - 1).label("turn")).where(backs_off(), here).subquery()
            due_at = in_seconds(turns.c.turn * (within_s / max(sagas, 1)))
            in_vain = and_(_SAGA.c.deadline_at > db_now(), _SAGA.c.deadline_at <= due_at)
            spread = update(_SAGA).where(_SAGA.c.id == turns.c.id, backs_off())
            return connection.execute(spread.values(due_at=case((in_vain, db_now()), else_=due_at))).rowcount, within_s

    def reports(self) -> Sequence[Row[Any]]:
        """Return the report of each process that runs, with its age in seconds as `age_s`."""
        age_s = (-seconds_until(_REPLICA.c.beat_at)).label("age_s")
        query = select(_REPLICA.c.owner, _REPLICA.c.participants, age_s)
        alive = query.where(_REPLICA.c.beat_at > in_seconds(-SILENT_S)).order_by(_REPLICA.c.owner)
        with self._database.connect() as connection:
            return connection.execute(alive).all()

    def waiting(self) -> Sequence[Row[Any]]:
        """Return the number of sagas that wait before their next attempt, by table and state.

        next_s: seconds until the next attempt. longest_s: seconds since the first of them came to this state.
        """
        same = (_SAGA.c.definition, _SAGA.c.definition_version, _SAGA.c.state)
        next_s = seconds_until(func.min(_SAGA.c.due_at)).label("next_s")
        longest_s = (-seconds_until(func.min(_SAGA.c.entered_at))).label("longest_s")
        query = select(*same, func.count().label("sagas"), next_s, longest_s).where(backs_off()).group_by(*same)
        with self._database.connect() as connection:
            return connection.execute(query).all()
