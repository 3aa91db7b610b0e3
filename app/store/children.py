"""Child sagas in the database. A transaction locks the row of the parent before the rows of its children, always."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, and_, bindparam, case, or_, select, update
from sqlalchemy import Engine as Database

from app.store.database import db_now
from app.store.instance import Instance
from app.store.loading import journals
from app.store.models import SagaRow
from machines.history import replies
from machines.statuses import Status
from machines.transitions import Trigger

_SAGA = SagaRow.__table__
_CHILDREN = (
    select(
        _SAGA.c.id, _SAGA.c.definition, _SAGA.c.definition_version, _SAGA.c.child_number, _SAGA.c.state, _SAGA.c.status,
        _SAGA.c.error,
    )
    .where(_SAGA.c.parent_id == bindparam("parent"), _SAGA.c.parent_step == bindparam("of_step"))
    .order_by(_SAGA.c.child_number)
)  # fmt: skip
#: True for a parent that no process holds: it waits for a child. A process that holds the parent reads `arrived` again
#: when it releases the parent (app.store.sagas), so it does not miss this end of a child.
_WAITS = and_(_SAGA.c.owner.is_(None), _SAGA.c.status.in_((Status.WAITING.value, Status.COMPENSATING.value)))
_WAKE = (
    update(_SAGA)
    .where(_SAGA.c.id == bindparam("parent"))
    .values(arrived=_SAGA.c.arrived + 1, due_at=case((_WAITS, db_now()), else_=_SAGA.c.due_at))
)
#: The new version fences the process that runs the child. Its call in flight stays in doubt, see app.store.loading.
_SEND_BACK = (
    update(_SAGA)
    .where(
        _SAGA.c.parent_id == bindparam("parent"),
        _SAGA.c.parent_step == bindparam("of_step"),
        # A process of a release without child sagas may have completed a child that was to go back.
        or_(_SAGA.c.goes_back.is_(False), _SAGA.c.status == Status.COMPLETED.value),
        _SAGA.c.status != Status.COMPENSATED.value,
    )
    .values(goes_back=True, version=_SAGA.c.version + 1, owner=None, due_at=db_now())
)


class Children:
    """The children of all sagas."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, parent: UUID, step: str) -> Sequence[Row[Any]]:
        """Return the children that a step of a saga has started, in the order of their starts."""
        with self._database.connect() as connection:
            return _children(connection, parent, step)

    def replies(self, child: UUID) -> dict[str, Any]:
        """Return the reply of each step of a child that succeeded."""
        with self._database.connect() as connection:
            return replies(journals(connection, [child])[child])


def wake_parent(connection: Connection, parent: UUID) -> None:
    """Make the parent of a child that ends in this transaction due. It is called before the child's own write."""
    connection.execute(_WAKE, {"parent": parent})


def needs_child(connection: Connection, saga: Instance) -> bool:
    """Return True when the present step of the saga has no child. The row of the saga is locked in this transaction.

    A child that was compensated is replaced only when a person retries the step.
    """
    step = saga.current.step
    assert step is not None
    known = _children(connection, saga.id, step.name)
    retried = any(move.trigger == Trigger.RETRY and move.source != move.dest for move in saga.unsaved)
    return not known or (retried and known[-1].status == Status.COMPENSATED)


def send_back(connection: Connection, saga: Instance) -> None:
    """Ask the child of the saga's present step to compensate: it becomes due, and the process that claims it obeys."""
    step = saga.current.step
    assert step is not None
    connection.execute(_SEND_BACK, {"parent": saga.id, "of_step": step.name})


def child_number(connection: Connection, saga: Instance) -> int:
    """Return the number of the next child of the saga's present step; the first one has the number 1."""
    step = saga.current.step
    assert step is not None
    return len(_children(connection, saga.id, step.name)) + 1


def _children(connection: Connection, parent: UUID, step: str) -> Sequence[Row[Any]]:
    return list(connection.execute(_CHILDREN, {"parent": parent, "of_step": step}))
