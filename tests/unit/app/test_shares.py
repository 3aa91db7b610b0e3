"""How tables share the threads of one process: limits, priorities, and a noisy table beside a quiet one."""

from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest

from app.engine.shares import Shares

THREADS, TICKS = 4, 200


def table(name, *, priority=0, at_once=None):
    return SimpleNamespace(name=name, priority=priority, at_once=at_once)


@dataclass
class Process:
    """A process with THREADS threads. A saga is its name and the tick at which it became due."""

    shares: Shares
    takes: dict[str, int]
    due: list[tuple[int, str]] = field(default_factory=list)
    running: list[tuple[int, str]] = field(default_factory=list)
    waited: dict[str, list[int]] = field(default_factory=dict)
    statements: list[object] = field(default_factory=list)

    def tick(self, now):
        for until, name in list(self.running):
            if until <= now:
                self.running.remove((until, name))
                self.shares.count(name, -1)
        if len(self.running) < THREADS:
            for since, name in self.shares.claim(THREADS - len(self.running), self.claim):
                self.waited.setdefault(name, []).append(now - since)
                self.running.append((now + self.takes[name], name))
                self.shares.count(name, 1)

    def claim(self, most, names):
        """Take the sagas that have been due longest, as the database does."""
        self.statements.append(names)
        found = [saga for saga in sorted(self.due) if names is None or saga[1] in names][:most]
        for saga in found:
            self.due.remove(saga)
        return found


def simulated(*tables):
    """Return a process after TICKS ticks. 1,000 noisy sagas are due, and a quiet one comes at each fifth."""
    process = Process(Shares(tables), takes={"noisy": 10, "quiet": 1})
    process.due = [(0, "noisy")] * 1000
    for now in range(1, TICKS):
        if now % 5 == 0:
            process.due.append((now, "quiet"))
        process.tick(now)
    return process


def test_without_a_limit_a_noisy_table_starves_another():
    """This is what the columns are for: the quiet sagas come behind a thousand others."""
    assert "quiet" not in simulated(table("noisy"), table("quiet")).waited


@pytest.mark.parametrize(
    "tables",
    [
        (table("noisy", at_once=3), table("quiet")),
        (table("noisy", at_once=3), table("quiet", priority=5)),
        (table("quiet", at_once=1), table("noisy", at_once=3)),
    ],
    ids=["a limit", "a limit and a priority", "two limits"],
)
def test_noisy_table_with_a_limit_delays_no_other(tables):
    process = simulated(*tables)
    assert len(process.waited["quiet"]) == TICKS // 5 - 1
    assert max(process.waited["quiet"]) == 0
    busy = TICKS * 3 // 10
    assert len(process.waited["noisy"]) >= busy - 3, "the noisy table uses all that its limit leaves it"


def test_higher_priority_is_claimed_first_and_uses_free_threads_alone():
    process = simulated(table("noisy"), table("quiet", priority=1))
    assert len(process.waited["quiet"]) >= TICKS // 5 - 2
    assert max(process.waited["quiet"]) <= 10, "it waits for the end of a running saga, never for those that are due"


def test_table_never_has_more_sagas_than_its_limit():
    process = simulated(table("noisy", at_once=2), table("quiet"))
    running = 0
    for now in range(TICKS, 2 * TICKS):
        process.tick(now)
        running = max(running, sum(name == "noisy" for _, name in process.running))
    assert running == 2


def test_tables_without_these_columns_are_claimed_by_one_statement():
    process = simulated(table("noisy"), table("quiet"))
    assert set(process.statements) == {None}


def test_tables_of_one_priority_take_turns():
    shares = Shares([table("a", at_once=9), table("b", at_once=9), table("c")])
    firsts = []
    for _ in range(3):
        asked = []
        shares.claim(1, lambda most, names, asked=asked: asked.append(names) or ["one"] * most)
        firsts += asked
    assert sorted(firsts) == [["a"], ["b"], ["c"]]
