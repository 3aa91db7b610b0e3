"""The effects of a saga as JSON, with the sentences of its page."""

from typing import Any

from app.services import Services
from app.store import queries
from app.store.loading import table_of
from app.store.models import SagaRow
from app.views.amounts import money_lines
from app.views.effects import description, effect_words
from app.views.known_effects import effects_now
from app.views.masking import shown
from app.views.summary import summary
from app.views.waits import family_of
from machines.history import StepEffect, replies


def effects_json(parts: Services, saga: SagaRow) -> dict[str, Any]:
    """Return what each step of a saga has left at its participant, and the saga's state in words."""
    saga, journal = shown(parts.registry, saga, queries.journal(saga.id))
    definition = table_of(parts.registry, saga, journal)
    if definition is None:
        return {"summary": "", "effects": []}
    effects, results = effects_now(definition, saga, journal), replies(journal)
    next_s = queries.moments(saga.id).next_s or 0.0
    words = summary(definition, saga, journal, effects, next_s, family_of(definition, saga), parts.pauses.names)
    money = money_lines(parts.registry, definition, saga, effects, results)
    lines = [_effect_json(parts, each, "; ".join(map(str, money.get(each.step.name, ())))) for each in effects]
    return {"summary": parts.redact(words), "effects": lines}


def _effect_json(parts: Services, effect: StepEffect, money: str) -> dict[str, Any]:
    answer, finding = effect.answer, effect.finding
    return {
        "step": effect.step.name,
        "effect": effect.effect,
        "words": parts.redact(effect_words(effect)),
        "by_hand": effect.by_hand,
        "in_flight": effect.in_flight,
        "participant": effect.call.participant,
        "description": parts.redact(description(effect)),
        "money": parts.redact(money) if money else None,
        "happened": answer and answer.happened,
        "answered_at": answer and answer.at.isoformat(),
        "found": finding and finding.found,
        "checked_by": finding and finding.by,
        "checked_at": finding and finding.at.isoformat(),
    }
