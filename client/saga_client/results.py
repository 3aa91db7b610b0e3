"""What the client returns: a saga after its start, a saga with all its details, and the results of a batch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Generic, TypedDict, TypeVar
from uuid import UUID

if TYPE_CHECKING:
    from saga_client.errors import SagaError

#: Type of the data of a saga type, such as a TypedDict that `saga client-types` has generated.
Data = TypeVar("Data", bound=Mapping[str, object])


@dataclass(frozen=True)
class SagaType(Generic[Data]):
    """The name of a saga type, with the type of its data, so that a type checker checks the data of a start."""

    name: str

    def __str__(self) -> str:
        return self.name


class Status(StrEnum):
    """The status of a saga."""

    #: The saga was created and waits for its start (`Saga.start_at`), or for a request to execute it.
    PENDING = "pending"
    #: The saga runs, or is being undone.
    IN_PROGRESS = "in_progress"
    #: The saga waits for a signal, a callback, or a time.
    WAITING = "waiting"
    #: The saga has ended: every step is done.
    COMPLETED = "completed"
    #: The saga has ended: a step was refused or could not be done, and everything before it is undone.
    COMPENSATED = "compensated"
    #: The saga is stuck: a person must decide.
    FAILED = "failed"


class StepStatus(StrEnum):
    """The status of a step."""

    PENDING = "pending"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    FAILED = "failed"
    COMPENSATED = "compensated"
    #: The condition of the step did not hold, so it was not done.
    SKIPPED = "skipped"


@dataclass(frozen=True, kw_only=True)
class Saga:
    """A saga at the moment of the answer."""

    id: UUID
    #: Name of the saga's table.
    type: str
    status: Status
    #: Present state, as the saga's table names it.
    state: str
    #: Why the saga is not completed; None: it has not failed.
    reason: str | None = None
    #: True: an earlier request with the same key had started the saga.
    replayed: bool = False
    #: When a pending saga starts; None: it has started, or waits for a request to execute it.
    start_at: datetime | None = None

    @property
    def stuck(self) -> bool:
        """True when a person must decide."""
        return self.status is Status.FAILED

    @property
    def ended(self) -> bool:
        """True when the saga is completed or compensated."""
        return self.status in (Status.COMPLETED, Status.COMPENSATED)


@dataclass(frozen=True, kw_only=True)
class Step:
    """A step of a saga."""

    name: str
    #: read, compensatable, pivot or retriable.
    kind: str
    status: StepStatus
    #: Number of times that the step's call was sent.
    attempts: int
    #: What the call of the step sent, and what it returned, without secrets; None: nothing yet.
    input: Any
    output: Any
    error: str | None
    started_at: datetime | None
    completed_at: datetime | None
    compensated_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class StuckSaga:
    """A stuck saga that a saga waits for. A person must act on it, and not on the saga that waits."""

    id: UUID
    type: str
    state: str


@dataclass(frozen=True, kw_only=True)
class SagaDetails(Saga):
    """A saga with its data and its steps."""

    #: Version of the saga's table.
    version: int
    data: Mapping[str, Any]
    #: Principal that started the saga, such as `key:shop`; None: not known.
    started_by: str | None
    created_at: datetime
    updated_at: datetime
    completed_at: datetime | None
    steps: tuple[Step, ...]
    #: What the saga waits for, such as `signal agree, 1 d at most` or `stock (breaker open)`; None: it does not wait.
    waiting_for: str | None = None
    #: End of that wait, or time of the next attempt.
    waiting_until: datetime | None = None
    #: The stuck sagas that this one waits for, at any depth, ten at most.
    stuck_below: tuple[StuckSaga, ...] = ()

    def step(self, name: str) -> Step:
        """Return the step with this name. Raise KeyError for another name."""
        found = next((step for step in self.steps if step.name == name), None)
        if found is None:
            raise KeyError(f"{self.type} has no step {name}; it has {', '.join(step.name for step in self.steps)}")
        return found


@dataclass(frozen=True, kw_only=True)
class SagaPage:
    """One page of a list of sagas."""

    sagas: tuple[Saga, ...]
    #: Number of all sagas that match; from 10,000 on it is not counted further.
    total: int
    #: Pass it as `after=` to get the next page; None: this is the last page.
    next: str | None


class SagaFilters(TypedDict, total=False):
    """The filters of a list of sagas. A saga must match all that are given."""

    #: Sagas with this id, client, business number, tag or Idempotency-Key; also the beginning of the first four.
    q: str
    type: SagaType[Any] | str
    #: Version of the table.
    version: int
    status: Status
    #: State, as the saga's table names it.
    state: str
    #: True: only sagas that wait for a person.
    stuck: bool
    #: Values of the fields that the table names in `client=`, `store=` and `order=`.
    client: str
    store: str
    order: str
    #: Name of a field in the table's `tags=` → its value. A saga must have all of them.
    tag: Mapping[str, object]
    #: Sagas created at this time or later, or before it, each with a time zone.
    created_from: datetime
    created_to: datetime
    #: Sagas that came to their state at this time or later, with a time zone.
    entered_from: datetime
    #: Sagas that got stuck at this time or later, also those that are not stuck any more.
    stuck_from: datetime
    #: The sagas that a step of this saga has started.
    parent: UUID | str | Saga
    #: Unfinished sagas whose next call, or the call in flight or stuck, goes to this participant.
    participant: str
    #: Part of the error, in any letter case.
    error_contains: str
    #: Sagas that have taken at least these seconds. `error_contains`, `slower_than`, `entered_from` and
    #: `stuck_from` look at the newest 10,000 sagas, unless there is `created_from`.
    slower_than: float
    #: Sagas of this tenant, for a key that sees the sagas of all.
    tenant: str
    #: Sagas that wait before their next call to this participant.
    waiting_for: str
    #: True: only unfinished sagas whose table the service does not have.
    unknown: bool
    #: True: only ended sagas with an effect that nobody knows and nobody has checked.
    still_unknown: bool


@dataclass(frozen=True, kw_only=True)
class BatchResult:
    """The result of one start of a batch: the saga, or the error when no saga was started."""

    key: str
    saga: Saga | None
    error: SagaError | None


def saga_of(body: Mapping[str, Any], *, replayed: bool = False) -> Saga:
    """Return the saga of an answer to a start."""
    return Saga(
        id=UUID(body["id"]),
        type=body["type"],
        status=Status(body["status"]),
        state=body["state"],
        reason=body["error_message"],
        start_at=moment(body.get("start_at")),
        replayed=replayed,
    )


def details_of(body: Mapping[str, Any]) -> SagaDetails:
    """Return the saga of an answer to GET."""
    return SagaDetails(
        **vars(saga_of(body)),
        version=body["version"],
        data=body["data"],
        started_by=body["started_by"],
        created_at=datetime.fromisoformat(body["created_at"]),
        updated_at=datetime.fromisoformat(body["updated_at"]),
        completed_at=moment(body["completed_at"]),
        steps=tuple(_step(each) for each in body["steps"]),
        waiting_for=body.get("waiting_for"),
        waiting_until=moment(body.get("waiting_until")),
        stuck_below=tuple(
            StuckSaga(id=UUID(each["id"]), type=each["type"], state=each["state"])
            for each in body.get("stuck_below", ())
        ),
    )


def page_of(body: Mapping[str, Any]) -> SagaPage:
    """Return the page of an answer to GET of a list."""
    pagination = body["pagination"]
    return SagaPage(
        sagas=tuple(saga_of(each) for each in body["sagas"]), total=pagination["total"], next=pagination["next_cursor"]
    )


def _step(body: Mapping[str, Any]) -> Step:
    return Step(
        name=body["type"],
        kind=body["kind"],
        status=StepStatus(body["status"]),
        attempts=body["attempts"],
        input=body["input_data"],
        output=body["output_data"],
        error=body["error_message"],
        started_at=moment(body["started_at"]),
        completed_at=moment(body["completed_at"]),
        compensated_at=moment(body["compensated_at"]),
    )


def moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
