"""A saga as it comes back from the database: its row, and from its journal what it has learnt."""

from collections.abc import Iterable, Mapping, Sequence
from math import inf
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, bindparam, select

from app.store.database import seconds_until
from app.store.instance import Instance, Standing
from app.store.models import JournalRow, SagaRow
from machines.registry import Registry, UnknownSagaError
from machines.rows import Trigger
from machines.saga import Saga

_SAGA, _JOURNAL = SagaRow.__table__, JournalRow.__table__
#: What `instance` needs to know of a saga's row.
STANDS = (*_SAGA.c, seconds_until(_SAGA.c.deadline_at).label("deadline_left_s"))
_JOURNALS = (
    select(_JOURNAL)
    .where(_JOURNAL.c.saga_id.in_(bindparam("saga_ids", expanding=True)))
    .order_by(_JOURNAL.c.saga_id, _JOURNAL.c.seq)
)


def journals(connection: Connection, saga_ids: Iterable[UUID]) -> Mapping[UUID, list[Row[Any]]]:
    entries: dict[UUID, list[Row[Any]]] = {saga_id: [] for saga_id in saga_ids}
    for entry in connection.execute(_JOURNALS, {"saga_ids": list(entries)}):
        entries[entry.saga_id].append(entry)
    return entries


def may_be_sent(row: SagaRow | Row[Any], own_claims: int = 0) -> bool:
    """Tell whether the call of its state may have been sent: by who committed that, or by one of those who claimed it
    since. A claim is the intent of that call, which so needs no commit of its own. own_claims: those of who asks.
    """
    return bool(row.unsure or row.claims > own_claims)


def instance(
    registry: Registry, row: Row[Any], journal: Sequence[Row[Any]], now: float, own_claims: int = 0
) -> Instance:
    """Bring a saga back. now: on the clock that its deadline is to be held on. own_claims: as for `may_be_sent`.

    Raises UnknownSagaError for a table that is not at hand, ValueError for a state that its table has not.
    """
    saga = Instance(registry.of(row), row.id, row.data, row.state)
    saga.epoch, saga.version, saga.claims = row.epoch, row.version, row.claims
    saga.attempt, saga.deferrals, saga.error = row.attempt, row.deferrals, row.error
    saga.unsure = may_be_sent(row, own_claims)
    saga.deadline = inf if row.deadline_left_s is None else now + row.deadline_left_s
    saga.standing = standing(row)
    saga.pending = row.status == "pending"
    last = journal[-1]
    saga.next_seq = last.seq + 1
    saga.waits_for = last.reason if last.source == last.dest else None
    answered = (Trigger.SUCCEEDED, Trigger.RESOLVE)
    done = [entry for entry in journal if entry.trigger in answered and entry.direction == "do"]
    saga.results = {entry.step: entry.reply for entry in done}
    return saga


def standing(row: Row[Any], *, replayed: bool = False) -> Standing:
    return Standing(id=row.id, state=row.state, status=row.status, error=row.error, replayed=replayed)


def table_of(registry: Registry, saga: SagaRow | Row[Any], journal: Sequence[JournalRow] = ()) -> Saga | None:
    """Return the table by which a saga can be told to people; None where none at hand fits it.

    It may have been begun by a release that knew more, or its table may have been changed under it: the saga's own row
    and its journal can be read all the same. Every list, page, picture and command asks here.
    """
    try:
        table = registry.of(saga)
    except UnknownSagaError:
        return None
    states = {saga.state, *(row.dest for row in journal), *(row.source for row in journal if row.source is not None)}
    steps = {row.step for row in journal if row.step is not None}
    known = states <= table.rows.states.keys() and steps <= {step.name for step in table.steps}
    return table if known else None
