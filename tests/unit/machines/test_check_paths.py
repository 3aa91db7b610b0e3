from machines.check_graph import path_problems
from machines.transitions import NOWHERE, Graph, Phase, State, Transition, Trigger
from tests.unit.machines.tables import look

START = Transition(source=NOWHERE, trigger=Trigger.START, dest="START")


def test_misspelled_completed_is_refused_with_a_suggestion(refusal):
    text = refusal(look(done="CONFIRMED"), completed="CONFIRMD")
    assert text.startswith("sale v1: succeeded leads from STARTED to 'CONFIRMED', which is no state; ")
    assert "did you mean 'CONFIRMD'? or make it the done= of the last step and completed= the same" in text


def test_a_misspelled_done_of_the_last_step_is_refused(refusal):
    text = refusal(look(done="LOOKED"), look("again", done="DOEN"))
    assert "succeeded leads from LOOKED to 'DOEN', which is no state; did you mean 'DONE'? " in text


def test_a_state_that_nothing_leads_to_is_a_problem():
    assert problems("START → END", "ISLAND → END") == [
        "state 'ISLAND' cannot be reached; take it out, or lead a step to it"
    ]


def test_a_state_that_leads_nowhere_is_a_problem():
    assert problems("START → END", "START → PIT") == ["state 'PIT' has no way to an end; lead its step on to END"]


def test_each_state_of_a_loop_without_an_exit_is_a_problem():
    assert problems("START → END", "START → LEFT", "LEFT → RIGHT", "RIGHT → LEFT") == [
        "state 'LEFT' has no way to an end; lead its step on to END",
        "state 'RIGHT' has no way to an end; lead its step on to END",
    ]


def test_state_may_lead_to_either_end():
    assert problems("START → END", "START → FAILED", "FAILED → BACK") == []


def test_state_may_lead_to_an_end_through_many_states():
    assert problems("START → A", "A → B", "B → C", "C → A", "C → D", "D → END") == []


def problems(*arrows: str) -> list[str]:
    """Return the problems of a saga with these transitions.

    The saga starts in START. It completes in END. If the transitions use BACK, the saga is compensated in BACK.
    """
    pairs = [arrow.split(" → ") for arrow in arrows]
    states = {name: State(name=name, phase=Phase.FORWARD) for pair in [*pairs, ["START", "END"]] for name in pair}
    transitions = tuple(Transition(source=source, trigger=Trigger.SUCCEEDED, dest=dest) for source, dest in pairs)
    ends = ("END", "BACK") if "BACK" in states else ("END",)
    return list(path_problems(Graph(states=states, transitions=transitions, start=START), "START", ends))
