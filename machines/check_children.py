"""The checks of steps that start another saga. They need both tables, so they run when all tables are known."""

from collections.abc import Container, Iterable, Iterator, Mapping

from machines.check_graph import closure
from machines.check_scope import ReferenceProblem, Scope, field_of, named, scope_of, type_of
from machines.check_types import mend
from machines.children import root_name
from machines.fields import Field, FieldKind
from machines.keeps import kept_of
from machines.references import parts
from machines.saga import Saga
from machines.secrets import holds_secret
from machines.step import Kind, Step

#: Types of data that accept a value of another type; a value of any other type must have the type of its field.
_ACCEPTS = {
    FieldKind.NUMBER: (FieldKind.INTEGER, FieldKind.AMOUNT),
    FieldKind.AMOUNT: (FieldKind.INTEGER, FieldKind.NUMBER, FieldKind.DECIMAL),
    FieldKind.DECIMAL: (FieldKind.INTEGER, FieldKind.NUMBER, FieldKind.AMOUNT, FieldKind.TEXT),
    FieldKind.INTEGER: (FieldKind.NUMBER,),
}
#: Types whose values are texts. The content of a text is checked when the child starts.
_TEXTS = (FieldKind.TEXT, FieldKind.UUID, FieldKind.DATE, FieldKind.DATETIME, FieldKind.CHOICE, FieldKind.DECIMAL)


def child_problems(
    definitions: Iterable[Saga], newest: Mapping[str, Saga], unread: Container[str] = ()
) -> Iterator[str]:
    """Yield a problem for each step that cannot start its saga.

    newest: name → the newest version of each saga. unread: names of other sagas, of which nothing else is known.
    """
    # A branch is no entry of `newest`: what it starts, its saga starts.
    starts = {name: set(_started(saga.steps)) & newest.keys() for name, saga in newest.items()}
    for definition in definitions:
        for number, step in enumerate(definition.steps):
            if step.starts is not None and step.group is None and (step.starts in newest or step.starts not in unread):
                problems = _problems(definition, number, newest.get(step.starts), newest, starts)
                yield from (f"{definition}: step {step.name}: {problem}" for problem in problems)


def _started(steps: Iterable[Step]) -> Iterator[str]:
    """Yield the name of each saga that the steps start, also in the branches of groups."""
    for step in steps:
        if step.group is not None:
            for branch in step.group.branches:
                yield from _started(branch.steps)
        elif step.starts is not None:
            yield step.starts


def _problems(
    parent: Saga, number: int, child: Saga | None, newest: Mapping[str, Saga], starts: Mapping[str, set[str]]
) -> Iterator[str]:
    step = parent.steps[number]
    if child is None:
        yield f"it starts {step.starts!r}, which is no saga; {mend(str(step.starts), newest, 'write its table')}"
        return
    root = root_name(parent.name)
    if root in closure(starts, (child.name,)):
        yield f"it starts {child.name!r}, which would start {root!r} again without an end; start another saga"
        return
    if step.kind is Kind.COMPENSATABLE and (last := _without_return(child)):
        yield (
            f"{child} has the {last.kind} {last.name}, so it cannot be compensated; write pivot=True, or leave "
            "refused= out if nothing is undone after this step"
        )
    yield from _data_problems(parent, number, child)
    yield from _keeps_problems(step, child)


def _without_return(child: Saga) -> Step | None:
    """Return the step after whose success the child cannot be compensated; None: it can always be compensated."""
    return next((step for step in child.steps if step.kind in (Kind.PIVOT, Kind.RETRIABLE)), None)


def _data_problems(parent: Saga, number: int, child: Saga) -> Iterator[str]:
    call = parent.steps[number].call
    assert call is not None
    scope = scope_of(parent, number, call)
    for name, field in child.data.items():
        if name not in call.body and not field.optional and field.default is None:
            yield f"data= lacks {name!r}, which {child} needs; add it"
    for name, value in call.body.items():
        if name not in child.data:
            yield f"data= has {name!r}, which is no field of {child}; {mend(name, child.data, 'take it out')}"
            continue
        given, wanted = type_of(scope, value), child.data[name]
        if given is None:
            continue
        if not _fits(given, wanted):
            yield f"data= {name!r} is {named(given)}, and {child} takes the type {wanted.kind}; name another value"
        if holds_secret(given) and not holds_secret(wanted):
            yield f"data= {name!r} is secret, and {child} would show it; write secret() there"


def _fits(given: Field, wanted: Field) -> bool:
    kinds = {given.kind, wanted.kind}
    both_texts = given.kind in _TEXTS and wanted.kind in _TEXTS
    return len(kinds) == 1 or FieldKind.ANYTHING in kinds or both_texts or given.kind in _ACCEPTS.get(wanted.kind, ())


def _keeps_problems(step: Step, child: Saga) -> Iterator[str]:
    replies, scope = {each.name: each for each in child.steps}, Scope(child, step, child.steps)
    for name, declared in step.keeps.items():
        kept = kept_of(name, declared)
        for path in filter(None, (kept.source, kept.otherwise)):
            of, *below = parts(path)
            if of not in replies or not below:
                yield f"keeps= names {path!r}, and {child} has the steps {', '.join(replies)}; write step.field"
            elif replies[of].when is not None and not (kept.field.optional or kept.otherwise):
                yield f"keeps= {path!r} may be missing: {child} may skip step {of}; write optional() around its type"
            elif _is_secret(replies[of], ".".join(below)) and not holds_secret(kept.field):
                yield f"keeps= {path!r} is secret in {child}; write secret() here, too"
            else:
                yield from _kept_problems(scope, path, kept.field)


def _kept_problems(scope: Scope, path: str, wanted: Field) -> Iterator[str]:
    """Yield a problem when a reply of the child never has the value that its parent keeps, or one of another type."""
    try:
        given = field_of(scope, path)
    except ReferenceProblem as problem:
        yield f"keeps= of {scope.table}: {problem}"
        return
    if given is not None and not _fits(given, wanted):
        yield f"keeps= {path!r} is {named(given)} in {scope.table}, and not of type {wanted.kind}; write that type"


def _is_secret(step: Step, path: str) -> bool:
    """Return True when the field of a step's reply, or a field inside it or around it, is secret."""
    return any(
        holds_secret(kept_of(name, declared).field)
        for name, declared in step.keeps.items()
        if name == path or name.startswith(f"{path}.") or path.startswith(f"{name}.")
    )
