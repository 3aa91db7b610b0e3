"""The checks of pauses and waits: their time limits, signals and fields."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from machines.accepting import NotAcceptedError, accept
from machines.check_fields import field_problems
from machines.check_scope import ReferenceProblem, Scope, field_of
from machines.check_types import column_of, no_text, out_of, shown
from machines.fields import Field, FieldKind, every_value
from machines.outcomes import Outcome
from machines.references import parts
from machines.step import Kind, Step
from machines.table import Table
from machines.waiting import LONGEST_STAY_S, ROLES, Waiting, duration

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
_TIMES = (FieldKind.DATE, FieldKind.DATETIME)
_MEANINGS = (Outcome.SUCCEEDED, Outcome.REFUSED)


def waiting_value_problems(step: Step) -> Iterator[str]:
    """Yield a problem for each value of a pause or a wait with a wrong type or out of bounds."""
    waits = step.waits
    if not isinstance(waits, Waiting):
        yield f"it waits for {shown(waits)}; use pause(), wait() or approval()"
        return
    limit = "for_s=" if waits.signal is None else "within_s="
    if waits.for_s is not None:
        yield from out_of(limit, waits.for_s, 0, LONGEST_STAY_S, above=True)
    for column, value in (("until=", waits.until), ("signal=", waits.signal), ("role=", waits.role)):
        if value is not None:
            yield from no_text(column, value)
    if waits.over is not None and waits.over not in _MEANINGS:
        yield f"over= is {shown(waits.over)}; write SUCCEEDED or REFUSED"
    for column in ("brings", "means"):
        if not isinstance(names := column_of(waits, column), Mapping):
            yield f"{column}= is {shown(names)}, no dict"
        else:
            yield from _BODY_PROBLEMS[column](names)


def _field_problems(brings: Mapping[Any, Any]) -> Iterator[str]:
    for name, field in brings.items():
        if isinstance(field, Field) and field.secret:
            yield f"brings= field {name!r} is secret, and the body of a signal is stored and shown; take secret() away"
        yield from (f"brings= field {name!r}: {problem}" for problem in field_problems(name, field))


def _value_problems(means: Mapping[Any, Any]) -> Iterator[str]:
    for name, meanings in means.items():
        if not isinstance(meanings, Mapping):
            yield f"means= of {name!r} is {shown(meanings)}; write {{value: REFUSED}}"
        elif wrong := [meaning for meaning in meanings.values() if meaning not in _MEANINGS]:
            yield f"means= of {name!r} has {shown(wrong[0])}; a signal means SUCCEEDED or REFUSED"


_BODY_PROBLEMS = {"brings": _field_problems, "means": _value_problems}


def waiting_problems(table: Table) -> Iterator[tuple[Step | None, str]]:
    """Yield a problem for each pause or wait that the engine could not carry out as the table says."""
    forward_only, signals, stay_s = False, set(), 0.0
    for number, step in enumerate(table.steps):
        if (waits := step.waits) is not None:
            scope = Scope(table, step, table.steps[:number])
            yield from ((step, problem) for problem in _problems(scope, waits, forward_only=forward_only))
            if waits.signal in signals:
                yield step, f"signal {waits.signal!r} is named twice; give each wait a signal of its own"
            if waits.signal is not None:
                signals.add(waits.signal)
        # The deadline does not end the wait of an accepted pivot, and it does not stop the steps after the pivot.
        if step.kind is not Kind.PIVOT and (waited_s := longest_s(step)):
            stay_s += waited_s
            if not forward_only and stay_s >= table.deadline_s:
                longest = f"the saga may wait {duration(stay_s)} up to here, and its deadline_s={table.deadline_s:.10g}"
                yield step, f"{longest} would end it before; make deadline_s longer than {stay_s:.10g}"
        forward_only = forward_only or step.kind in (Kind.PIVOT, Kind.RETRIABLE)


def longest_s(step: Step) -> float:
    """Return the longest time that the saga waits in a step, in seconds; 0 when the table does not limit the wait."""
    waits = step.waits or step.later
    return (waits.for_s or 0.0) if waits else 0.0


def _problems(scope: Scope, waits: Waiting, *, forward_only: bool) -> Iterator[str]:
    if waits.signal is None and (waits.for_s is None) == (waits.until is None):
        yield "a pause has one end; give it for_s= or until="
    if waits.until is not None:
        yield from _until_problems(scope, waits.until)
    if waits.signal is not None and not _NAME.fullmatch(waits.signal):
        yield f"signal {waits.signal!r} is not a name; use letters, digits and underscores"
    if waits.role is not None and waits.role not in ROLES:
        yield f"role={waits.role!r} is none; use {' or '.join(ROLES)}"
    yield from _meaning_problems(waits)
    refuses = waits.over is Outcome.REFUSED or any(
        meaning is Outcome.REFUSED for meanings in waits.means.values() for meaning in meanings.values()
    )
    if forward_only and refuses:
        yield "it cannot refuse, for there is no way back after the pivot; use SUCCEEDED, or move the step up"


def _until_problems(scope: Scope, reference: str) -> Iterator[str]:
    try:
        field = field_of(scope, reference)
    except ReferenceProblem as problem:
        yield f"until={problem}"
        return
    if field is None:
        yield f"until={reference!r} has no known type; keep it as date() or datetime()"
    elif field.kind not in _TIMES:
        yield f"until={reference!r} is of type {field.kind}; name a date() or a datetime()"
    elif field.optional or field.nullable:
        yield f"until={reference!r} may be missing; make the field required"


def _meaning_problems(waits: Waiting) -> Iterator[str]:
    for path, meanings in waits.means.items():
        field = _brought(waits, path)
        if field is None:
            yield f"means= names {path!r}, which the signal does not bring; add it to brings="
            continue
        for value in meanings:
            try:
                accept(replace(field, nullable=True), value)
            except NotAcceptedError as error:
                yield f"means= of {path!r}: the value {error.problem}"
        every = every_value(field)
        if every and all(meanings.get(value) is Outcome.REFUSED for value in every):
            yield f"means= of {path!r}: every value means REFUSED, so the step is never done; leave one out"


def _brought(waits: Waiting, path: str) -> Field | None:
    """Return the field of a signal's body at a path; None when there is none."""
    first, *below = parts(path)
    field = waits.brings.get(first)
    for name in below:
        field = (field.items or {}).get(name) if field and field.kind is FieldKind.OBJECT else None
    return field
