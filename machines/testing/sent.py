"""A request of a test run, as a text that a test can compare."""

from collections.abc import Mapping
from typing import Any, Self

from machines.testing.memory import Request


class Sent(str):
    """A request that was sent, such as `pay`, `undo reserve` or `probe pay`; it is equal to this text."""

    __slots__ = ("answer", "body", "headers", "method", "path", "step")
    step: str
    method: str
    path: str
    body: Any
    headers: Mapping[str, str]
    #: Name of the answer.
    answer: str

    def __new__(cls, request: Request, answer: str, label: str) -> Self:
        """label: name of the step in the tree of its saga, such as `reserve[0]`."""
        self = super().__new__(cls, label if request.purpose == "do" else f"{request.purpose} {label}")
        self.step, self.method, self.path = request.step, request.call.method, request.path
        self.body, self.headers, self.answer = request.body, request.headers, answer
        return self
