"""A saga as Markdown, for a ticket or for the next shift."""

from collections.abc import Sequence
from types import MappingProxyType
from typing import Any

from sqlalchemy import Row

from app.store.access_models import AuditRow
from app.store.models import SagaRow
from app.views.effects import description
from app.views.formatting import moment
from machines.history import StepEffect

#: Action of an audit row → what the person did.
_DEEDS = MappingProxyType({
    "case.take": "took the case", "case.give_back": "gave the case back", "case.note": "noted",
    "case.snooze": "snoozed the saga", "case.wake": "put the saga back on the list",
    "saga.asked": "asked the participant", "saga.checked": "recorded what is true",
    "saga.retry": "retried", "saga.compensate": "compensated", "saga.resolve": "resolved by hand",
    "saga.send_now": "sent the call now", "saga.start": "started",
})  # fmt: skip
#: Characters that Markdown or HTML would take for its own.
_SPECIAL = frozenset("\\`*_[]<>|#~")


def ticket(  # noqa: PLR0917
    saga: SagaRow, url: str, summary: str, effects: Sequence[StepEffect], case: Row[Any] | None,
    trail: Sequence[AuditRow],
) -> str:  # fmt: skip
    """Return a saga as Markdown. url: the address of its page."""
    facts = (
        ("State", f"{saga.state} ({saga.status}) since {moment(saga.entered_at)} UTC"),
        ("Error", saga.error),
        ("Client", saga.client),
        ("Order", saga.order_ref),
        ("Looked after by", person(case.taken_by) if case and case.taken_by else "nobody"),
        ("Snoozed until", f"{moment(case.snoozed_until)} UTC" if case and case.snoozed_until else None),
    )
    lines = [f"## {_plain(saga.definition)} {saga.id}", "", url, "", _plain(summary), ""]
    lines += [f"- {name}: {_plain(value)}" for name, value in facts if value]
    if effects:
        lines += ["", "### Effects"]
        lines += [f"- {_plain(each.step.name)}: {each.effect}. {_plain(description(each))}" for each in effects]
    if trail:
        lines += ["", "### What people did"]
        lines += [f"- {moment(row.at)} UTC, {_deed(row)}" for row in reversed(trail)]
    return "\n".join(lines) + "\n"


def person(actor: str) -> str:
    """Return the name of a person or a program without its kind."""
    return actor.partition(":")[2] or actor


def deed(action: str) -> str:
    """Return what a person did, from the action of an audit row."""
    return _DEEDS.get(action, action)


def _deed(row: AuditRow) -> str:
    reason = f": {_plain(row.reason)}" if row.reason else ""
    return f"{_plain(person(row.actor))}: {deed(row.action)}{reason}"


def _plain(text: str) -> str:
    """Return a text on one line that Markdown shows as it is."""
    return "".join(f"\\{each}" if each in _SPECIAL else each for each in " ".join(text.split()))
