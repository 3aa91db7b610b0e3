"""One attempt of one call, and the interface of its sender."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from machines.replies import Reply


# not frozen: a frozen dataclass takes three times as long to build, and each call builds several
@dataclass(kw_only=True)
class Request:
    """One attempt of one call."""

    #: Name of the participant.
    participant: str
    #: HTTP method.
    method: str
    #: Full URL.
    url: str
    #: Headers of this request. The client adds the headers that every request has.
    headers: Mapping[str, str]
    #: Body; None for a call without one.
    body: Any
    #: Longest duration of the whole attempt, in seconds.
    timeout_s: float
    #: True: the body is sent as a form, and not as JSON.
    form: bool = False
    #: True: an operator has the request sent now, even while the circuit breaker is open.
    sent_now: bool = False


class Sender(Protocol):
    """An HTTP client that sends one request once."""

    def send(self, request: Request) -> Reply: ...
