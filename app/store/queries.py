"""Queries about sagas with known ids, for the API and the pages: their rows, their journals and their events."""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CTE, ColumnElement, Row, Select, and_, case, func, or_, select, true
from sqlalchemy.orm import aliased

from app.errors import NotFoundError
from app.store import trees
from app.store.citus import is_distributed
from app.store.database import db, db_now, seconds_until
from app.store.instance import search_text
from app.store.message_models import OutboxRow
from app.store.models import BRIEF_ERROR, LEAVES_UNKNOWN, UNFINISHED, JournalRow, SagaRow
from app.store.outbox import PUBLISHED
from machines.renaming import MIGRATE
from machines.statuses import FINISHED, Status
from machines.transitions import Trigger

#: The sagas that a sender may use: the type of the sagas (with its branches), and who has started them, in pairs; None
#: in a pair: any. None: all sagas.
Reach = tuple[tuple[str | None, str | None], ...] | None


def within(reach: Reach, saga: type[SagaRow] = SagaRow) -> ColumnElement[bool]:
    """Return the condition for the sagas that a sender may use. saga: the row, or an alias of it."""
    if reach is None:
        return true()
    return or_(*(_of(saga, *pair) for pair in reach))


def parent_within(reach: Reach) -> ColumnElement[bool]:
    """Return the condition for the children of the sagas that a sender may use."""
    if reach is None:
        return SagaRow.parent_id.is_not(None)
    parent = aliased(SagaRow)
    return select(parent.id).where(parent.id == SagaRow.parent_id, within(reach, parent)).exists()


def _of(saga: type[SagaRow], definition: str | None, started_by: str | None) -> ColumnElement[bool]:
    of_starter = saga.started_by == started_by if started_by is not None else true()
    if definition is None:
        return of_starter
    begins = f"{definition}."  # the name of a branch begins with the name of its table and a dot
    is_branch = func.substr(saga.definition, 1, len(begins)) == begins
    return and_(or_(saga.definition == definition, is_branch), of_starter)


def find(saga_id: UUID) -> SagaRow | None:
    return db.session.get(SagaRow, saga_id)


def get(saga_id: UUID) -> SagaRow:
    """Return the saga with this id. Raise NotFoundError when there is none."""
    saga = find(saga_id)
    if saga is None:
        raise NotFoundError(f"there is no saga {saga_id}")
    return saga


def parent_of(saga: SagaRow, reach: Reach = None) -> UUID | None:
    """Return the parent of a saga; None when it has none, or none within `reach`."""
    if saga.parent_id is None or reach is None:
        return saga.parent_id
    return db.session.scalar(select(SagaRow.id).where(SagaRow.id == saga.parent_id, within(reach)))


def readable(saga_ids: Collection[UUID], reach: Reach) -> Collection[UUID]:
    """Return those of the sagas that are within `reach`."""
    if reach is None or not saga_ids:
        return saga_ids
    return set(db.session.scalars(select(SagaRow.id).where(SagaRow.id.in_(set(saga_ids)), within(reach))))


def step_started() -> ColumnElement[Any]:
    """Return the time at which the step of a child has started its first child, to order children by it."""
    return func.min(SagaRow.created_at).over(partition_by=(SagaRow.parent_id, SagaRow.parent_step))


def children(saga_id: UUID, reach: Reach = None) -> Sequence[Row[Any]]:
    """Return the sagas within `reach` that the steps of a saga have started, in the order of their starts.

    Their data is not read.
    """
    columns = (
        SagaRow.id, SagaRow.definition, SagaRow.definition_version, SagaRow.parent_step, SagaRow.child_number,
        SagaRow.state, SagaRow.status, BRIEF_ERROR.label("error"), SagaRow.created_at, SagaRow.goes_back,
    )  # fmt: skip
    of_saga = select(*columns).where(SagaRow.parent_id == saga_id, within(reach))
    return db.session.execute(of_saga.order_by(step_started(), SagaRow.child_number)).all()


def stuck_below(saga_id: UUID, reach: Reach = None, limit: int = 10) -> Sequence[Row[Any]]:
    """Return the oldest stuck sagas among the children of a saga and those below them. `total`: the number of all.

    A saga that has ended has no stuck saga below it, so the search does not go below such a saga.
    """
    if is_distributed(db.engine):
        in_tree = SagaRow.id.in_(trees.below(db.session, [saga_id], UNFINISHED, within(reach)))
    else:
        in_tree = SagaRow.id.in_(_unfinished_below(saga_id, reach))
    columns = (
        SagaRow.id, SagaRow.definition, SagaRow.definition_version, SagaRow.state, SagaRow.status,
        BRIEF_ERROR.label("error"), func.count().over().label("total"),
    )  # fmt: skip
    stuck = select(*columns).where(in_tree, SagaRow.status == Status.STUCK)
    return db.session.execute(stuck.order_by(SagaRow.created_at, SagaRow.id).limit(limit)).all()


def _unfinished_below(saga_id: UUID, reach: Reach) -> Select[Any]:
    tree = select(SagaRow.id, SagaRow.status).where(SagaRow.parent_id == saga_id, UNFINISHED, within(reach))
    found = tree.cte("tree", recursive=True)
    below = aliased(SagaRow)
    unfinished = below.status.not_in(FINISHED)
    found = found.union_all(
        select(below.id, below.status).where(below.parent_id == found.c.id, unfinished, within(reach, below))
    )
    return select(found.c.id).where(found.c.status == Status.STUCK)


#: Columns with which the effects of a child are read. Whole rows of many children would take several times as long.
_OF_CHILD = (
    SagaRow.id, SagaRow.definition, SagaRow.definition_version, SagaRow.table_digest, SagaRow.state, SagaRow.status,
    SagaRow.data, SagaRow.client, SagaRow.error, SagaRow.unsure, SagaRow.claims, SagaRow.parent_id, SagaRow.parent_step,
    SagaRow.child_number,
)  # fmt: skip


def first_started(parents: Collection[UUID], definitions: Collection[str], most: int) -> Sequence[Any]:
    """Return the first `most` sagas that each step of these parents has started, of these definitions, in one query."""
    started = SagaRow.parent_id.in_(parents), SagaRow.child_number <= most, SagaRow.definition.in_(definitions)
    order = SagaRow.parent_id, SagaRow.parent_step, SagaRow.child_number
    return db.session.execute(select(*_OF_CHILD).where(*started).order_by(*order)).all()


def number_started(
    parents: Collection[UUID], definitions: Collection[str]
) -> dict[tuple[UUID | None, str | None], int]:
    """Return how many sagas of these definitions each step of these parents has started, by parent and step."""
    started = SagaRow.parent_id.in_(parents), SagaRow.definition.in_(definitions)
    counted = select(SagaRow.parent_id, SagaRow.parent_step, func.count()).where(*started)
    rows = db.session.execute(counted.group_by(SagaRow.parent_id, SagaRow.parent_step))
    return {(parent, step): number for parent, step, number in rows}


#: The statuses whose numbers the page of a parent shows of its children.
CHILD_COUNTS = (Status.COMPLETED, Status.COMPENSATING, Status.COMPENSATED, Status.STUCK)


def first_children(saga_id: UUID, limit: int) -> Sequence[Row[Any]]:
    """Return the first children of a saga, those that are stuck before the others.

    Each row also has the numbers of all children of the saga: `total`, and one for each status of `CHILD_COUNTS`.
    """

    def counted(status: Status) -> ColumnElement[Any]:
        return func.sum(case((SagaRow.status == status, 1), else_=0)).over().label(status.value)

    counts = func.count().over().label("total"), *map(counted, CHILD_COUNTS)
    of_saga = select(SagaRow, *counts).where(SagaRow.parent_id == saga_id)
    order = case((SagaRow.status == Status.STUCK, 0), else_=1), step_started(), SagaRow.child_number
    return db.session.execute(of_saga.order_by(*order).limit(limit)).all()


def descendant_counts(saga_id: UUID, reach: Reach = None) -> Sequence[Row[Any]]:
    """Return the number of children of a saga, and of those below them, by table, step and state of each.

    A compensated child that a retry has replaced is not counted: the retry has started another child later. `moves`
    grows with each move of one of these children.
    """
    tree, here = _tree(saga_id, reach)
    later = aliased(SagaRow)
    replaced = and_(
        SagaRow.status == Status.COMPENSATED,
        select(later.id)
        .where(
            here(later),
            later.parent_id == SagaRow.parent_id,
            later.parent_step == SagaRow.parent_step,
            later.definition == SagaRow.definition,
            later.child_number > SagaRow.child_number,
            later.created_at >= SagaRow.updated_at,
        )
        .exists(),
    )
    columns = (
        tree.c.definition.label("parent"),
        SagaRow.parent_step.label("step"),
        SagaRow.definition,
        SagaRow.state,
        SagaRow.status,
    )
    counted = select(*columns, func.count().label("number"), func.sum(SagaRow.version).label("moves"))
    of_tree = counted.join(tree, SagaRow.parent_id == tree.c.id).where(here(SagaRow), within(reach), ~replaced)
    return db.session.execute(of_tree.group_by(*columns).order_by(*columns)).all()


def touched_below(saga_id: UUID, limit: int) -> Sequence[UUID]:
    """Return the oldest sagas below a saga of which a person has resolved a call, or given up one without an answer.

    Also those whose probe found nothing to undo.
    """
    tree, here = _tree(saga_id, None)
    touched = select(JournalRow.saga_id).where(
        JournalRow.saga_id == SagaRow.id, or_(JournalRow.trigger == Trigger.RESOLVE, LEAVES_UNKNOWN)
    )
    found = select(SagaRow.id).join(tree, SagaRow.parent_id == tree.c.id).where(here(SagaRow), touched.exists())
    return db.session.scalars(found.order_by(SagaRow.created_at, SagaRow.id).limit(limit)).all()


def _tree(saga_id: UUID, reach: Reach) -> tuple[CTE, Callable[[type[SagaRow]], ColumnElement[bool]]]:
    """Return a saga and the sagas below it, and a function that returns the condition for a row to be one of them.

    Only a distributed database needs the condition: it shows that one shard has all rows.
    """
    row = select(SagaRow.id, SagaRow.definition)
    if is_distributed(db.engine):
        ids = [saga_id, *trees.below(db.session, [saga_id], within(reach))]
        return row.where(SagaRow.id.in_(ids)).cte("tree"), lambda saga: saga.id.in_(ids)
    tree = row.where(SagaRow.id == saga_id).cte("tree", recursive=True)
    return tree.union_all(row.where(SagaRow.parent_id == tree.c.id, within(reach))), lambda _saga: true()


def unfinished_of(definition: str, reference: str, reach: Reach) -> Sequence[SagaRow]:
    """Return the unfinished sagas of a definition with this business reference within `reach`, at most two."""
    known = SagaRow.definition == definition, SagaRow.order_ref == search_text(reference), UNFINISHED
    return db.session.scalars(select(SagaRow).where(*known, within(reach)).limit(2)).all()


def journal(saga_id: UUID) -> Sequence[JournalRow]:
    return db.session.scalars(select(JournalRow).where(JournalRow.saga_id == saga_id).order_by(JournalRow.seq)).all()


def journals(
    saga_ids: Sequence[UUID], replies_of: Collection[str] | None = None, moves_of: Collection[str] | None = None
) -> dict[UUID, list[Any]]:
    """Return the journals of a page of sagas in one query.

    replies_of: the steps whose successful replies are read, because replies may be long; None: all replies are read.
    moves_of: the steps whose moves are read; None: all moves. The renames of a migration are always read.
    """
    found: dict[UUID, list[Any]] = {saga_id: [] for saga_id in saga_ids}
    reply: ColumnElement[Any] = JournalRow.__table__.c.reply
    if replies_of is not None:
        wanted = and_(JournalRow.step.in_(replies_of), JournalRow.trigger == Trigger.SUCCEEDED)
        reply = case((or_(wanted, JournalRow.trigger == MIGRATE), reply)).label("reply")
    columns = [column for column in JournalRow.__table__.c if column.name != "reply"]
    rows = select(*columns, reply).where(JournalRow.saga_id.in_(saga_ids))
    if moves_of is not None:
        rows = rows.where(or_(JournalRow.step.in_(moves_of), JournalRow.trigger == MIGRATE))
    for row in db.session.execute(rows.order_by(JournalRow.saga_id, JournalRow.seq)):
        found[row.saga_id].append(row)
    return found


def moments(saga_id: UUID) -> Row[Any]:
    """Return two times in seconds: age_s, since the saga entered its state, and next_s, until its next attempt.

    next_s is below 0 when the saga is due, and None while a process holds the saga or when no attempt is planned.
    """
    next_s = case((SagaRow.owner.is_(None), seconds_until(SagaRow.due_at))).label("next_s")
    age_s = (-seconds_until(SagaRow.entered_at)).label("age_s")
    return db.session.execute(select(age_s, next_s).where(SagaRow.id == saga_id)).one()


def now() -> datetime:
    """Return the database's time, which the times of sagas are compared with."""
    moment: datetime = db.session.scalars(select(db_now())).one()
    return moment


def published_moves(saga_id: UUID) -> Sequence[Row[Any]]:
    """Return the moves of a saga that publish an event."""
    moves = PUBLISHED.where(JournalRow.saga_id == saga_id, JournalRow.event.is_not(None)).order_by(JournalRow.seq)
    return db.session.execute(moves).all()


def unpublished(saga_id: UUID) -> frozenset[int]:
    """Return the seq of each move of the saga whose event no broker has confirmed."""
    return frozenset(db.session.scalars(select(OutboxRow.seq).where(OutboxRow.saga_id == saga_id)))


def sagas(saga_ids: Sequence[UUID]) -> dict[UUID, SagaRow]:
    """Return the sagas with these ids, by id. An id without a saga is left out."""
    return {saga.id: saga for saga in db.session.scalars(select(SagaRow).where(SagaRow.id.in_(saga_ids)))}


def backs_off() -> ColumnElement[bool]:
    """Return the condition for the sagas of `machines.send_now.backs_off`."""
    return and_(
        UNFINISHED,
        SagaRow.owner.is_(None),
        SagaRow.due_at.is_not(None),
        or_(SagaRow.attempt > 0, SagaRow.deferrals > 0),
        SagaRow.status.in_((Status.RUNNING, Status.COMPENSATING, Status.WAITING)),
    )
