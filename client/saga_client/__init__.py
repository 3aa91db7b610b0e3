"""The client of the saga orchestrator: `Sagas` for threads, `AsyncSagas` for asyncio, results and errors."""

from saga_client.asynchronous import AsyncSagas
from saga_client.client import Sagas
from saga_client.errors import (
    Compensated,
    Conflict,
    Forbidden,
    InvalidData,
    KeyReused,
    NotFound,
    SagaError,
    StillRunning,
    Stuck,
    Unauthorized,
    Unavailable,
    Unexpected,
    WrongField,
)
from saga_client.results import (
    BatchResult,
    Saga,
    SagaDetails,
    SagaFilters,
    SagaPage,
    SagaType,
    Status,
    Step,
    StepStatus,
    StuckSaga,
)
from saga_client.schedules import AsyncSchedules, Schedule, Schedules
from saga_client.webhooks import AsyncWebhooks, Message, MessageStatus, Webhooks

__all__ = [
    "AsyncSagas",
    "AsyncSchedules",
    "AsyncWebhooks",
    "BatchResult",
    "Compensated",
    "Conflict",
    "Forbidden",
    "InvalidData",
    "KeyReused",
    "Message",
    "MessageStatus",
    "NotFound",
    "Saga",
    "SagaDetails",
    "SagaError",
    "SagaFilters",
    "SagaPage",
    "SagaType",
    "Sagas",
    "Schedule",
    "Schedules",
    "Status",
    "Step",
    "StepStatus",
    "StillRunning",
    "Stuck",
    "StuckSaga",
    "Unauthorized",
    "Unavailable",
    "Unexpected",
    "Webhooks",
    "WrongField",
]
