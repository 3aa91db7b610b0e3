"""The words for steps that start other sagas: `sub`, `together` and `each`."""

from collections.abc import Mapping
from typing import Unpack

from machines.children import Branch, Group, compensation_of, start_of
from machines.fields import Field
from machines.keeps import Kept
from machines.retry import NEVER
from machines.step import Kind, Step, WaitColumns, new_step
from machines.templates import Value
from machines.words import word


@word
def sub(
    name: str,
    *,
    done: str,
    refused: str | None = None,
    saga: str | None = None,
    data: Mapping[str, Value] | None = None,
    keeps: Mapping[str, Kept | Field] | None = None,
    undoing: str = "",
    pivot: bool = False,
    **columns: Unpack[WaitColumns],
) -> Step:
    """Return a step that starts the newest version of another saga with this data, and waits until it has ended.

    saga: its name; default: the name of the step. keeps: the fields of its replies that later steps can use. With
    `refused` the step is compensatable, and the compensation of the child undoes it. pivot: the child has a pivot, and
    the step is the point of no return of this saga, too. Without `refused` the child must complete.
    """
    child, kind = saga or name, Kind.PIVOT if pivot else Kind.COMPENSATABLE if refused else Kind.RETRIABLE
    compensates = kind is Kind.COMPENSATABLE
    return new_step(
        name,
        kind,
        call=start_of(child, {} if data is None else data, keeps or {}),
        undo=compensation_of(child) if compensates else None,
        undoing=(undoing or f"UNDOING_{str(name).upper()}") if compensates else undoing or None,
        done=done,
        refused=refused,
        retry=NEVER,
        **columns,
    )


@word
def branch(name: str, /, *steps: Step) -> Branch:
    """Return steps that together() does one after another, beside its other branches."""
    return Branch(name=name, steps=steps)


@word
def together(
    *branches: Step | Branch,
    name: str | None = None,
    done: str,
    refused: str | None = None,
    undoing: str = "",
    **columns: Unpack[WaitColumns],
) -> Step:
    """Return a step that starts branches at the same time, and waits until all of them are done.

    A step is a branch of one step. name: default: the names of the branches, joined by `_and_`. With `refused` the
    step is compensatable: when one branch cannot go forward, all of them are compensated. Without it, all must succeed.
    """
    parts = tuple(each if isinstance(each, Branch) else Branch(name=_name(each), steps=(each,)) for each in branches)
    joined = "_and_".join(str(each.name) for each in parts)
    return _group(name or joined, Group(branches=parts), done, refused, undoing, **columns)


@word
def each(
    over: str,
    /,
    *steps: Step,
    name: str | None = None,
    at_most: int | None = None,
    done: str,
    refused: str | None = None,
    undoing: str = "",
    **columns: Unpack[WaitColumns],
) -> Step:
    """Return a step that does the steps once for each item of the list `over`, for all items at the same time.

    The steps refer to `item` and `index`. name: default: the name of the only step; several
    steps need one. at_most: how many items are in
    work at once; default: all. refused: see `together`.
    """
    known = name or (_name(steps[0]) if len(steps) == 1 else "each")
    nameless = not name and len(steps) > 1  # check() refuses it
    group = Group(branches=(Branch(name="" if nameless else known, steps=steps),), over=over, at_most=at_most)
    return _group(known, group, done, refused, undoing, **columns)


def _name(step: object) -> str:
    return str(getattr(step, "name", "") or getattr(step, "step_name", ""))  # check() refuses what is no step


def _group(
    name: str, group: Group, done: str, refused: str | None, undoing: str, **columns: Unpack[WaitColumns]
) -> Step:
    kind = Kind.COMPENSATABLE if refused else Kind.RETRIABLE
    return new_step(
        name,
        kind,
        call=start_of(name, {}, {}),
        undo=compensation_of(name) if refused else None,
        undoing=(undoing or f"UNDOING_{name.upper()}") if refused else undoing or None,
        done=done,
        refused=refused,
        retry=NEVER,
        group=group,
        **columns,
    )
