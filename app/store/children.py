"""Child sagas in the database. A transaction locks the row of the parent before the rows of its children, always."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import CTE, Connection, Row, and_, bindparam, case, func, or_, select, update
from sqlalchemy import Engine as Database

from app.store import trees
from app.store.citus import is_distributed, known, near
from app.store.data_keys import DataKeys
from app.store.database import db_now, in_seconds
from app.store.instance import Instance
from app.store.loading import journals
from app.store.models import SagaRow
from app.store.saga_ids import child_id
from machines.history import replies
from machines.statuses import FINISHED, Status

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
#: For a branch that is done. The parent's row is locked first; whether it is the last branch is decided afterwards.
_ARRIVE = update(_SAGA).where(_SAGA.c.id == bindparam("parent")).values(arrived=_SAGA.c.arrived + 1)
_SIBLING = _SAGA.alias("sibling")
_WAKE_AFTER_LAST = (
    update(_SAGA)
    .where(
        _SAGA.c.id == bindparam("parent"),
        _WAITS,
        ~select(_SIBLING.c.id)
        .where(
            _SIBLING.c.parent_id == bindparam("parent"),
            _SIBLING.c.parent_step == bindparam("of_step"),
            _SIBLING.c.status.not_in([status.value for status in FINISHED]),
        )
        .exists(),
    )
    .values(due_at=db_now())
)
#: Columns of a saga that say whether it moves by itself.
_MOVES = (_SAGA.c.id, _SAGA.c.status, _SAGA.c.owner, _SAGA.c.due_at)
#: The rule is `machines.groups.is_sent_back`. The new version fences the process that runs the child. The child's call
#: in flight stays in doubt, see app.store.loading.
_SEND_BACK = (
    update(_SAGA)
    .where(
        _SAGA.c.parent_id == bindparam("parent"),
        _SAGA.c.parent_step == bindparam("of_step"),
        or_(_SAGA.c.goes_back.is_(False), _SAGA.c.status == Status.COMPLETED.value),
        _SAGA.c.status != Status.COMPENSATED.value,
    )
    .values(goes_back=True, version=_SAGA.c.version + 1, owner=None, due_at=db_now())
)


class Children:
    """The children of all sagas."""

    def __init__(self, database: Database, keys: DataKeys | None = None) -> None:
        self._database, self._keys = database, keys or DataKeys(database)

    def of(self, parent: UUID, step: str) -> Sequence[Row[Any]]:
        """Return the children that a step of a saga has started, in the order of their starts."""
        with self._database.connect() as connection:
            return _children(connection, parent, step)

    def replies(self, children: Sequence[UUID]) -> dict[UUID, dict[str, Any]]:
        """Return for each child the reply of each of its steps that succeeded."""
        with self._database.connect() as connection:
            found = {child: replies(journal) for child, journal in journals(connection, children).items()}
        return {child: self._keys.opened(of, child) for child, of in found.items()} if self._keys.encrypts else found


def only_a_person_moves(database: Database, saga_id: UUID, within_s: float) -> bool:
    """Return True when a saga below this one is stuck, and no saga of the tree moves by itself within these seconds."""
    with database.connect() as connection:
        tree = _distributed_tree(connection, saga_id) if is_distributed(database) else _tree(saga_id)
    moves = or_(tree.c.owner.is_not(None), tree.c.due_at <= in_seconds(within_s))
    stuck = func.count(case((tree.c.status == Status.STUCK.value, 1)))
    with database.connect() as connection:
        found = connection.execute(select(stuck.label("stuck"), func.count(case((moves, 1))).label("moving"))).one()
    return bool(found.stuck and not found.moving)


def _tree(saga_id: UUID) -> CTE:
    """Return a saga and the sagas below it that have not ended."""
    tree = select(*_MOVES).where(_SAGA.c.id == saga_id).cte("tree", recursive=True)
    below = _SAGA.alias("below")
    unfinished = below.c.status.not_in([status.value for status in FINISHED])
    children = select(*(below.c[column.name] for column in _MOVES))
    return tree.union_all(children.where(below.c.parent_id == tree.c.id, unfinished))


def _distributed_tree(connection: Connection, saga_id: UUID) -> CTE:
    ids = trees.below(connection, [saga_id], SagaRow.status.not_in(FINISHED))
    return select(*_MOVES).where(_SAGA.c.id.in_([saga_id, *ids])).cte("tree")


def wake_parent(connection: Connection, child: Instance) -> None:
    """Make the parent of a child that ends in this transaction due. It is called before the child's own write.

    So the parent's row is locked before the row of its child. A quiet child only locks and counts; `wake_after_last`
    makes the parent due.
    """
    connection.execute(_ARRIVE if child.ends_quietly else _WAKE, {"parent": child.parent_id})


def wake_if_born_finished(connection: Connection, saga: Instance) -> None:
    """Make a saga due when this transaction has inserted a child of it that has ended: all its steps were skipped.

    No process runs such a child, so no later commit would wake its parent.
    """
    if any(child.status in FINISHED for child in saga.born):
        connection.execute(_WAKE, {"parent": saga.id})


def wake_after_last(connection: Connection, child: Instance) -> None:
    """Make the parent of a quiet child due, if all its branches have ended. It is called after the child's own write.

    The lock of the parent's row lets one branch end after the other, so the last one sees that it is the last.
    """
    connection.execute(_WAKE_AFTER_LAST, {"parent": child.parent_id, "of_step": child.parent_step})


def missing_children(connection: Connection, saga: Instance) -> Sequence[Instance]:
    """Return the children that the present step still has to start. The row of the saga is locked in this transaction.

    A child that was compensated is replaced only when a person retries the step.
    """
    step = saga.current.step
    if saga.missing_children is None or step is None:
        return ()
    new = saga.missing_children(_children(connection, saga.id, step.name), saga.retries_by_hand)
    ids = near(connection, saga.id, len(new)) if known(connection.dialect) else (child_id(saga.id) for _ in new)
    return [Instance.child(saga, *each) for each in zip(new, ids, strict=True)]


def send_back(connection: Connection, saga: Instance) -> None:
    """Ask the child of the saga's present step to compensate: it becomes due, and the process that claims it obeys."""
    step = saga.current.step
    assert step is not None
    connection.execute(_SEND_BACK, {"parent": saga.id, "of_step": step.name})


def _children(connection: Connection, parent: UUID, step: str) -> Sequence[Row[Any]]:
    return list(connection.execute(_CHILDREN, {"parent": parent, "of_step": step}))
