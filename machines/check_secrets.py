"""The check that no secret is where people see it: in an address, or in a value by which they search sagas."""

from collections.abc import Iterator
from dataclasses import replace

from machines.call import Call
from machines.check_scope import ReferenceProblem, Scope, field_of, item_type
from machines.fields import Field
from machines.references import members
from machines.secrets import holds_secret, personal_fields
from machines.table import Table
from machines.templates import Function, Value


def address_problems(scope: Scope, call: Call) -> Iterator[str]:
    """Yield a problem for each secret value in the path or the query of a call."""
    for reference in call.path_references:
        if _is_secret(scope, reference):
            yield _problem(reference, "a path")
    for value in call.query.values():
        for where, reference in _references(scope, value):
            if _is_secret(where, reference):
                yield _problem(reference, "a query")


def search_problems(table: Table) -> Iterator[str]:
    """Yield a problem for each column that would show a secret value in lists of sagas."""
    if not table.steps:
        return
    scope = Scope(table, table.steps[-1], tuple(table.steps), undoes=True)
    for column in ("client", "store", "order"):
        reference = getattr(table, column)
        if reference is not None and _is_secret(scope, reference):
            yield f"{column}={reference!r} is secret, and lists of sagas show it; name another field, or leave it out"
    for name in table.tags:
        if name in table.data and _is_secret(scope, name):
            yield f"tags= names {name!r}, which is secret, and the index of tags would show it; take it out"


def owner_problems(table: Table) -> Iterator[str]:
    """Yield a problem for each personal value of a table that does not say whose it is. A branch is its saga's."""
    if table.client is not None or table.is_branch:
        return
    for name in personal_fields(table):
        yield f"{name!r} is personal, and no client= says whose it is; write client= with the customer's field"


def _problem(reference: str, where: str) -> str:
    logged = f"{where}, which servers and proxies write to their logs"
    return f"{reference!r} is secret, and would be sent in {logged}; send it in a body or a header"


def _is_secret(scope: Scope, reference: str) -> bool:
    """Return True for a secret value, and for an object or a list with a secret value in it."""
    try:
        field = field_of(scope, reference)
    except ReferenceProblem:  # another check reports it
        return False
    return field is not None and holds_secret(field)


def _references(scope: Scope, value: Value) -> Iterator[tuple[Scope, str]]:
    """Yield each reference of a value, with the scope in which it is read."""
    if isinstance(value, str):
        yield scope, value
    elif isinstance(value, Function):
        yield from _references_of(scope, value)
    for each in members(value):
        yield from _references(scope, each)


def _references_of(scope: Scope, function: Function) -> Iterator[tuple[Scope, str]]:
    name, arguments = function.name, function.arguments
    if name == "const":
        return
    if name == "total":
        where, _, field = arguments[0].rpartition(".")
        yield scope, f"{where}.0.{field}"
        return
    if name == "each_item":
        scope, arguments = replace(scope, item=_item(scope, arguments[0]), within_item=True), arguments[1:]
    for argument in arguments:
        yield from _references(scope, argument)


def _item(scope: Scope, reference: str) -> Field | None:
    """Return the type of an item of a list. The items of a secret list are secret."""
    try:
        item, whole = item_type(scope, reference, "each_item"), field_of(scope, reference)
    except ReferenceProblem:
        return None
    return item and replace(item, secret=item.secret or (whole is not None and whole.secret))
