"""Counts of sagas by status, and the sagas begun in the last hour, for the overview page."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, Select, func, literal_column, select, union_all
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from app.store.database import UtcDateTime, db, db_now, seconds_until
from app.store.models import ENDED, UNFINISHED, SagaRow
from machines.statuses import FINISHED

#: Minutes of the past that are shown.
MINUTES = 60


@dataclass(frozen=True, kw_only=True)
class Minute:
    """The sagas begun in one minute, by definition and present status."""

    #: Minute, from 0 for the oldest.
    number: int
    definition: str
    status: str
    sagas: int


class minute_of(FunctionElement[datetime]):  # noqa: N801  reads as the SQL function it is
    """`minute_of(moment)`: the start of its minute."""

    type = UtcDateTime()
    inherit_cache = True


@compiles(minute_of, "postgresql")
def _minute_postgresql(element: Any, compiler: Any, **options: Any) -> str:
    return f"date_trunc('minute', {compiler.process(element.clauses, **options)})"


@compiles(minute_of, "sqlite")
def _minute_sqlite(element: Any, compiler: Any, **options: Any) -> str:
    # Six fraction digits, as SQLAlchemy writes and reads them.
    return f"strftime('%Y-%m-%d %H:%M:00.000000', {compiler.process(element.clauses, **options)})"


def standing() -> Sequence[Row[Any]]:
    """Return the number of unfinished sagas by definition and status, with the age of the oldest."""
    place = (SagaRow.definition, SagaRow.status)
    oldest_s = (-seconds_until(func.min(SagaRow.created_at))).label("oldest_s")
    counted: Any = select(*place, func.count().label("sagas"), oldest_s).where(UNFINISHED).group_by(*place)
    return db.session.execute(counted).all()


def oldest(limit: int) -> Sequence[Row[Any]]:
    """Return the unfinished sagas that began first."""
    age_s = (-seconds_until(SagaRow.created_at)).label("age_s")
    shown = (SagaRow.id, SagaRow.definition, SagaRow.status, SagaRow.created_at, age_s)
    # Materialized here and below: otherwise PostgreSQL may scan all sagas in their order.
    found = select(*shown).where(UNFINISHED).cte("unfinished").prefix_with("MATERIALIZED")
    return db.session.execute(select(found).order_by(found.c.created_at, found.c.id).limit(limit)).all()


def lately(known: Sequence[str]) -> Sequence[Minute]:
    """Return the sagas begun in the last MINUTES minutes, by minute and present status. known: all definitions.

    Ended sagas are counted in their index alone, one definition and status at a time.
    """
    now = db.session.scalars(select(db_now())).one()
    first = now.replace(second=0, microsecond=0) - timedelta(minutes=MINUTES - 1)
    begun = (SagaRow.definition, SagaRow.status, SagaRow.created_at)
    unfinished = select(*begun).where(UNFINISHED).cte("unfinished").prefix_with("MATERIALIZED")
    ended = [
        select(*begun).where(ENDED, SagaRow.definition == name, SagaRow.status == literal_column(f"'{status}'"))
        for name in known
        for status in FINISHED
    ]
    counted = union_all(*(_by_minute(part.subquery(), first) for part in (select(unfinished), *ended)))
    return [
        Minute(
            number=(row.minute - first) // timedelta(minutes=1),
            definition=row.definition,
            status=row.status,
            sagas=row.sagas,
        )
        for row in db.session.execute(counted)
    ]


def _by_minute(begun: Any, first: datetime) -> Select[Any]:
    same = (minute_of(begun.c.created_at).label("minute"), begun.c.definition, begun.c.status)
    return select(*same, func.count().label("sagas")).where(begun.c.created_at >= first).group_by(*same)
