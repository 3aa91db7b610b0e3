"""How tenants share the threads of one process: a noisy tenant beside a quiet one."""

from collections import Counter
from dataclasses import dataclass, field

import pytest

from app.engine.tenant_shares import TenantShares

THREADS, TICKS = 6, 200
TAKES = {"noisy": 10, "noisier": 10, "quiet": 1, None: 1}


@dataclass(frozen=True, eq=False)
class Due:
    tenant: str | None
    #: The tick at which it became due.
    since: int = 0


@dataclass
class Process:
    """A process with THREADS threads."""

    shares: TenantShares
    due: list = field(default_factory=list)
    running: list = field(default_factory=list)
    waited: dict = field(default_factory=dict)
    most: Counter = field(default_factory=Counter)
    statements: int = 0

    def tick(self, now):
        for until, saga in [one for one in self.running if one[0] <= now]:
            self.running.remove((until, saga))
            self.shares.count(saga.tenant, -1)
        if room := THREADS - len(self.running):
            for saga in self.shares.limited(self.claim)(room, None):
                self.waited.setdefault(saga.tenant, []).append(now - saga.since)
                self.running.append((now + TAKES[saga.tenant], saga))
                self.shares.count(saga.tenant, 1)
        for tenant, number in Counter(saga.tenant for _, saga in self.running).items():
            self.most[tenant] = max(self.most[tenant], number)

    def claim(self, most, _names, room):
        """Take the sagas that have been due longest, as `Leases.claim` does: the limit comes before the room."""
        self.statements += 1
        if room is None:
            found = self.due[:most]
        else:
            seen, found = Counter(), []
            for saga in [saga for saga in self.due if room.of(saga.tenant) is None or room.of(saga.tenant) > 0][:most]:
                seen[saga.tenant] += 1
                if (left := room.of(saga.tenant)) is None or seen[saga.tenant] <= left:
                    found.append(saga)
        self.due = [saga for saga in self.due if saga not in found]
        return found


def simulated(limits, noisy=("noisy",), quiet="quiet"):
    """Return a process after TICKS ticks. 1,000 sagas of each noisy tenant are due; a quiet one comes at each fifth."""
    process = Process(TenantShares(limits))
    process.due = [Due(tenant) for tenant in noisy for _ in range(1000)]
    for now in range(1, TICKS):
        if now % 5 == 0:
            process.due.append(Due(quiet, now))
        process.tick(now)
    return process


def test_without_a_limit_a_noisy_tenant_starves_another():
    process = simulated({})
    assert "quiet" not in process.waited
    assert process.statements <= TICKS, "a claim is one statement"


@pytest.mark.parametrize("limits", [{"*": 3}, {"noisy": 3}, {"noisy": 3, "*": 1}])
def test_noisy_tenant_with_a_limit_delays_no_other(limits):
    process = simulated(limits)
    assert len(process.waited["quiet"]) == TICKS // 5 - 1
    assert max(process.waited["quiet"]) == 0
    assert process.most["noisy"] == 3
    assert len(process.waited["noisy"]) >= TICKS * 3 // 10 - 3, "it uses all that its limit leaves it"


def test_two_noisy_tenants_delay_no_other():
    process = simulated({"*": 2}, noisy=("noisy", "noisier"))
    assert max(process.waited["quiet"]) == 0
    assert process.most == {"noisy": 2, "noisier": 2, "quiet": 1}


def test_limits_are_weights():
    process = simulated({"noisy": 4, "noisier": 1}, noisy=("noisy", "noisier"))
    assert len(process.waited["noisy"]) == pytest.approx(4 * len(process.waited["noisier"]), abs=4)


def test_saga_without_a_tenant_is_not_limited():
    process = simulated({"*": 2}, quiet=None)
    assert max(process.waited[None]) == 0
    assert TenantShares({"*": 1}).has_room(None)


def test_end_of_a_saga_causes_a_claim_only_when_its_tenant_was_held_back():
    shares = TenantShares({"a": 4, "*": 1})
    sagas = [Due("a") for _ in range(4)]
    assert shares.limited(lambda *_: sagas)(4, None) == sagas
    for _ in sagas:
        shares.count("a", 1)
    assert not shares.has_room("a")
    assert [shares.count("a", -1) for _ in sagas] == [False, True, True, True]
    shares.count("b", 1)
    assert not shares.count("b", -1)


def test_tenants_without_a_running_saga_are_forgotten():
    shares, rooms = TenantShares({"*": 5}), []
    for number in range(100):
        shares.count(f"t{number}", 1)
        shares.count(f"t{number}", -1)
    shares.limited(lambda _most, _names, room: rooms.append(room) or [])(1, None)
    assert rooms[0].left == {}
