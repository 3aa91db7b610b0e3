"""How the tenants share the threads of one process: `TENANTS_AT_ONCE`.

Without this setting a claim is one statement for all tenants, as if this module did not exist.
"""

import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from app.settings import EACH_OTHER_TENANT
from app.store.instance import Instance
from app.store.tenant_room import TenantRoom

#: Claims up to a number of due sagas of some tables (None: of all) that keep to the room of their tenants.
Claim = Callable[[int, Sequence[str] | None, TenantRoom | None], Sequence[Instance]]


class TenantShares:
    """Counts the sagas that this process runs of each limited tenant, and claims no more than its limit.

    limits: tenant, or EACH_OTHER_TENANT → number of sagas.
    """

    def __init__(self, limits: Mapping[str, int]) -> None:
        self._limits, self._others = dict(limits), limits.get(EACH_OTHER_TENANT)
        self._running, self._counting = Counter[str](), threading.Lock()
        #: Tenants that were at their limit at the last claim: more of their sagas may be due.
        self._held_back: frozenset[str] = frozenset()

    def has_room(self, tenant: str | None) -> bool:
        """Return True when this process may run one more saga of the tenant."""
        limit = self._limit(tenant)
        return limit is None or self._running[str(tenant)] < limit

    def count(self, tenant: str | None, change: int) -> bool:
        """Count sagas of a tenant that begin or end here. Return True when its held back sagas may go on.

        This is so when half of the limit is free, because a claim of one saga costs as much as a claim of several.
        """
        limit = self._limit(tenant)
        if limit is None or tenant is None:
            return False
        with self._counting:
            self._running[tenant] += change
            if not self._running[tenant]:
                del self._running[tenant]  # the number of tenants has no limit
            return change < 0 and tenant in self._held_back and self._running[tenant] <= limit // 2

    def limited(self, claim: Claim) -> Callable[[int, Sequence[str] | None], Sequence[Instance]]:
        """Return the function that claims within the limits. It is for one claim, which may have several statements."""
        if not self._limits:
            return lambda most, names: claim(most, names, None)
        taken = Counter[str]()

        def claim_within(most: int, names: Sequence[str] | None) -> Sequence[Instance]:
            found: list[Instance] = []
            while len(found) < most:
                room = self._room(taken)
                new = claim(most - len(found), names, room)
                found += new
                of_each = Counter(saga.tenant for saga in new if saga.tenant is not None)
                taken.update(of_each)
                # A tenant that has used its room may have hidden the due sagas of others, so claim again without it.
                if all(room.of(tenant) != number for tenant, number in of_each.items()):
                    break
            self._held_back = frozenset(tenant for tenant, left in self._room(taken).left.items() if left <= 0)
            return found

        return claim_within

    def _limit(self, tenant: str | None) -> int | None:
        return None if tenant is None else self._limits.get(tenant, self._others)

    def _room(self, taken: Mapping[str, int]) -> TenantRoom:
        with self._counting:
            running = Counter(self._running)
        tenants = {*self._limits, *running, *taken} - {EACH_OTHER_TENANT}
        limits = {tenant: limit for tenant in tenants if (limit := self._limit(tenant)) is not None}
        left = {tenant: limit - running[tenant] - taken.get(tenant, 0) for tenant, limit in limits.items()}
        return TenantRoom(left, self._others)
