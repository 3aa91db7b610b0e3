"""The part of a table that is known when some values have a wrong type, so that the other steps can be checked."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from machines.check_fields import field_problems
from machines.check_repaired import ANY, repaired
from machines.check_values import column_problems, step_value_problems
from machines.step import Kind, Step
from machines.table import Table
from machines.words import Misused


def known_part(table: Table, wrong: Sequence[Step]) -> Table | None:
    """Return the table with the legal fields. A step with an unknown reply replaces each step of `wrong`.

    wrong: the steps with a value of a wrong type. A step that only has wrong arguments is repaired. Return None when a
    column of the table itself has a wrong type.
    """
    if any(column_problems(table)):
        return None
    steps = [step if isinstance(step, Step) and step not in wrong else _unknown(step) for step in table.steps]
    columns = {column.name: getattr(table, column.name) for column in fields(Table)}
    return Table(**columns | {"steps": tuple(steps), "data": _known_data(table.data)})


def kinds_known(table: Table) -> bool:
    """Return True when the kind of every step is known, and so which steps have no way back."""
    return all(
        isinstance(step.kind, Kind) if isinstance(step, Step) else isinstance(step, Misused) and repaired(step)
        for step in table.steps
    )


def _unknown(step: Any) -> Step:
    meant = repaired(step) if isinstance(step, Misused) else step
    if meant is not step and meant is not None and not any(step_value_problems(meant)):
        return meant
    name, kind = getattr(meant, "name", None), getattr(meant, "kind", None)
    if isinstance(step, Misused):
        name = step.step_name
    return Step(
        name=name if isinstance(name, str) else "",
        kind=kind if isinstance(kind, Kind) else Kind.READ,
        call=ANY,
        done="",
    )


def _known_data(data: Mapping[Any, Any]) -> dict[str, Any]:
    """Return the fields of the data; None for a field with a problem."""
    return {
        name: None if any(field_problems(name, field)) else field
        for name, field in data.items()
        if isinstance(name, str)
    }
