"""The errors of the client, by kind. Each one is a SagaError."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from saga_client.results import Saga


@dataclass(frozen=True, kw_only=True)
class WrongField:
    """A field of the data that was refused."""

    #: JSON pointer of the field, such as /nights.
    pointer: str
    #: What is wrong.
    detail: str


class SagaError(Exception):
    """Any error of this client. The text says what happened."""

    def __init__(self, text: str, *, status: int | None = None, problem: Mapping[str, Any] | None = None) -> None:
        super().__init__(text)
        #: Status of the answer; None: there was no answer.
        self.status = status
        #: The problem document (RFC 9457) of the answer; empty: there was none.
        self.problem: Mapping[str, Any] = problem or {}

    @property
    def saga_id(self) -> UUID | None:
        """Id of the saga that the error is about; None: the error concerns no saga."""
        found = self.problem.get("saga_id")
        return UUID(found) if isinstance(found, str) else None


class _AboutSaga(SagaError):
    def __init__(self, text: str, saga: Saga) -> None:
        super().__init__(text)
        #: The saga, as the service described it last.
        self.saga = saga

    @property
    def saga_id(self) -> UUID:
        return self.saga.id

    @property
    def reason(self) -> str:
        """Why the saga did not complete."""
        return self.saga.reason or ""


class Compensated(_AboutSaga):
    """The saga has ended, but is not completed: a step was refused, and everything done before it is undone."""


class Stuck(_AboutSaga):
    """The saga has stopped, and a person must decide. It can still complete later."""


class StillRunning(_AboutSaga):
    """The saga has not ended within the wait. It continues; wait for it with `wait_for_end`."""


class InvalidData(SagaError):
    """The request is wrong, and was not carried out. `errors` names each wrong field."""

    @property
    def errors(self) -> tuple[WrongField, ...]:
        wrong = self.problem.get("errors") or ()
        return tuple(WrongField(pointer=each["pointer"], detail=each["detail"]) for each in wrong)


class Unauthorized(SagaError):
    """The API key is missing, unknown, revoked or expired."""


class Forbidden(SagaError):
    """The API key lacks the scope for this request."""


class NotFound(SagaError):
    """There is no such saga, saga type or schedule."""


class Conflict(SagaError):
    """The request is not possible now."""


class KeyReused(Conflict):
    """The key belongs to a saga with other data."""


class Unavailable(SagaError):
    """No attempt got a usable answer from the service. It is unknown whether the saga has started.

    Send the same request with the same key again: it finds the saga or starts it.
    """


class Unexpected(SagaError):
    """The answer does not come from the service. Check the URL."""


#: Status of an answer → error. A status after which the request is sent again is not listed.
_BY_STATUS: Mapping[int, type[SagaError]] = {
    400: InvalidData,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    405: NotFound,
    409: Conflict,
    413: InvalidData,
    415: InvalidData,
    422: KeyReused,
}


def error_of(status: int, problem: Mapping[str, Any], text: str = "") -> SagaError:
    """Return the error of an answer. text: shown when the answer has no problem document."""
    kind = _BY_STATUS.get(status, Unexpected)
    if "detail" not in problem:  # a proxy's own answer, or another program's
        kind = kind if kind in (Unauthorized, Forbidden) else Unexpected
        return kind(f"{status}: {text[:200] or 'an answer without a problem document; check the URL'}", status=status)
    return kind(f"{problem.get('title', status)}: {problem['detail']}", status=status, problem=problem)
