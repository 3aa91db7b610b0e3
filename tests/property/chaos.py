"""The state machine of one random table: its sagas meet faults, crashes and operators in any order."""

import sys
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sqlalchemy import Engine as Database

from app.telemetry import Telemetry
from machines.progress import operator_triggers
from machines.transitions import Trigger
from tests.property import properties, waits
from tests.property.participant import Fault
from tests.property.tables import NAMES, WAIT, StepLine, lines_of_tables
from tests.property.world import Incident, Simulation

#: The largest number of recoveries without faults. Each saga must have ended or be stuck by then, or the test fails.
ENOUGH = 100
#: Largest number of sagas in one example. All have the same table.
MANY = 2

Faults = list[tuple[int, Fault, int]]
Incidents = list[tuple[int, Incident]]

#: Faults of the next sendings, each as (number of sendings before it without a fault, the fault, number of sendings
#: with the fault). ALREADY is drawn more often, because it has an effect only when a call that was done is repeated.
#: ACCEPTS is drawn more often, because a step waits only after a 202.
FAULTS = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.sampled_from([*list(Fault)[1:], *[Fault.ALREADY] * 3, *[Fault.ACCEPTS] * 5]),
        st.sampled_from([1, 1, 2, 4]),
    ),
    max_size=6,
)
#: Incidents at the next commits and sendings, each as (number of commits and sendings before it, the incident).
INCIDENTS = st.lists(st.tuples(st.integers(0, 4), st.sampled_from(list(Incident)[1:])), max_size=6)
WAITS = st.sampled_from([0.0, 1000.0])
WHICH = st.integers(0, 3)

one_is_under_way = precondition(lambda self: any(saga.due_at for saga in self.world.sagas()))
one_can_be_moved = precondition(lambda self: self._asked())


#: Faults of the first sendings of each example, before those that are drawn. A test replaces them.
opening: Faults = []


def drawn(lines: Sequence[StepLine]) -> Sequence[StepLine]:
    """Return the steps of the table. A test replaces this function to choose the table."""
    return lines


class Chaos(RuleBasedStateMachine):
    """Check the functions of tests/property/properties.py after each rule and at the end."""

    def __init__(self, database: Database, telemetry: Telemetry) -> None:
        super().__init__()
        self._database, self._telemetry = database, telemetry

    @initialize(lines=lines_of_tables(), faults=FAULTS, incidents=INCIDENTS)
    def begin(self, lines: tuple[StepLine, ...], faults: Faults, incidents: Incidents) -> None:
        self._lines = drawn(lines)
        self.world = Simulation(self._database, self._telemetry, self._lines)
        self.start("start", None, 0.0, [*opening, *faults], incidents)

    @precondition(lambda self: len(self.world.sagas()) < MANY)
    @rule(
        how=st.sampled_from(["start", "create"]),
        key=st.sampled_from([None, "key"]),
        wait_s=WAITS,
        faults=FAULTS,
        incidents=INCIDENTS,
    )
    def start(self, how: str, key: str | None, wait_s: float, faults: Faults, incidents: Incidents) -> None:
        self._schedule(faults, incidents)
        self.world.start(key, wait_s) if how == "start" else self.world.create(key)

    @one_is_under_way
    @rule(faults=FAULTS, incidents=INCIDENTS)
    def recover(self, faults: Faults, incidents: Incidents) -> None:
        self._schedule(faults, incidents)
        self.world.recover()

    @rule(action=st.sampled_from(["execute", "retry", "compensate", "send_now"]), which=WHICH, wait_s=WAITS)
    def operate(self, action: str, which: int, wait_s: float) -> None:
        """Let an operator request an action, whether or not the action is possible."""
        for saga in self.world.sagas()[which:][:1]:
            self.world.operate(action, saga.id, wait_s=wait_s)

    @one_can_be_moved
    @rule(which=WHICH)
    def ask(self, which: int) -> None:
        """Let an operator make a move that is possible now."""
        asked = self._asked()
        self.world.ask(*asked[which % len(asked)])

    @rule(which=WHICH)
    def question(self, which: int) -> None:
        """Let a person ask the participant about a step, whether or not there is something to ask."""
        for saga in self.world.sagas()[which:][:1]:
            self.world.question(saga)

    @one_is_under_way
    @rule()
    def freeze(self) -> None:
        self.world.freeze()

    @precondition(lambda self: self.world.frozen)
    @rule(which=WHICH)
    def thaw(self, which: int) -> None:
        self.world.thaw(which)

    @precondition(lambda self: self.world.participant.late)
    @rule(which=WHICH)
    def deliver(self, which: int) -> None:
        self.world.participant.deliver(which)

    @precondition(lambda self: self.world.participant.reply_urls)
    @rule(which=WHICH, times=st.integers(1, 2), different=st.booleans())
    def say(self, which: int, times: int, different: bool) -> None:
        self.world.say(which, times, different=different)

    @precondition(lambda self: self._waits)
    @rule(which=WHICH, step=WHICH, key=st.sampled_from([None, "key"]), refuses=st.booleans())
    def signal(self, which: int, step: int, key: str | None, refuses: bool) -> None:
        """Send a signal to a saga: early, in time, late, or again."""
        for saga in self.world.sagas()[which:][:1]:
            self.world.signal(saga.id, self._waits[step % len(self._waits)], key, refuses=refuses)

    @rule()
    def end_waits(self) -> None:
        self.world.end_waits()

    @invariant()
    def the_properties_hold(self) -> None:
        for error in self.world.broken:
            raise AssertionError(f"the engine broke: {error}") from error
        for saga in self.world.sagas():
            self._check(saga)

    def teardown(self) -> None:
        if sys.exc_info()[0] is None:  # after an exception, the example has already failed or was aborted
            self._end()

    def _end(self) -> None:
        """Remove all faults. Each saga must then end, at the latest after an operator has acted on it."""
        self.world.participant.has_no_faults()
        self.world.incidents.clear()
        for saga in self.world.sagas():
            if saga.status == "pending":
                self.world.operate("execute", saga.id)
        self._come_to_rest()
        for saga in self.world.sagas():
            self._decide(saga)
        while self.world.frozen:
            self.world.thaw(0)
        while self.world.participant.late:
            self.world.participant.deliver(0)
        self.the_properties_hold()
        for saga in self.world.sagas():
            assert saga.status in ("completed", "compensated"), f"it should have ended, and is {saga.status}"

    def _come_to_rest(self) -> None:
        for _ in range(ENOUGH):
            for which in range(len(self.world.participant.reply_urls)):
                self.world.say(which)
            for saga in self.world.sagas():
                self.world.next_signal(saga.id)
            self.world.end_waits()
            if not self.world.recover():
                assert all(saga.due_at is None for saga in self.world.sagas())
                return
            self.the_properties_hold()
        raise AssertionError(f"not at rest after {ENOUGH} recoveries: {self.world.sagas()}")

    def _decide(self, saga: Any) -> None:
        """Retry a stuck saga. If the saga is still stuck, resolve it."""
        for trigger in (Trigger.RETRY, Trigger.RESOLVE) * len(self.world.table.steps) * 2:
            saga = self.world.standing(saga.id)
            if saga.status == "stuck" and (saga.id, trigger) in self._asked():
                self.world.ask(saga.id, trigger)
                self._come_to_rest()

    def _check(self, saga: Any) -> None:
        table = self.world.table
        journal = self.world.journal(saga.id)
        effects = [effect for effect in self.world.participant.effects if effect.saga == str(saga.id)]
        properties.journal_follows_the_table(table, saga, journal)
        properties.a_definite_no_is_never_asked_again(table, journal)
        properties.every_active_saga_is_due(table, saga)
        properties.once_and_in_order(table, journal, effects)
        keys = (key.split("/") for key in self.world.participant.called)
        called = {step for saga_id, step, _ in keys if saga_id == str(saga.id)}
        skipped = properties.conditions_decide(self._lines, journal, called)
        properties.all_effects_or_none(table, saga, journal, effects, skipped)
        waits.an_accepted_signal_ends_the_wait(table, journal, self.world.sent[saga.id])
        waits.no_wait_ends_early_or_without_a_reason(table, self._lines, journal, self.world.ends[saga.id])
        waits.a_wait_is_due_when_its_signal_has_come(table, saga, self.world.arrived(saga.id))
        found = properties.effects_shown(table, saga, journal, self.world.answers(saga.id))
        properties.the_summary_is_true(table, saga, journal, effects, skipped, found)
        properties.the_effects_are_true(saga, effects, found, self.world.is_still_unknown(saga))
        assert saga.epoch == 1 + self.world.claims[saga.id]
        assert saga.version == self.world.commits[saga.id] + self.world.claims[saga.id]

    @property
    def _waits(self) -> list[str]:
        """The names of the steps that wait for a signal. Each is also the name of its signal."""
        return [name for name, line in zip(NAMES, self._lines, strict=False) if line.kind is WAIT]

    def _schedule(self, faults: Faults, incidents: Incidents) -> None:
        for quiet, fault, times in faults:
            self.world.participant.faults.extend([*[Fault.NONE] * quiet, *[fault] * times])
        for quiet, incident in incidents:
            self.world.incidents.extend([*[Incident.NOTHING] * quiet, incident])

    def _asked(self) -> list[tuple[UUID, Trigger]]:
        """Return each move that an operator can make now, as (id of the saga, trigger)."""
        table = self.world.table
        sagas = [saga for saga in self.world.sagas() if saga.status != "pending"]
        asked = [(saga, trigger) for saga in sagas for trigger in sorted(operator_triggers(table, saga.state))]
        return [(saga.id, trigger) for saga, trigger in asked]
