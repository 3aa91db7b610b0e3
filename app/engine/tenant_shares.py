"""How the tenants share the threads of one process: `TENANTS_AT_ONCE`.

Without this setting a claim is one statement for all tenants, as if this module did not exist.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from app.engine.running import Running
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
        self._running = Running(self._limit)
        #: Tenants that were at their limit at the last claim: more of their sagas may be due.
        self._held_back: frozenset[str] = frozenset()

    def has_room(self, tenant: str | None) -> bool:
        """Return True when this process may run one more saga of the tenant."""
        return tenant is None or self._running.has_room(tenant)

    def count(self, tenant: str | None, change: int) -> bool:
        """Count sagas of a tenant that begin or end here. Return True when its held back sagas may go on."""
        return tenant is not None and self._running.count(tenant, change, self._held_back)

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

    def _limit(self, tenant: str) -> int | None:
        return self._limits.get(tenant, self._others)

    def _room(self, taken: Mapping[str, int]) -> TenantRoom:
        running = self._running.numbers()
        tenants = {*self._limits, *running, *taken} - {EACH_OTHER_TENANT}
        limits = {tenant: limit for tenant in tenants if (limit := self._limit(tenant)) is not None}
        left = {tenant: limit - running[tenant] - taken.get(tenant, 0) for tenant, limit in limits.items()}
        return TenantRoom(left, self._others)
