"""The requests of the client, and how it reads the answers. This module does no input or output.

An operation is a generator: it yields a Request, and gets its Answer or the error of a lost connection; or it yields a
Pause. `Sagas` runs these generators in the caller's thread, and `AsyncSagas` runs them with asyncio.
"""

from __future__ import annotations

import json
import typing
from collections.abc import Awaitable, Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, TypeVar
from urllib.parse import quote, urlencode
from uuid import UUID, uuid4

from saga_client.errors import (
    Compensated,
    InvalidData,
    SagaError,
    StillRunning,
    Stuck,
    Unavailable,
    Unexpected,
    error_of,
)
from saga_client.results import (
    BatchResult,
    Saga,
    SagaDetails,
    SagaFilters,
    SagaPage,
    Status,
    details_of,
    page_of,
    saga_of,
)
from saga_client.transport import Answer, Request

#: Statuses after which the same request is sent again: the service, or a proxy before it, cannot answer now.
AGAIN = frozenset({408, 425, 429, *range(500, 600)})
#: Statuses of an answer with the started saga.
STARTED = frozenset({200, 201, 202})
#: Longest `wait=` of one request, in seconds. The service never waits longer, so the client repeats the request.
LONGEST_WAIT_S = 60
#: Longest Retry-After that the client obeys, in seconds. After a longer Retry-After the client gives up.
LONGEST_RETRY_AFTER_S = 60.0
#: First and longest pause before a repetition, and between two reads of a running saga, in seconds.
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.2, 10.0
FIRST_LOOK_S, LONGEST_LOOK_S = 0.1, 2.0

T = TypeVar("T")


@dataclass(frozen=True)
class Pause:
    """A pause between two requests."""

    seconds: float


Steps = Generator[Request | Pause, Answer | Exception | None, T]


class CarriesOut(typing.Protocol):
    """Runs an operation to its end, in the caller's thread."""

    def __call__(self, steps: Steps[T]) -> T: ...


class CarriesOutLater(typing.Protocol):
    """Runs an operation to its end, with asyncio."""

    def __call__(self, steps: Steps[T]) -> Awaitable[T]: ...


class Protocol:
    """The operations. attempts: largest number of times that one request is sent.

    clock: the time in seconds. jitter: returns a random number from 0 to its argument.
    """

    def __init__(self, attempts: int, clock: Callable[[], float], jitter: Callable[[float], float]) -> None:
        if attempts < 1:
            raise ValueError("attempts must be 1 or more")
        self._attempts, self._clock, self._jitter = attempts, clock, jitter

    def start(
        self, name: str, data: Mapping[str, Any], key: str | None, wait_s: float = 0.0, *,
        at: datetime | None = None, webhook: str | None = None,
    ) -> Steps[Saga]:  # fmt: skip
        """Start a saga and return it. wait_s: how long the service waits for its end, but at most LONGEST_WAIT_S.

        at: when the saga starts; the service does not wait in this case.
        """
        wait = max(min(int(wait_s), LONGEST_WAIT_S), 0)
        headers, path = {"Idempotency-Key": key or str(uuid4())}, _path(name)
        if at is None:
            headers["Prefer"] = f"wait={wait}" if wait else "respond-async"
        else:
            path += f"?start_at={quote(_aware(at))}"
        if webhook is not None:
            headers["Saga-Webhook"] = webhook
        request = post_request(path, data, wait, **headers)
        answer = yield from self.send(request)
        body, replayed = json_object(answer), answer.headers.get("idempotent-replayed") == "true"
        if answer.status in STARTED:
            return read(saga_of, body, replayed=replayed)
        if answer.status == HTTPStatus.CONFLICT and "saga_id" in body:
            if "state" in body:
                return _compensated(name, body, replayed=replayed)
            running = yield from self.get(body["saga_id"])  # an earlier request with this key has started it
            return Saga(**{each: getattr(running, each) for each in Saga.__dataclass_fields__} | {"replayed": True})
        raise error(answer, body)

    def run(
        self, name: str, data: Mapping[str, Any], key: str | None, wait_s: float, *, webhook: str | None = None
    ) -> Steps[Saga]:
        """Start a saga and wait for its end. Return the completed saga; raise as `wait_for_end` does."""
        until = self._clock() + wait_s
        saga = yield from self.start(name, data, key, wait_s, webhook=webhook)
        if not (saga.ended or saga.stuck) and until > self._clock():
            saga = yield from self.wait_for_end(saga.id, until - self._clock())
        return _completed(saga)

    def get(self, saga_id: UUID | str) -> Steps[SagaDetails]:
        answer = yield from self.send(Request(method="GET", path=_path(str(saga_id))))
        body = json_object(answer)
        if answer.status != HTTPStatus.OK:
            raise error(answer, body)
        return read(details_of, body)

    def page(self, filters: SagaFilters, limit: int, after: str | None) -> Steps[SagaPage]:
        """Return one page of the sagas that match, the newest first. after: `SagaPage.next` of the page before."""
        words = [pair for name, value in filters.items() for pair in _query(name, value)]
        words += [("limit", str(limit)), *([("cursor", after)] if after else [])]
        answer = yield from self.send(Request(method="GET", path=f"/api/v1/sagas?{urlencode(words)}"))
        body = json_object(answer)
        if answer.status != HTTPStatus.OK:
            raise error(answer, body)
        return read(page_of, body)

    def wait_for_end(self, saga_id: UUID | str, wait_s: float) -> Steps[SagaDetails]:
        """Return the completed saga. Raise Compensated, Stuck, or StillRunning after `wait_s` seconds."""
        until, pause_s = self._clock() + wait_s, FIRST_LOOK_S
        while True:
            saga = yield from self.get(saga_id)
            left_s = until - self._clock()
            if saga.ended or saga.stuck or left_s <= 0:
                return _completed(saga)
            yield Pause(min(pause_s, left_s))
            pause_s = min(pause_s * 1.5, LONGEST_LOOK_S)

    def batch(
        self, name: str, starts: Mapping[str, Mapping[str, Any]], *, at: datetime | None = None,
        webhook: str | None = None,
    ) -> Steps[list[BatchResult]]:  # fmt: skip
        """Start a saga for each key. Return a result for each, in order. at: when the sagas start."""
        later = {} if at is None else {"start_at": _aware(at)}
        named = {} if webhook is None else {"webhook": webhook}
        body = {"starts": [{"key": key, "data": data} | later | named for key, data in starts.items()]}
        answer = yield from self.send(post_request(f"{_path(name)}/batch", body, 0))
        found = json_object(answer)
        if answer.status != HTTPStatus.OK:
            raise error(answer, found)
        return read(_results, found, keys=list(starts))

    def send(self, request: Request) -> Steps[Answer]:
        """Send the request until the service answers. Raise Unavailable after the last attempt."""
        for attempt in range(1, self._attempts + 1):
            outcome = yield request
            if isinstance(outcome, Answer) and outcome.status not in AGAIN:
                return replace(outcome, attempts=attempt)
            asked_s = _retry_after_s(outcome) if isinstance(outcome, Answer) else 0.0
            if attempt == self._attempts or asked_s > LONGEST_RETRY_AFTER_S:
                raise _unavailable(outcome, attempt)
            longest_s = min(FIRST_PAUSE_S * 2 ** (attempt - 1), LONGEST_PAUSE_S)
            yield Pause(max(self._jitter(longest_s), asked_s))
        raise AssertionError("the last attempt returns or raises")


def _query(name: str, value: object) -> Iterator[tuple[str, str]]:
    """Yield the parameters of the query string for one filter."""
    match value:
        case Mapping():
            yield from ((name, f"{key}:{_text(wanted)}") for key, wanted in value.items())
        case Saga():
            yield name, str(value.id)
        case datetime():
            yield name, _aware(value)
        case _:
            yield name, _text(value)


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _aware(at: datetime) -> str:
    if at.tzinfo is None:
        raise InvalidData("the time has no time zone; give one, such as datetime.now(UTC) + timedelta(hours=1)")
    return at.isoformat()


def post_request(path: str, body: object, wait_s: float, **headers: str) -> Request:
    try:
        content = json.dumps(body, default=_plain, allow_nan=False).encode()
    except (TypeError, ValueError) as wrong:
        raise InvalidData(f"the data is no JSON: {wrong}") from wrong
    headers["Content-Type"] = "application/json"
    return Request(method="POST", path=path, body=content, headers=headers, wait_s=wait_s)


def _path(name: str) -> str:
    return f"/api/v1/sagas/{quote(name, safe='')}"


def _plain(value: object) -> object:
    """Return the JSON form of a value that `json` does not know."""
    if isinstance(value, Decimal):
        if Decimal(repr(float(value))) != value:
            raise ValueError(f"{value} has more digits than a JSON number keeps; send it as text")
        return float(value)
    if isinstance(value, (date, datetime)):
        return value.isoformat()
    if isinstance(value, UUID):
        return str(value)
    raise TypeError(f"{type(value).__name__} is no JSON value")


def json_object(answer: Answer) -> dict[str, Any]:
    """Return the JSON object in an answer; an empty object when the answer has none."""
    try:
        body = json.loads(answer.body)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def read(make: Callable[..., T], body: Mapping[str, Any], **more: Any) -> T:
    """Return `make(body)`. Raise Unexpected for an answer that does not come from the service."""
    try:
        return make(body, **more)
    except (KeyError, TypeError, ValueError) as wrong:
        raise Unexpected(f"the answer is none of the service's ({wrong!r}); check the URL") from wrong


def error(answer: Answer, body: Mapping[str, Any]) -> SagaError:
    return error_of(answer.status, body, answer.body.decode(errors="replace"))


def _unavailable(outcome: Answer | Exception | None, attempts: int) -> Unavailable:
    if isinstance(outcome, Answer):
        problem = json_object(outcome)
        why, status = str(problem.get("detail", f"status {outcome.status}")), outcome.status
        return Unavailable(f"{status}: {why} (attempts: {attempts})", status=status, problem=problem)
    return Unavailable(f"no answer: {outcome!r} (attempts: {attempts})")


def _compensated(name: str, problem: Mapping[str, Any], *, replayed: bool) -> Saga:
    """Return the compensated saga that a problem document describes. The problem is the answer to a start."""
    return Saga(
        id=UUID(problem["saga_id"]),
        type=name,
        status=Status.COMPENSATED,
        state=problem["state"],
        reason=problem["detail"],
        replayed=replayed,
    )


_SagaT = TypeVar("_SagaT", bound=Saga)


def _completed(saga: _SagaT) -> _SagaT:
    match saga.status:
        case Status.COMPLETED:
            return saga
        case Status.COMPENSATED:
            raise Compensated(f"{saga.type} {saga.id} was compensated: {saga.reason}", saga)
        case Status.FAILED:
            raise Stuck(f"{saga.type} {saga.id} is stuck, a person must decide: {saga.reason}", saga)
        case _:
            raise StillRunning(f"{saga.type} {saga.id} has not ended: it is {saga.status}, in {saga.state}", saga)


def _results(body: Mapping[str, Any], *, keys: list[str]) -> list[BatchResult]:
    return [_result(each, key) for key, each in zip(keys, body["results"], strict=True)]


def _result(body: Mapping[str, Any], key: str) -> BatchResult:
    saga, problem = body["saga"], body["problem"]
    return BatchResult(
        key=key,
        saga=saga and saga_of(saga, replayed=body["replayed"]),
        error=problem and error_of(problem["status"], problem),
    )


def _retry_after_s(answer: Answer) -> float:
    """Return the seconds that Retry-After names, as a number or a date; 0 when it is missing or unreadable."""
    text = answer.headers.get("retry-after", "")
    if text.isdecimal():
        return float(text)
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return 0.0
    now = datetime.now(UTC)
    return max((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() - now.timestamp(), 0.0)
