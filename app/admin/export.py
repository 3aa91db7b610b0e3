"""The list of sagas as a file: CSV or JSON lines, with the filters of the page, streamed and bounded."""

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from flask import Response, stream_with_context

from app.services import services
from app.store.lists import SagaFilter, newest
from app.store.tenants import acting_for, acting_tenant
from app.values import written
from app.views.amounts import NO_MONEY, ExportedMoney, money_for_export
from app.views.states import final_states
from machines.statuses import FINISHED
from machines.titles import SUMS

#: Most sagas of one file, and sagas that one query reads.
MOST_SAGAS, PART = 10_000, 500
COLUMNS = (
    "id", "type", "version", "status", "state", "client", "order", "store", "created_at", "took_s", "error", "amount",
    "money", "currency", *(word.replace(" ", "_") for word in SUMS),
)  # fmt: skip
#: First characters by which a spreadsheet would run a text as a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def took_s(row: Any) -> float | None:
    """Return the seconds from the start of a saga to its end; None while it has not ended."""
    return (row.updated_at - row.created_at).total_seconds() if row.status in FINISHED else None


def exported(wanted: SagaFilter, form: str, order: str) -> Response:
    """Return the file of a filter, in an order of `newest`. form: csv or json."""
    media_type, write = _FORMATS[form]
    answer = Response(stream_with_context(write(_rows(wanted, acting_tenant(), order))), mimetype=media_type)
    answer.headers["Content-Disposition"] = f'attachment; filename="sagas.{form}"'
    return answer


def _rows(wanted: SagaFilter, tenant: str | None, order: str) -> Iterator[tuple[Any, ExportedMoney]]:
    """Yield the sagas and their money.

    tenant: of the sender; the request no longer acts for it when the parts are read.
    """
    for found in _parts(wanted, tenant, order):
        with acting_for(tenant):
            money = money_for_export(services().registry, found)
        yield from ((row, money.get(row.id, NO_MONEY)) for row in found)


def _parts(wanted: SagaFilter, tenant: str | None, order: str) -> Iterator[Sequence[Any]]:
    """Yield the sagas in parts. In an order by start, a part is read when the reader has taken the one before."""
    registry, after = services().registry, None
    if not order.endswith("created_at"):
        with acting_for(tenant):
            found = newest(wanted, final_states(registry), MOST_SAGAS, None, registry, order=order, among=MOST_SAGAS)
        yield from (found[start : start + PART] for start in range(0, len(found), PART))
        return
    for _ in range(MOST_SAGAS // PART):
        with acting_for(tenant):
            found = newest(wanted, final_states(registry), PART, after, registry, order=order)
        yield found
        if len(found) < PART:
            return
        after = found[-1].created_at, found[-1].id


def _values(row: Any, money: ExportedMoney) -> tuple[object, ...]:
    took, error = took_s(row), services().redact(row.error) if row.error else None
    return (
        str(row.id), row.definition, row.definition_version, row.status, row.state, row.client, row.order_ref,
        row.store, row.created_at.isoformat(), None if took is None else round(took, 3), error,
        money.amount, services().redact(money.words), money.currency, *(money.sums.get(word) for word in SUMS),
    )  # fmt: skip


def _csv(rows: Iterator[tuple[Any, ExportedMoney]]) -> Iterator[str]:
    yield _line(COLUMNS)
    for row in rows:
        yield _line(tuple(map(_cell, _values(*row))))


def _line(values: tuple[object, ...]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer).writerow(values)
    return buffer.getvalue()


def _cell(value: object) -> object:
    """Return a value for a cell. A quote stands before a text that a spreadsheet would run as a formula."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def _json(rows: Iterator[tuple[Any, ExportedMoney]]) -> Iterator[str]:
    for row in rows:
        yield written(dict(zip(COLUMNS, _values(*row), strict=True))).decode() + "\n"


#: Format → its media type and the function that writes it.
_FORMATS: Mapping[str, tuple[str, Callable[[Iterator[tuple[Any, ExportedMoney]]], Iterator[str]]]] = {
    "csv": ("text/csv", _csv),
    "json": ("application/x-ndjson", _json),
}
