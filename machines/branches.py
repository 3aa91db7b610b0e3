"""The tables of branches. Each branch of a group is a saga of a table that is derived here, and nowhere else.

The data of a branch is what its steps refer to: fields of the parent's data, replies of the parent's earlier steps, and
in each() the item and its index. So a reference means in a branch what it means in the parent.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

from machines.branch_references import outer_references
from machines.check_scope import ReferenceProblem, Scope, field_of, item_type
from machines.children import INDEX, ITEM, Branch, Start, stored_reply
from machines.fields import Field, FieldKind
from machines.keeps import kept_of
from machines.saga import Saga
from machines.step import Step


@dataclass(frozen=True, kw_only=True, eq=False)
class BranchTable(Saga):
    """The table of a branch."""

    is_branch: ClassVar[bool] = True
    #: True: not all children of the group may run at once, so the end of each one makes the parent start the next.
    limited: bool = False
    #: True: one of the items of an each().
    of_items: bool = False
    #: Names of data that are replies of the parent's steps. The other data are the parent's data, or an item.
    replies: frozenset[str] = frozenset()

    @cached_property
    def needed_fields(self) -> Mapping[str, frozenset[str]]:
        """Step → the fields of its reply that other calls need, and those that the branch keeps for its saga.

        So a person who resolves a stuck branch gives what the saga may use later, such as `reserve.*.id`.
        """
        found = super().needed_fields
        return {step.name: found[step.name] | _kept_names(step) for step in self.steps}


def _kept_names(step: Step) -> frozenset[str]:
    """Return the fields of a step's reply that are never missing."""
    fields = {name: kept_of(name, declared).field for name, declared in step.keeps.items()}
    return frozenset(name for name, field in fields.items() if not field.optional)


def branch_name(parent: str, step: Step, branch: Branch) -> str:
    """Return the name of a branch's saga: `order.reserve`, or `order.paper.label` where its group has several."""
    group = f"{parent}.{step.name}"
    return group if step.group is not None and step.group.over is not None else f"{group}.{branch.name}"


def is_branch_name(name: str) -> bool:
    """Return True for the name of a table that `branch_name` returns: no other name has a dot."""
    return "." in name


def started_names(parent: str, step: Step) -> list[str]:
    """Return the name of the saga, or of each branch, that a step of this saga starts."""
    if step.group is not None:
        return [branch_name(parent, step, branch) for branch in step.group.branches]
    return [step.starts] if step.starts is not None else []


def branch_tables(parent: Saga) -> Iterator[BranchTable]:
    """Yield the table of each branch of a table, also of the groups within a branch. Raise TableError."""
    return (table for table, _ in branches_with_step(parent))


def branches_with_step(parent: Saga) -> Iterator[tuple[BranchTable, Step]]:
    """Yield each table of `branch_tables`, and the step whose group has the branch."""
    for number, step in enumerate(parent.steps):
        for branch in step.group.branches if step.group is not None else ():
            table = _table(parent, number, branch)
            yield table, step
            yield from branches_with_step(table)


def _table(parent: Saga, number: int, branch: Branch) -> BranchTable:
    step = parent.steps[number]
    assert step.group is not None
    called = {call.participant for call in _calls(branch.steps)}
    earlier = {each.name for each in parent.steps[:number]}
    replies = earlier & {root for root, alone in outer_references(branch.steps) if not alone}
    return BranchTable(
        name=branch_name(parent.name, step, branch),
        version=parent.version,
        data=_data(parent, number, branch),
        participants=tuple(name for name in parent.participants if name in called),
        initial=f"BEGIN_{branch.name.upper()}",
        completed=branch.steps[-1].done,
        compensated=f"{branch.name.upper()}_UNDONE",
        steps=branch.steps,
        deadline_s=parent.deadline_s,
        priority=parent.priority,
        at_once=parent.at_once,
        limited=step.group.at_most is not None,
        of_items=step.group.over is not None,
        replies=frozenset(replies),
        title=step.title,
    )


def _calls(steps: tuple[Step, ...]) -> Iterator[Any]:
    for step in steps:
        yield from (call for call in step.calls if not isinstance(call, Start))
        if step.group is not None:
            yield from (call for call in step.group.calls if not isinstance(call, Start))


def _data(parent: Saga, number: int, branch: Branch) -> Mapping[str, Field]:
    """Return the types of a branch's data. A reference to something unknown is left to the check of its table."""
    step, found = parent.steps[number], dict[str, Field]()
    assert step.group is not None
    if step.group.over is not None:
        scope = Scope(parent, step, parent.steps[:number])
        found = {ITEM: _item(scope, step.group.over), INDEX: Field(kind=FieldKind.INTEGER)}
    earlier = {each.name: each for each in parent.steps[:number]}
    for root, alone in dict.fromkeys(outer_references(branch.steps)):
        if root in found:
            continue
        if root in earlier and not alone:
            found[root] = _reply_type(earlier[root])
        elif root in parent.data:
            found[root] = parent.data[root]
    return found


def _item(scope: Scope, over: str) -> Field:
    """Return the type of an item. The items of a secret list are secret."""
    try:
        item, whole = item_type(scope, over, "each"), field_of(scope, over)
    except ReferenceProblem:  # the check of the parent reports it
        item = whole = None
    item = item or Field(kind=FieldKind.ANYTHING)
    return replace(item, secret=item.secret or (whole is not None and whole.secret))


def _reply_type(step: Step) -> Field:
    stored = stored_reply(step)
    if step.group is not None or step.keeps or step.starts or step.call is None:
        return stored
    return Field(kind=FieldKind.ANYTHING, optional=stored.optional)


def data_of_branch(table: BranchTable, parent_data: Mapping[str, Any], results: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the table of a branch takes of the parent's data and replies. each() puts its own item over it."""
    data = {name: parent_data[name] for name in table.data if name in parent_data and name not in table.replies}
    return data | {name: results[name] for name in table.replies if name in results}


def result_of(branch: Branch, replies: Mapping[str, Any]) -> Any:
    """Return what a completed branch keeps. replies: step → its reply."""
    if len(branch.steps) == 1:
        return _kept_reply(branch.steps[0], replies)
    return {step.name: _kept_reply(step, replies) for step in branch.steps}


def _kept_reply(step: Step, replies: Mapping[str, Any]) -> Any:
    reply = replies.get(step.name)
    return (reply if reply is not None else {}) if step.keeps or step.group is not None else {}
