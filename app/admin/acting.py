"""Doing what a person asks for, and saying what really came of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from app.api.reading import Resolution, load, parsed
from app.engine.service import SagaService
from app.errors import MalformedError
from app.store.instance import FINISHED, Standing


@dataclass(frozen=True, kw_only=True)
class Said:
    """kind: done, warning, conflict or wrong."""

    kind: str
    words: str


def act_on(  # noqa: PLR0917
    service: SagaService, saga_id: UUID, actor: str, asked: Mapping[str, Any], reply: Mapping[str, str], wait_s: float
) -> Said:
    """Do it, for a saga that is still in the state it was seen in. Raises ConflictError, InvalidError."""
    return said(asked["seen"], moved(service, saga_id, actor, asked, reply, wait_s))


def moved(  # noqa: PLR0917
    service: SagaService, saga_id: UUID, actor: str, asked: Mapping[str, Any], reply: Mapping[str, str], wait_s: float
) -> Standing:
    seen, reason = asked["seen"], asked["reason"]
    match asked["action"]:
        case "retry":
            return service.retry(saga_id, actor, reason, wait_s, seen=seen)
        case "resolve":
            given = {name: value_of(text) for name, text in reply.items()}
            told = load(Resolution(), {"reason": reason, "reply": given})["reply"]
            return service.resolve(saga_id, actor, reason, told, wait_s, seen=seen)
        case _:
            return service.compensate(saga_id, actor, reason, wait_s, seen=seen)


def said(seen: str, now: Standing) -> Said:
    """Tell it by where the saga stands after the commit, and by nothing else."""
    if now.status == "stuck":
        again = "again " if now.state == seen else ""
        return Said(kind="warning", words=f"It was done, and the saga is stuck {again}in {now.state}: {now.error}.")
    if now.status in FINISHED:
        return Said(kind="done", words=f"Done: the saga went from {seen} to {now.state}; it is {now.status}.")
    return Said(kind="done", words=f"Done: the saga has left {seen} and is {now.status}, in {now.state}.")


def value_of(text: str) -> Any:
    """Read a field of a reply: as JSON where it is that, else as the text it is."""
    try:
        return parsed(text.encode(), "the field")
    except MalformedError:
        return text
