"""The checks of groups: the branches of together() and each(), and the list that each() goes through."""

import re
from collections import Counter
from collections.abc import Iterator

from machines.branch_references import outer_references
from machines.check_scope import ReferenceProblem, Scope, item_type
from machines.check_types import misused, no_text, out_of, shown
from machines.children import INDEX, ITEM, Branch, Group
from machines.step import Kind, Step
from machines.table import Table
from machines.words import Misused

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
#: Largest at_most= of each(). More children at once than this need no limit.
LARGEST_AT_MOST = 100_000


def group_value_problems(group: Group) -> Iterator[str]:
    """Yield a problem for each value of a group with a wrong type."""
    if group.over is not None:
        yield from no_text("its list", group.over)
    if group.at_most is not None:
        yield from out_of("at_most=", group.at_most, 1, LARGEST_AT_MOST, whole=True)
    if not group.branches:
        yield "it has no branches; give it at least one step"
    for branch in group.branches:
        yield from _branch_problems(branch)
    for name, times in Counter(branch.name for branch in group.branches).items():
        if times > 1:
            yield f"branch {name!r} is named twice; give each branch a name of its own"


def _branch_problems(branch: Branch) -> Iterator[str]:
    if branch.name == "" and len(branch.steps) > 1:
        yield "each() has several steps and no name; write name='…'"
    elif not isinstance(branch.name, str) or not _NAME.fullmatch(branch.name):
        yield f"branch {branch.name!r} is not a name; use letters, digits and underscores, or write branch('name', …)"
    if not branch.steps:
        yield f"branch {branch.name!r} has no steps; give it at least one"
    steps: tuple[object, ...] = branch.steps  # an author may write any value
    for step in steps:
        if isinstance(step, Misused):
            yield from misused(f"branch {branch.name}", step)
        elif not isinstance(step, Step):
            yield f"branch {branch.name!r} holds {shown(step)}; write read(…), compensatable(…) or retriable(…)"


def group_problems(table: Table) -> Iterator[tuple[Step | None, str]]:
    """Yield each problem of the groups of a table that concerns the table itself, and not a branch alone."""
    for number, step in enumerate(table.steps):
        if step.group is None:
            continue
        for problems in (_doubled_names, _hidden_names):
            yield from ((step, problem) for problem in problems(table, step.group, table.steps[:number]))
        if step.kind is Kind.COMPENSATABLE:
            yield from ((step, problem) for problem in _without_return(step.group))
        if step.group.over is not None:
            try:
                item_type(Scope(table, step, table.steps[:number]), step.group.over, "each")
            except ReferenceProblem as problem:
                yield step, str(problem)


def _doubled_names(table: Table, group: Group, earlier: tuple[Step, ...]) -> Iterator[str]:
    """Yield a problem for each name that a branch would need for two values of its saga."""
    for branch in group.branches:
        found = set(outer_references(branch.steps))
        for step in earlier:
            if step.name in table.data and {(step.name, True), (step.name, False)} <= found:
                both = f"{step.name!r} of data and to the reply of step {step.name}"
                yield f"branch {branch.name} refers to {both}; rename one of them"


def _hidden_names(table: Table, group: Group, earlier: tuple[Step, ...]) -> Iterator[str]:
    """Yield a problem for each name of each() that hides a field of data or an earlier step from a branch."""
    if group.over is None or table.is_branch:
        return
    found = {root for branch in group.branches for root, _ in outer_references(branch.steps)}
    for name in sorted(found & {ITEM, INDEX} & {*table.data, *(step.name for step in earlier)}):
        what = "field of data" if name in table.data else "step"
        yield f"each() calls its {name} {name!r}, as a {what} is called; rename the {what}"


def _without_return(group: Group) -> Iterator[str]:
    for branch in group.branches:
        for step in branch.steps:
            if step.kind in (Kind.PIVOT, Kind.RETRIABLE):
                yield (
                    f"branch {branch.name} has the {step.kind} {step.name}, so the group cannot be compensated; "
                    "move that step behind the group, or leave refused= out if nothing is undone after this step"
                )
