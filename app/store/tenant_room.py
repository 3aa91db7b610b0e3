"""How many more sagas of each tenant a claim may take (`TENANTS_AT_ONCE`)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, case, func, or_, select

from app.store.models import SagaRow

_SAGA = SagaRow.__table__


@dataclass(frozen=True)
class TenantRoom:
    """left: tenant → the most sagas of it. others: the most sagas of each other tenant; None: no limit.

    A saga without a tenant has no limit.
    """

    left: Mapping[str, int]
    others: int | None = None

    def of(self, tenant: str | None) -> int | None:
        """Return the most sagas of the tenant. None: no limit."""
        return None if tenant is None else self.left.get(tenant, self.others)

    def is_open(self) -> ColumnElement[bool]:
        """Return the condition for sagas of tenants that have room."""
        full = [tenant for tenant, left in self.left.items() if left <= 0]
        return or_(_SAGA.c.tenant.is_(None), _SAGA.c.tenant.not_in(full))

    def first_of_each(self, due: Select[Any]) -> Select[Any]:
        """Return the ids of those due sagas for which their tenants have room. The rest of `due` is not claimed.

        due: selects id, tenant and due_at, and locks the rows. PostgreSQL refuses a window function beside a lock.
        """
        batch = due.cte("batch")
        place = func.row_number().over(partition_by=batch.c.tenant, order_by=batch.c.due_at)
        placed = select(batch.c.id, batch.c.tenant, place.label("place")).cte("placed")
        limits = [(placed.c.tenant == tenant, left) for tenant, left in self.left.items()]
        most = case((placed.c.tenant.is_(None), None), *limits, else_=self.others)
        return select(placed.c.id).where(or_(most.is_(None), placed.c.place <= most))
