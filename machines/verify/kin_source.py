"""The children of a counterexample, in the words of `machines.testing`."""

from collections.abc import Iterator, Sequence

from machines.registry import Registry
from machines.saga import Saga
from machines.statuses import Status
from machines.step import Step
from machines.testing.written import literal
from machines.verify.search import Finding

#: Statuses of a child that has failed, unless its parent has asked it to compensate.
_FAILED = (Status.COMPENSATING, Status.COMPENSATED)
#: Holds when a saga that has ended and its children have the same end.
SAME_END = 'run.status not in ("completed", "compensated") or {child.status for child in run.children} <= {run.status}'


def given_source(definition: Saga, finding: Finding) -> str:
    """Return the arguments of `given` for a table that starts children."""
    if not definition.starts_others:
        return "TABLE"
    others = sorted({step.starts for step in definition.steps if step.starts is not None and step.group is None})
    children = f", [{', '.join(f'discover().latest({literal(name)})' for name in others)}]" if others else ""
    return f"TABLE, {literal(dict(finding.data))}{children}"


def answers_of(definition: Saga, finding: Finding, registry: Registry) -> Iterator[tuple[str, str]]:
    """Yield a step, and the answers with which its children fail as in the path, as source."""
    for step in definition.steps:
        failed = _failed(finding, step.name)
        if not failed or step.starts is None:
            continue
        if step.group is None:
            child = registry.latest(step.starts)
            if name := _refusable(child.steps):
                yield step.name, f"given(discover().latest({literal(child.name)})).when({name}=refused())"
        elif step.group.over is None:
            for number in sorted(failed):
                if name := _refusable(step.group.branches[number - 1].steps):
                    yield name, "refused()"
        elif name := _refusable(step.group.branches[0].steps):
            answers = ("refused()" if number in failed else "ok" for number in range(1, max(failed) + 1))
            yield name, f"items({', '.join(answers)})"


def _failed(finding: Finding, step: str) -> set[int]:
    """Return the numbers of the children of a step that have failed by themselves."""
    return {
        kin.number
        for event, world in finding.path
        for kin in world.kin
        if event.kind == "child" and kin.step == step and kin.stage.status in _FAILED and not kin.stage.goes_back
    }


def _refusable(steps: Sequence[Step]) -> str:
    return next((step.name for step in steps if step.refused and step.call and step.starts is None), "")
