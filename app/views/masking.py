"""A saga's row and journal as people may see them: without the secret values of its table.

Every API answer, page, command, file and drawing reads a saga through `shown`.
"""

from collections.abc import Sequence
from typing import Any, cast

from app.store.models import JournalRow, SagaRow
from machines.history import replies
from machines.registry import Registry
from machines.statuses import Status


class _Shown:
    """A row of the database with other values in some columns, such as "***" for a secret."""

    def __init__(self, row: Any, **instead: Any) -> None:
        self.__dict__.update(instead)
        self._row = row

    def __getattr__(self, name: str) -> Any:
        return getattr(self._row, name)


def shown(
    registry: Registry, saga: SagaRow, journal: Sequence[JournalRow] = ()
) -> tuple[SagaRow, Sequence[JournalRow]]:
    """Return the row and the journal of a saga, with "***" for each secret value.

    A completed saga is shown without an error. Earlier releases kept the error of a saga that was stuck before.
    """
    if saga.status == Status.COMPLETED and saga.error is not None:
        saga = cast("SagaRow", _Shown(saga, error=None))
    secrets = registry.secrets_of(saga.definition)
    if secrets is None:
        return saga, journal
    values = secrets.values(saga.data, replies(journal))
    moves = [
        _Shown(
            row,
            reply=values.hidden_in(secrets.masked_reply(row.step, row.reply)),
            reason=values.hidden_in(row.reason),
        )
        for row in journal
    ]
    data = values.hidden_in(secrets.masked_data(saga.data))
    row = _Shown(saga, data=data, error=values.hidden_in(saga.error))
    return cast("SagaRow", row), cast("Sequence[JournalRow]", moves)
