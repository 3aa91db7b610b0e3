"""The stored bulk jobs: one action on many sagas. The set of sagas is fixed when the job is started."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Connection, Row, Select, case, delete, func, insert, literal, or_, select, update
from sqlalchemy import Engine as Database

from app.errors import ConflictError, NotFoundError
from app.store.audit import Entry, append
from app.store.console_models import BulkItemRow, BulkJobRow
from app.store.database import DAY_S, db_now, in_seconds
from app.store.models import JournalRow, SagaRow
from app.store.saga_ids import id_conditions
from app.store.tenants import acting_tenant
from app.store.transactions import atomic
from machines.statuses import FINISHED, Status

_JOB, _ITEM = BulkJobRow.__table__, BulkItemRow.__table__
_SAGA, _JOURNAL = SagaRow.__table__, JournalRow.__table__
#: Largest number of sagas of one job, so that its page can count them at each refresh.
MOST_SAGAS = 20_000
#: Most jobs that are deleted in one transaction. A job has up to MOST_SAGAS rows.
MOST_REMOVED = 10
RUNNING, PAUSED, STOPPED, DONE = "running", "paused", "stopped", "done"
MOVED, REFUSED, GONE = "moved", "refused", "gone"
#: New status of a job → the statuses from which it can be set.
_FROM = {PAUSED: (RUNNING,), RUNNING: (PAUSED,), STOPPED: (RUNNING, PAUSED)}


class OvertakenError(Exception):
    """Another process works on the job now."""


class BulkStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, values: Mapping[str, Any], sagas: Select[Any], entry: Entry) -> UUID:
        """Store a job for the first MOST_SAGAS of the sagas, and its audit row. Return its id.

        sagas: selects entered_at, id and state. Raise ConflictError when it selects none.
        """
        job_id = uuid4()
        found = sagas.order_by(_SAGA.c.entered_at, _SAGA.c.id).limit(MOST_SAGAS).subquery()
        position = func.row_number().over(order_by=(found.c.entered_at, found.c.id))
        chosen = select(literal(job_id, _ITEM.c.job_id.type), position, found.c.id, found.c.state)
        with atomic(self._database) as connection:
            new = {"id": job_id, "status": RUNNING, "sagas": 0, "epoch": 0, "created_by": entry.actor}
            new |= {"tenant": acting_tenant(), "due_at": db_now(), "created_at": db_now()}
            connection.execute(insert(_JOB).values(**values, **new))
            items = insert(_ITEM).from_select(["job_id", "position", "saga_id", "seen"], chosen)
            number = connection.execute(items).rowcount
            if not number:
                raise ConflictError("no saga matches: all have moved, or are snoozed")
            connection.execute(update(_JOB).where(_JOB.c.id == job_id).values(sagas=number))
            after = {**(entry.after or {}), "sagas": number}
            append(connection, Entry(**{**vars(entry), "target": str(job_id), "after": after}))
        return job_id

    def find(self, job_id: UUID) -> Row[Any]:
        """Return a job. Raise NotFoundError."""
        with self._database.connect() as connection:
            return _found(connection, job_id)

    def with_digits(self, digits: str, limit: int) -> Sequence[UUID]:
        """Return the ids of jobs that begin or end with these digits."""
        with self._database.connect() as connection:
            query = select(_JOB.c.id).where(or_(*id_conditions(_JOB.c.id, digits))).limit(limit)
            return list(connection.execute(query).scalars())

    def newest(self, limit: int, *, unfinished: bool = False) -> Sequence[Row[Any]]:
        query = select(_JOB).order_by(_JOB.c.created_at.desc()).limit(limit)
        with self._database.connect() as connection:
            return connection.execute(query.where(_JOB.c.finished_at.is_(None)) if unfinished else query).all()

    def counts(self, job_id: UUID) -> dict[str, int]:
        """Return the number of sagas by result: open, refused, moving, completed, compensated, stuck and gone."""
        word = case(
            (_ITEM.c.result.is_(None), "open"),
            (_ITEM.c.result == REFUSED, REFUSED),
            (_ITEM.c.settled.is_(None), "moving"),
            else_=_ITEM.c.settled,
        )
        query = select(word.label("word"), func.count().label("sagas")).where(_ITEM.c.job_id == job_id).group_by("word")
        with self._database.connect() as connection:
            return {row.word: row.sagas for row in connection.execute(query)}

    def notable(self, job_id: UUID, limit: int) -> Sequence[Row[Any]]:
        """Return the sagas that were refused or are stuck again, in the order of the job."""
        columns: tuple[Any, ...] = (
            _ITEM.c.position,
            _ITEM.c.saga_id,
            _ITEM.c.result,
            _ITEM.c.detail,
            _ITEM.c.settled,
            _SAGA.c.error,
        )
        query = select(*columns).outerjoin(_SAGA, _SAGA.c.id == _ITEM.c.saga_id).where(_ITEM.c.job_id == job_id)
        either = (_ITEM.c.result == REFUSED) | (_ITEM.c.settled == Status.STUCK)
        with self._database.connect() as connection:
            return connection.execute(query.where(either).order_by(_ITEM.c.position).limit(limit)).all()

    def set_status(self, job_id: UUID, status: str, entry: Entry) -> None:
        """Pause, resume or stop a job. Raise NotFoundError, or ConflictError when its status does not allow it."""
        values = {
            "status": status,
            "due_at": db_now() if status == RUNNING else None,
            "finished_at": db_now() if status == STOPPED else None,
        }
        with atomic(self._database) as connection:
            before = _found(connection, job_id)
            same = _JOB.c.id == job_id, _JOB.c.status.in_(_FROM[status])
            if connection.execute(update(_JOB).where(*same).values(values)).rowcount != 1:
                raise ConflictError(f"the job is {before.status}")
            append(connection, entry)

    def remove_old(self, days: float) -> int:
        """Delete the jobs that ended at least `days` ago, and return their number. The audit trail keeps each start."""
        old = select(_JOB.c.id).where(_JOB.c.finished_at < in_seconds(-days * DAY_S))
        with atomic(self._database) as connection:
            ids = list(connection.execute(old.limit(MOST_REMOVED)).scalars())
            connection.execute(delete(_ITEM).where(_ITEM.c.job_id.in_(ids)))
            connection.execute(delete(_JOB).where(_JOB.c.id.in_(ids)))
        return len(ids)

    def claim(self, owner: str, lease_s: float) -> Row[Any] | None:
        """Take the job that has been due for longest, with a new epoch; None when no job is due."""
        due = select(_JOB.c.id).where(_JOB.c.status == RUNNING, _JOB.c.due_at <= db_now()).order_by(_JOB.c.due_at)
        # A CTE: PostgreSQL can run a plain subquery several times and would then lock more rows than the limit.
        first = due.limit(1).with_for_update(skip_locked=True).cte("due")
        taken = update(_JOB).where(_JOB.c.id.in_(select(first.c.id)), _JOB.c.status == RUNNING)
        values = {"owner": owner, "epoch": _JOB.c.epoch + 1, "due_at": in_seconds(lease_s)}
        with self._database.connect() as connection:
            return connection.execute(taken.values(values).returning(*_JOB.c)).one_or_none()

    def next_items(self, job_id: UUID, limit: int) -> Sequence[Row[Any]]:
        """Return the first sagas of a job whose turn has not come."""
        turn = select(_ITEM).where(_ITEM.c.job_id == job_id, _ITEM.c.settled.is_(None), _ITEM.c.result.is_(None))
        with self._database.connect() as connection:
            return connection.execute(turn.order_by(_ITEM.c.position).limit(limit)).all()

    def moved_before(self, saga_ids: Iterable[UUID], actor: str, reason: str) -> frozenset[UUID]:
        """Return the sagas whose journal has a move with this actor and reason.

        The process that made the move may have died before it could record the result.
        """
        same = (_JOURNAL.c.saga_id.in_(list(saga_ids)), _JOURNAL.c.actor == actor, _JOURNAL.c.reason == reason)
        with self._database.connect() as connection:
            return frozenset(connection.execute(select(_JOURNAL.c.saga_id).where(*same)).scalars())

    def record(self, job: Row[Any], results: Sequence[tuple[int, str, str | None]], wait_s: float) -> None:
        """Record the results of a part: position, result, detail. Find the sagas that have settled.

        The job is due again after `wait_s`. It is done when no saga is left. Raise OvertakenError, with nothing
        changed, when another process has claimed the job.
        """
        mine = _JOB.c.id == job.id, _JOB.c.epoch == job.epoch
        with atomic(self._database) as connection:
            due_at = case((_JOB.c.status == RUNNING, in_seconds(wait_s)), else_=_JOB.c.due_at)
            if connection.execute(update(_JOB).where(*mine).values(due_at=due_at)).rowcount != 1:
                raise OvertakenError(job.id)
            for position, result, detail in results:
                settled = REFUSED if result == REFUSED else None
                here = _ITEM.c.job_id == job.id, _ITEM.c.position == position
                connection.execute(update(_ITEM).where(*here).values(result=result, detail=detail, settled=settled))
            connection.execute(_settle(job.id))
            open_ones = select(_ITEM.c.position).where(_ITEM.c.job_id == job.id, _ITEM.c.settled.is_(None)).exists()
            done = {"status": DONE, "due_at": None, "finished_at": db_now()}
            connection.execute(update(_JOB).where(*mine, _JOB.c.status == RUNNING, ~open_ones).values(done))


def _settle(job_id: UUID) -> Any:
    """Return the statement that notes which moved sagas of a job have ended, or are stuck again."""
    status = select(_SAGA.c.status).where(_SAGA.c.id == _ITEM.c.saga_id).scalar_subquery()
    now = func.coalesce(status, GONE)
    moved = _ITEM.c.job_id == job_id, _ITEM.c.settled.is_(None), _ITEM.c.result == MOVED
    return update(_ITEM).where(*moved, now.in_((*FINISHED, Status.STUCK, GONE))).values(settled=now)


def stuck_again(job_id: UUID) -> Select[Any]:
    """Return the query for the ids of the sagas of a job that are stuck again."""
    return select(_ITEM.c.saga_id).where(_ITEM.c.job_id == job_id, _ITEM.c.settled == Status.STUCK)


def _found(connection: Connection, job_id: UUID) -> Row[Any]:
    row = connection.execute(select(_JOB).where(_JOB.c.id == job_id)).one_or_none()
    if row is None:
        raise NotFoundError(f"there is no bulk job {job_id}")
    return row
