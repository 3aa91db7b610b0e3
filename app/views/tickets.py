"""A saga as Markdown, for a ticket or for the next shift."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from sqlalchemy import Row

from app.store.access_models import AuditRow
from app.store.answers import ASKED
from app.store.models import SagaRow
from app.store.unknown_effects import CHECKED
from app.views.amounts import MoneyLine
from app.views.effects import FOUND, description, effect_words
from app.views.formatting import moment
from app.views.titles import error_words, participant_title, state_words_in, step_words_in
from diagrams.descriptions import named
from machines.history import PROBED, StepEffect
from machines.progress import person
from machines.saga import Saga

#: Action of an audit row → what the person did.
_DEEDS = MappingProxyType({
    "case.take": "took the case", "case.give_back": "gave the case back", "case.note": "noted",
    "case.snooze": "snoozed the saga", "case.wake": "put the saga back on the list",
    CHECKED: "recorded what is true",
    "saga.retry": "retried", "saga.compensate": "compensated", "saga.resolve": "resolved by hand",
    "saga.compensate_including": "compensated", "saga.cancel": "cancelled", "saga.signal": "sent",
    "saga.send_now": "sent the call now", "saga.start": "started", "saga.migrate": "moved it to another version",
})  # fmt: skip
#: Characters that Markdown or HTML would take for its own.
_SPECIAL = frozenset("\\`*_[]<>|#~")


def ticket(  # noqa: PLR0917
    saga: SagaRow, url: str, summary: str, effects: Sequence[StepEffect], case: Row[Any] | None,
    trail: Sequence[AuditRow], *, definition: Saga | None, money: Mapping[str, Sequence[MoneyLine]],
) -> str:  # fmt: skip
    """Return a saga as Markdown. url: the address of its page. money: see `app.views.amounts.money_lines`."""
    state = state_words_in(definition, saga.state)
    facts = (
        ("State", f"{state}, {saga.status} since {moment(saga.entered_at)} UTC"),
        ("Error", error_words(definition, saga.error)),
        ("Client", saga.client),
        ("Order", saga.order_ref),
        ("Looked after by", person(case.taken_by) if case and case.taken_by else "nobody"),
        ("Snoozed until", f"{moment(case.snoozed_until)} UTC" if case and case.snoozed_until else None),
    )
    title = named(definition.title if definition else "", saga.definition)
    lines = [f"## {_plain(title)} {saga.id}", "", url, "", _plain(summary), ""]
    lines += [f"- {name}: {_plain(value)}" for name, value in facts if value]
    if effects:
        lines += ["", "### Effects"]
        lines += [f"- {_plain(_effect(each, money.get(each.step.name, ())))}" for each in effects]
    if trail:
        lines += ["", "### What people did"]
        lines += [
            f"- {moment(row.at)} UTC, {_plain(person(row.actor))}: {_plain(deed(row, definition))}"
            for row in reversed(trail)
        ]
    return "\n".join(lines) + "\n"


def _effect(effect: StepEffect, money: Sequence[MoneyLine]) -> str:
    paid = "".join(f" {line}." for line in money)
    return f"{named(effect.step.title, effect.step.name)}: {effect_words(effect)}.{paid} {description(effect)}"


def deed(row: AuditRow, definition: Saga | None = None) -> str:
    """Return what a person did, from a row of the audit trail: with the answer or the finding, and with the reason.

    definition: the table of the saga, for titles; None: this release does not have it.
    """
    words, after = _DEEDS.get(row.action, row.action), row.after or {}
    if row.action == ASKED:
        answer = after["answer"].removeprefix(PROBED)
        asked, step = participant_title(after["participant"]), step_words_in(definition, after["step"])
        words = f"asked {asked} about {step}, which answered: {answer}"
    elif row.action == CHECKED:
        words = f"{words}: {FOUND[after['found']]}"
    return f"{words}: {row.reason}" if row.reason else words


def _plain(text: str) -> str:
    """Return a text on one line that Markdown shows as it is."""
    return "".join(f"\\{each}" if each in _SPECIAL else each for each in " ".join(text.split()))
