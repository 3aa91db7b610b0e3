"""The part of a table that is known when some values have a wrong type, so that the other steps can be checked."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from machines.call import Call
from machines.check_fields import field_problems
from machines.check_values import column_problems
from machines.step import Kind, Step
from machines.table import Table
from machines.words import Misused

#: Replaces a call with a value of a wrong type. Any reference to its reply is legal.
_ANY = Call(method="POST", participant="", path="/")


def known_part(table: Table, wrong: Sequence[Step]) -> Table | None:
    """Return the table with the legal fields. A step with an unknown reply replaces each step of `wrong`.

    wrong: the steps with a value of a wrong type. Return None when a column of the table itself has a wrong type.
    """
    if any(column_problems(table)):
        return None
    steps = [step if isinstance(step, Step) and step not in wrong else _unknown(step) for step in table.steps]
    columns = {column.name: getattr(table, column.name) for column in fields(Table)}
    return Table(**columns | {"steps": tuple(steps), "data": _known_data(table.data)})


def _unknown(step: Any) -> Step:
    name = step.step_name if isinstance(step, Misused) else getattr(step, "name", None)
    return Step(name=name if isinstance(name, str) else "", kind=Kind.READ, call=_ANY, done="")


def _known_data(data: Mapping[Any, Any]) -> dict[str, Any]:
    """Return the fields of the data; None for a field with a problem."""
    return {
        name: None if any(field_problems(name, field)) else field
        for name, field in data.items()
        if isinstance(name, str)
    }
