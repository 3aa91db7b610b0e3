"""A request of a test run, as a text that a test can compare."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from machines.testing.memory import Request
from machines.testing.names import Name, Vocabulary


@dataclass(frozen=True, kw_only=True, slots=True)
class Logged:
    """A request that left its process."""

    request: Request
    #: Name of the answer.
    answer: str
    #: Name of the step in the tree of its saga, such as `reserve[0]`.
    label: str


class Sent(Name):
    """A request that was sent, such as `pay`, `undo reserve` or `probe pay`; it is equal to this text."""

    __slots__ = ("answer", "body", "headers", "method", "path", "step")
    step: str
    method: str
    path: str
    body: Any
    headers: Mapping[str, str]
    #: Name of the answer.
    answer: str

    def __new__(cls, logged: Logged, known: Vocabulary) -> Self:
        """known: the legal names of the run that shows it."""
        request, label = logged.request, logged.label
        self = super().__new__(cls, label if request.purpose == "do" else f"{request.purpose} {label}", known.calls)
        self.step, self.method, self.path = Name(request.step, known.all_steps), request.call.method, request.path
        self.body, self.headers, self.answer = request.body, request.headers, logged.answer
        return self
