"""Loads a saga from the database: from its row, and from the replies in its journal."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from math import inf
from types import SimpleNamespace
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, bindparam, select

from app.store.data_keys import DataKeys, ErasedError, Sealer
from app.store.database import seconds_until
from app.store.instance import Instance, SagaSnapshot
from app.store.models import JournalRow, SagaRow
from machines.progress import may_have_been_sent
from machines.registry import Registry, UnknownSagaError
from machines.renaming import as_named_now
from machines.restoring import restore, restored_in_doubt
from machines.saga import Saga
from machines.statuses import Status

_SAGA, _JOURNAL = SagaRow.__table__, JournalRow.__table__
#: Columns of a saga's row that `instance` needs.
SAGA_COLUMNS = (
    *_SAGA.c,
    seconds_until(_SAGA.c.deadline_at).label("deadline_left_s"),
    seconds_until(_SAGA.c.entered_at).label("entered_in_s"),
)
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


def is_in_doubt(row: SagaRow | Row[Any], own_claims: int = 0) -> bool:
    """Return True when the call of a stored saga is in doubt. own_claims: claims by the caller, which do not count."""
    return may_have_been_sent(in_doubt=row.unsure, claims=row.claims, own_claims=own_claims)


def instance(
    registry: Registry,
    row: Row[Any],
    journal: Sequence[Row[Any]],
    now: float,
    own_claims: int = 0,
    *,
    keys: DataKeys,
) -> Instance:
    """Return the saga of a row. now: the present time on the store's clock. own_claims: see `is_in_doubt`.

    Raise UnknownSagaError for an unknown table, ValueError for a state that the table does not have, and the errors of
    `DataKeys.find`.
    """
    definition = registry.of(row)
    if row.erased_at is not None:
        raise ErasedError(row.id)
    data = row.data
    if row.data_key is not None:
        data, journal = keys.opened(data, row.id), opened_journal(keys, row.id, journal)
    in_doubt = restored_in_doubt(definition.states.get(row.state), row, own_claims)
    saga = Instance(definition, row.id, data, row.state, in_doubt=in_doubt)
    if row.data_key is not None:
        saga.sealer = Sealer(keys.find(row.data_key, row.id), row.id, definition.secrets)
    restore(saga, row, journal)
    saga.epoch, saga.version, saga.held = row.epoch, row.version, row.owner is not None
    saga.deadline = inf if row.deadline_left_s is None else now + row.deadline_left_s
    saga.parent_id, saga.parent_step, saga.goes_back = row.parent_id, row.parent_step, row.goes_back
    saga.started_by, saga.tenant, saga.entered = row.started_by, row.tenant, saga.clock() + row.entered_in_s
    saga.committed_snapshot, saga.webhook, saga.start_at = snapshot_of(row), row.webhook, start_of(row)
    return saga


def opened_journal(keys: DataKeys, saga_id: UUID, journal: Sequence[Row[Any]]) -> Sequence[Any]:
    """Return the rows of a journal with their replies opened."""
    return [SimpleNamespace(**{**row._mapping, "reply": keys.opened(row.reply, saga_id)}) for row in journal]  # noqa: SLF001  documented by SQLAlchemy


def snapshot_of(row: Row[Any], *, replayed: bool = False) -> SagaSnapshot:
    return SagaSnapshot(
        id=row.id, state=row.state, status=row.status, error=row.error, replayed=replayed, start_at=start_of(row)
    )


def start_of(row: SagaRow | Row[Any]) -> datetime | None:
    """Return when a stored saga is to start; None: it has started, or waits for a request to execute it."""
    return row.entered_at if row.status == Status.PENDING and row.due_at is not None else None


def table_of(registry: Registry, saga: SagaRow | Row[Any], journal: Sequence[JournalRow] = ()) -> Saga | None:
    """Return the table with which a saga is shown to people; None when this release has no table that fits the saga.

    No table fits when a later release has started the saga, or when its table was changed. People can still read its
    row and its journal. Every list, page, diagram and command uses this function.
    """
    try:
        table = registry.of(saga)
    except UnknownSagaError:
        return None
    journal = as_named_now(journal)
    states = {saga.state, *(row.dest for row in journal), *(row.source for row in journal if row.source is not None)}
    steps = {row.step for row in journal if row.step is not None}
    known = states <= table.states.keys() and steps <= {step.name for step in table.steps}
    return table if known else None
