import pytest

from tests.unit.machines.tables import hold, saga, sell


def test_event_of_an_unknown_state_is_refused(refusal):
    text = refusal(hold(done="HELD"), sell(), events={"HELDD": "Held"})
    assert text == "sale v1: events= names 'HELDD', which is no state; did you mean 'HELD'? or take it out"


@pytest.mark.parametrize("columns", [{"events": {"HELD": "not a name"}}, {"started_by": "not a name"}])
def test_an_event_with_a_bad_name_is_refused(refusal, columns):
    text = refusal(hold(done="HELD"), sell(), **columns)
    assert text == "sale v1: 'not a name' is not the name of an event; use letters, digits and underscores"


def test_any_state_may_have_an_event_even_a_stuck_one():
    events = {"HELD": "Held", "STUCK_SELL": "SaleStuck"}
    assert saga(hold(done="HELD"), sell(), events=events).events == events
