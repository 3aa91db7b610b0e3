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
    try:
        return {name: accept(brings[name], value) for name, value in body.items()}
    except NotAcceptedError as error:
        raise NotAllowedError(f"the signal of {step.name} has a value that {error.problem}") from None
