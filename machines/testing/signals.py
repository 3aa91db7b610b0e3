"""The body of a signal that a test sends, checked as the API checks it."""

from collections.abc import Mapping
from typing import Any

from machines.accepting import NotAcceptedError, accept
from machines.step import Step


class NotAllowedError(Exception):
    """The table or the saga's state does not allow what the test asks for. The API would answer 409 or 404."""


def signal_body(step: Step, body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the body of a signal, checked against the fields that the step waits for."""
    brings = step.waits.brings if step.waits else {}
    missing = [name for name, field in brings.items() if field.required and name not in body]
    if missing or (body.keys() - brings.keys()):
        names = missing or sorted(body.keys() - brings.keys())
        what = "lacks" if missing else "has no field"
        raise NotAllowedError(f"the signal of {step.name} {what} {', '.join(names)}; it brings {', '.join(brings)}")
    found = {}
    for name, value in body.items():
        try:
            found[name] = accept(brings[name], value)
        except NotAcceptedError as error:
            where = ".".join(map(str, (name, *error.path)))
            raise NotAllowedError(f"the signal of {step.name}: {where} {error.problem}") from None
    return found
