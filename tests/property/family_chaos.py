"""The state machine of one random family: its sagas meet faults, crashes and operators in any order."""

import sys
from typing import Any
from uuid import UUID

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sqlalchemy import Engine as Database

from app.telemetry import Telemetry
from machines.progress import operator_triggers
from machines.transitions import Trigger
from tests.property.chaos import ENOUGH, WAITS, Faults
from tests.property.family_properties import FINISHED, Families
from tests.property.family_world import INCIDENTS, FamilyIncident, FamilySimulation
from tests.property.participant import Fault
from tests.property.shapes import Nodes, families
from tests.property.world import Incident

#: Faults of the next sendings, as in tests/property/chaos.py. REFUSES is drawn more often, because then sagas go back.
FAULTS = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.sampled_from([*list(Fault)[1:], *[Fault.REFUSES] * 5]),
        st.sampled_from([1, 1, 2, 4]),
    ),
    max_size=6,
)
#: Incidents at the next commits and sendings, each as (number of commits and sendings before it, the incident).
ANY_INCIDENTS = st.lists(st.tuples(st.integers(0, 5), st.sampled_from(INCIDENTS)), max_size=8)
WHICH = st.integers(0, 7)

one_is_due = precondition(lambda self: any(self.world.is_due(saga) for saga in self.world.sagas()))


def drawn(nodes: Nodes) -> Nodes:
    """Return the family. A test replaces this function to choose the family."""
    return nodes


class FamilyChaos(RuleBasedStateMachine):
    """Check the functions of tests/property/family_properties.py after each rule and at the end."""

    def __init__(self, database: Database, telemetry: Telemetry) -> None:
        super().__init__()
        self._database, self._telemetry = database, telemetry

    @initialize(nodes=families(), create=st.integers(0, 9), faults=FAULTS, incidents=ANY_INCIDENTS)
    def begin(self, nodes: Nodes, create: int, faults: Faults, incidents: Any) -> None:
        self.world = FamilySimulation(self._database, self._telemetry, nodes=drawn(nodes))
        self._schedule(faults, incidents)
        self.world.create(None) if create == 0 else self.world.start(None, 0.0)

    @rule(faults=FAULTS, incidents=ANY_INCIDENTS)
    def recover(self, faults: Faults, incidents: Any) -> None:
        self._schedule(faults, incidents)
        self.world.recover()

    @one_is_due
    @rule(faults=FAULTS, incidents=ANY_INCIDENTS)
    def run_due(self, faults: Faults, incidents: Any) -> None:
        self._schedule(faults, incidents)
        self.world.run_due()

    @rule(faults=FAULTS, incidents=ANY_INCIDENTS)
    def look(self, faults: Faults, incidents: Any) -> None:
        """Let every parent look at its children, although nothing has woken it."""
        self._schedule(faults, incidents)
        self.world.look()
        self.world.run_due()

    @precondition(lambda self: self.world.parents())
    @rule(which=WHICH, faults=FAULTS, first=st.sampled_from([Incident.NOTHING, *[FamilyIncident.OTHERS_RUN] * 2]))
    def look_alone(self, which: int, faults: Faults, first: FamilyIncident | Incident) -> None:
        """Let a process run one parent that nothing has woken. first: what happens before its commit."""
        parents = self.world.parents()
        self._schedule(faults, [])
        self.world.incidents.appendleft(first)
        self.world.look_alone(parents[which % len(parents)])

    @rule(
        action=st.sampled_from(["execute", "retry", "compensate", "compensate", "send_now"]), which=WHICH, wait_s=WAITS
    )
    def operate(self, action: str, which: int, wait_s: float) -> None:
        """Let an operator request an action, whether or not the action is possible."""
        if sagas := self.world.sagas():
            self.world.operate(action, sagas[which % len(sagas)].id, wait_s=wait_s)

    @precondition(lambda self: self._asked())
    @rule(which=WHICH)
    def ask(self, which: int) -> None:
        """Let an operator make a move that is possible now."""
        asked = self._asked()
        self.world.ask(*asked[which % len(asked)])

    @one_is_due
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

    @rule()
    def pass_deadlines(self) -> None:
        self.world.pass_deadlines()

    @invariant()
    def the_properties_hold(self) -> None:
        for error in self.world.broken:
            raise AssertionError(f"the engine broke: {error}") from error
        Families(self.world).check()

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
        self._decide()
        while self.world.frozen:
            self.world.thaw(0)
        while self.world.participant.late:
            self.world.participant.deliver(0)
        self._come_to_rest()
        for saga in self.world.sagas():
            assert saga.status in FINISHED, f"{saga.definition} should have ended, and is {saga.status}"

    def _come_to_rest(self) -> None:
        """Let processes run what is due, until nothing is due. Then each saga has ended, or waits for a person."""
        for _ in range(ENOUGH):
            for which in range(len(self.world.participant.reply_urls)):
                self.world.say(which)
            if not self.world.recover():
                self.the_properties_hold()
                known = Families(self.world)
                idle = [saga for saga in known.sagas if saga.status not in FINISHED and not known.stuck_below(saga)]
                left = [(saga.definition, saga.state) for saga in idle if not self._parent_is_stuck(known, saga)]
                assert not left, f"nothing is due, and these wait: {left}"
                return
        raise AssertionError(f"not at rest after {ENOUGH} recoveries: {self.world.sagas()}")

    def _parent_is_stuck(self, known: Families, saga: Any) -> bool:
        return any(known.stuck_below(each) for each in known.sagas if each.id == saga.parent_id)

    def _decide(self) -> None:
        """Retry each stuck saga. If it is still stuck, resolve it. Children come before their parents."""
        for turn in range(4 * len(self.world.sagas()) + 8):
            stuck = [saga for saga in self.world.sagas() if saga.status == "stuck"]
            if not stuck:
                return
            for saga in reversed(stuck):
                trigger = Trigger.RESOLVE if turn % 2 else Trigger.RETRY
                self.world.ask(saga.id, trigger)
            self._come_to_rest()

    def _schedule(self, faults: Faults, incidents: Any) -> None:
        for quiet, fault, times in faults:
            self.world.participant.faults.extend([*[Fault.NONE] * quiet, *[fault] * times])
        for quiet, incident in incidents:
            self.world.incidents.extend([*[Incident.NOTHING] * quiet, incident])

    def _asked(self) -> list[tuple[UUID, Trigger]]:
        """Return each move that an operator can make now, as (id of the saga, trigger)."""
        sagas = [saga for saga in self.world.sagas() if saga.status != "pending"]
        tables = self.world.registry
        return [(saga.id, each) for saga in sagas for each in sorted(operator_triggers(tables.of(saga), saga.state))]
