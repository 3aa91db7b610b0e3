"""The rules of waiting sagas: what each state waits for, and after which time its wait is late."""

from pathlib import Path

from machines.discovery import discover
from machines.facts import facts

SUPPORT = Path(__file__).parents[2] / "support"


def test_each_waiting_state_says_what_is_waited_for_and_when_it_is_late():
    known = facts(discover(f"{SUPPORT / 'waiting_sagas'},{SUPPORT / 'later_sagas'}"))
    waits = {(fact.saga, fact.state): fact.waits_for for fact in known.waits}
    assert waits == {
        ("leave", "ASKED"): "signal agree",
        ("leave", "AGREED"): "signal plan",
        ("sale", "AWAITING_PAY"): "answer of bank",
    }
    limits = {(fact.saga, fact.state): fact.dwell_s for fact in known.states if fact.phase == "waiting"}
    assert limits == {("leave", "ASKED"): 86_700, ("leave", "AGREED"): 86_700, ("sale", "AWAITING_PAY"): 3_900}
