"""The effects of ended sagas that nobody knows, and the finding of a person about them."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Row

from app.errors import ConflictError
from app.services import Services
from app.store import queries
from app.store.loading import table_of
from app.store.models import SagaRow
from app.store.unknown_effects import record_check
from app.views.known_effects import effects_now
from app.views.summary import unknown_effects
from app.views.titles import participant_title, state_words
from diagrams.descriptions import named
from machines.history import Effect, StepEffect
from machines.registry import Registry
from machines.statuses import FINISHED


def unknown_of(registry: Registry, saga: SagaRow) -> list[StepEffect]:
    """Return the effects of an ended saga that nobody knows."""
    journal = queries.journal(saga.id)
    definition = table_of(registry, saga, journal)
    if definition is None or saga.status not in FINISHED:
        return []
    return unknown_effects(effects_now(definition, saga, journal))


def unknown_words(registry: Registry, rows: Sequence[Row[Any]]) -> dict[UUID, str]:
    """Return the unknown effects of each saga of a page in words, such as `Take the payment (pay) at bank`."""
    found = queries.sagas([row.id for row in rows])
    return {saga.id: unknown_words_of(registry, saga) for saga in found.values()}


def unknown_words_of(registry: Registry, saga: SagaRow) -> str:
    """Return the unknown effects of one saga in words; "": it has none, or it has not ended."""
    return ", ".join(_where(each) for each in unknown_of(registry, saga))


def _where(effect: StepEffect) -> str:
    """Return the step of an effect and where to look for it: its participant, or the sagas that it has started."""
    step = named(effect.step.title, effect.step.name)
    happened = " has happened" if effect.effect is Effect.TOOK_EFFECT else ""
    place = "in its sagas" if effect.step.starts else f"at {participant_title(effect.call.participant)}"
    return f"{step}{happened} {place}"


def check(parts: Services, saga: SagaRow, actor: str, found: str, reason: str) -> None:
    """Record what a person has found out. found: a name of FOUND. Raise ConflictError when no effect is unknown."""
    unknown = unknown_of(parts.registry, saga)
    if not unknown:
        words = state_words(parts.registry, saga)
        raise ConflictError(
            f"no effect of the saga is unknown, or it has not ended: it is {saga.status}, in {words}",
            saga_id=str(saga.id),
        )
    record_check(saga, [effect.step.name for effect in unknown], actor, found, reason)
