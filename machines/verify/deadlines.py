"""Deadlines that come too early: before the waits of children, which is a flaw, or before the last retry of a step.

The check of a table refuses a deadline before the waits of the table itself. It cannot for a saga that `sub()` starts:
tables that do so run already, and the newest version of the child may be another one tomorrow.
"""

from collections.abc import Iterator

from machines.check_waiting import longest_s
from machines.registry import Registry
from machines.saga import Saga
from machines.step import Kind, Step
from machines.transitions import Trigger
from machines.verify.flaw import Flaw
from machines.waiting import duration

SHORT = "short deadline"


def short_deadlines(definition: Saga, registry: Registry) -> Iterator[Flaw]:
    """Yield the first step up to which the saga and its children may wait as long as its deadline, or longer."""
    stay_s = 0.0
    for step in definition.steps if not definition.is_branch else ():
        if step.kind in (Kind.PIVOT, Kind.RETRIABLE):
            return
        stay_s += _stay_s(step, registry)
        if stay_s >= definition.deadline_s and stay_s > 0:
            yield _flaw(definition, step, stay_s)
            return


def late_retries(definition: Saga) -> Iterator[str]:
    """Yield a note for each step whose last retry may come after the deadline, which ends the saga before."""
    for state in definition.states.values():
        gated = any(each.source == state.name and each.trigger is Trigger.EXPIRE for each in definition.transitions)
        # A pivot in doubt is sent again also after the deadline.
        if not gated or state.call is None or state.step is None or state.step.kind is Kind.PIVOT:
            continue
        waits_s = sum(map(state.retry.longest_wait_s, range(1, state.retry.attempts)))
        whole_s = waits_s + state.retry.attempts * state.step.timeout_s
        if state.retry.retries and whole_s > definition.deadline_s:
            yield (
                f"{state.step.name}: its {state.retry.attempts} attempts and the waits between them may last "
                f"{duration(whole_s)}, and its deadline of {duration(definition.deadline_s)} ends the saga before; "
                f"make deadline_s longer than {whole_s:.10g}, or attempts= smaller"
            )


def _stay_s(step: Step, registry: Registry) -> float:
    """Return the longest time that a saga waits in a step, with the waits of the children that it starts."""
    if step.group is not None:
        return max(sum(_stay_s(each, registry) for each in branch.steps) for branch in step.group.branches)
    if step.starts is not None:
        return sum(_stay_s(each, registry) for each in registry.latest(step.starts).steps)
    return longest_s(step)


def _flaw(definition: Saga, step: Step, stay_s: float) -> Flaw:
    longest, limit = duration(stay_s), f"its deadline of {duration(definition.deadline_s)}"
    why = f"the saga and its children may wait {longest} up to {step.name}, and {limit} ends this before"
    path = (
        f"The saga waits in {step.name}: {longest} with the waits before it.",
        f"The deadline of the saga is over: {duration(definition.deadline_s)}.",
        f"The saga goes back, and compensates what still waits. Make deadline_s longer than {stay_s:.10g}.",
    )
    return Flaw(SHORT, step.name, why, path)
