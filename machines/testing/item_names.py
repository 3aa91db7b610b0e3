"""The numbers of items in the names of steps, such as `reserve[7]`: with a number that no item has, it is no name."""

import re
from collections.abc import Iterable

from machines.groups import items_of
from machines.references import FillError
from machines.step import Step
from machines.testing.family import Family
from machines.testing.member import Member

_PART = re.compile(r"(\w+)((?:\[\d+\])*)")
_NUMBER = re.compile(r"\d+")


def impossible_item(family: Family, member: Member, name: str) -> str:
    """Return why no call of a saga, or of those that it starts, has this name; "" where one may have it.

    name: a legal one, but for the numbers of items in it. A list that is not known yet may have any number of items.
    """
    label = name.rpartition(" ")[2]
    if not label.startswith(member.prefix):
        return f"this saga belongs to {member.prefix.removesuffix('.')}"
    at, passed = member, member.indexes
    for step, brackets in _PART.findall(label.removeprefix(member.prefix)):
        numbers = tuple(map(int, _NUMBER.findall(brackets)))
        if numbers[: len(passed)] != passed:
            return f"this saga is of item {passed[-1]}"
        below, problem = _child(family, at, step, numbers[len(passed) :])
        if below is None:
            return problem
        at, passed = below, ()
    return ""


def _child(family: Family, at: Member, name: str, numbers: tuple[int, ...]) -> tuple[Member | None, str]:
    """Return the saga that a step has started, None without one; or why its name cannot have these numbers of items.

    at: the saga of the step, or one around the groups that it is in.
    """
    for step in at.memory.definition.steps:
        if step.group is None:
            if step.name == name:
                return family.newest(at, name), ""
            continue
        for branch in step.group.branches:
            if not _has(branch.steps, name):
                continue
            if step.group.over is None:
                inner = family.newest(at, branch.name)
            else:
                if not numbers:
                    return None, ""  # the name of the group itself
                count = _count(at, step.group.over)
                if count is not None and numbers[0] >= count:
                    return None, f"{step.group.over} has {count} {'item' if count == 1 else 'items'}"
                inner, numbers = family.newest(at, step.name, numbers[0]), numbers[1:]
            return (None, "") if inner is None else _child(family, inner, name, numbers)
    return None, ""


def _has(steps: Iterable[Step], name: str) -> bool:
    inner = [branch.steps for step in steps if step.group is not None for branch in step.group.branches]
    return any(step.name == name for step in steps) or any(_has(each, name) for each in inner)


def _count(at: Member, over: str) -> int | None:
    """Return how many items a list has; None when it is not known yet."""
    saga = at.memory.load()
    try:
        return len(items_of(over, saga.data, saga.results))
    except FillError:
        return None
