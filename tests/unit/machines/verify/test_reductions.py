"""What the search leaves out to be small changes no verdict: with and without it, small tables have the same one."""

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from machines import NEVER, Retry, approval, callback, compensatable, get, pause, pivot, poll, post, retriable, wait
from machines.check import TableError
from machines.verify import verify
from tests.unit.machines.tables import saga
from tests.unit.machines.verify.guards import GUARDS

MENU = {
    "hold": lambda name, **ends: compensatable(name, post("shop", "/do"), undo=post("shop", "/undo"), **ends),
    "hold once": lambda name, **ends: compensatable(
        name, post("shop", "/do"), undo=post("shop", "/undo", of="saga.id"), retry=NEVER, **ends
    ),
    "callback": lambda name, **ends: compensatable(
        name, post("shop", "/do"), undo=post("shop", "/undo"), later=callback(within_s=60), **ends
    ),
    "poll": lambda name, **ends: compensatable(
        name, post("shop", "/do"), undo=post("shop", "/undo"), later=poll(get("shop", "/do"), every_s=5, within_s=60),
        **ends,
    ),
    "wait": lambda name, **ends: wait(name, signal=name, within_s=60, **ends),
    "approval": lambda name, **ends: approval(name, role="operator", within_s=60, **ends),
    "pause": lambda name, **ends: pause(name, for_s=60, **ends),
    "sell": lambda name, **ends: pivot(name, post("shop", "/do"), probe=get("shop", "/do"), **ends),
    "sell later": lambda name, **ends: pivot(name, post("shop", "/do"), later=callback(within_s=60), **ends),
    "tell": lambda name, done, **_: retriable(name, post("shop", "/do"), retry=Retry(attempts=2), done=done),
}  # fmt: skip
#: Guards whose tables need words that the menu has not.
_OTHERS = ("condition", "skip", "lost_reply", "conflict", "leaves_behind")


def table(steps):
    """Return the table of these steps; None when it is not legal."""
    names = "abcd"[: len(steps)]
    ends = [{"done": "DONE" if name == names[-1] else name.upper(), "refused": f"NO_{name.upper()}"} for name in names]
    try:
        return saga(*(MENU[step](name, **each) for step, name, each in zip(steps, names, ends, strict=True)))
    except TableError:
        return None


def verdict(definition, *, reduced):
    result = verify(definition, most_states=30_000, reduced=reduced)
    return bool(result.faults), result.complete, {each.why for each in result.risks}, result.unreached


@settings(
    max_examples=5, deadline=None, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow]
)  # fmt: skip
@given(steps=st.lists(st.sampled_from(sorted(MENU)), min_size=1, max_size=2))
@example(steps=["wait", "approval"])
@example(steps=["pause", "callback"])
def test_reduced_search_has_the_same_verdict(steps):
    definition = table(steps)
    if definition is not None:
        assert verdict(definition, reduced=True) == verdict(definition, reduced=False)


@settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    steps=st.lists(st.sampled_from(sorted(MENU)), min_size=1, max_size=2),
    guard=st.sampled_from([name for name in GUARDS if not any(each in name for each in _OTHERS)]),
)
def test_reduced_search_has_the_same_verdict_without_a_guard(steps, guard):
    with pytest.MonkeyPatch.context() as patch:
        GUARDS[guard](patch)
        definition = table(steps)
        if definition is not None:
            assert verdict(definition, reduced=True)[0] == verdict(definition, reduced=False)[0]


def test_steps_that_wait_add_states_and_do_not_multiply_them():
    waits = ([], ["wait"], ["approval"], ["wait", "approval"])
    none, one, other, both = (verify(table(["hold", *each, "sell"])).states for each in waits)
    assert both - none < 1.2 * (one - none + other - none)
