"""The subjects of messages: new causes of stuck sagas, participants in trouble, and too many stuck sagas."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Any
from urllib.parse import urlencode

from app.store.lists import SagaFilter
from app.store.participants import ParticipantStore
from app.views.effects import step_words
from app.views.formatting import cause
from app.views.participants import sentence, troubled
from app.views.states import attention_of, participant_of, state_of
from app.views.titles import participant_words, reason_words, saga_words, state_words
from machines.lines import one_line
from machines.registry import Registry
from machines.statuses import Status

#: Subject of the message about too many stuck sagas.
_STUCK = "stuck"


@dataclass(frozen=True, kw_only=True)
class Subject:
    """One reason for a message."""

    #: Names the subject; the same reason has the same key in all processes.
    key: str
    #: One line.
    title: str
    text: str
    #: Path and query of the page that shows it.
    path: str
    #: Number of stuck sagas, of the subject about all of them; None: another subject.
    stuck: int | None = None


def subjects(registry: Registry, store: ParticipantStore, redact: Callable[[Any], Any]) -> Iterator[Subject]:
    """Yield what stands now. Needs an application context."""
    for health in troubled(registry, store):
        words = one_line(redact(sentence(health)))
        yield Subject(key=f"participant:{health.name}:{health.state}", title=words, text="", path="/admin/participants")
    groups = attention_of(registry).groups(SagaFilter(statuses=(Status.STUCK,)))
    for group in groups:
        yield _of_cause(registry, group, redact)
    if groups:
        title = f"{groups[0].total} {'saga is' if groups[0].total == 1 else 'sagas are'} stuck."
        yield Subject(
            key=_STUCK,
            title=title,
            text="",
            path="/admin/stuck?" + urlencode({"status": "stuck"}),
            stuck=groups[0].total,
        )


def _of_cause(registry: Registry, group: Any, redact: Callable[[Any], Any]) -> Subject:
    state = state_of(registry, (group.definition, group.definition_version, group.state))
    participant = participant_words(participant_of(state) or "")
    error = one_line(redact(reason_words(cause(group.error))))
    step = step_words(state.step) if state and state.step else ""
    place = f"{'the undo of ' if state and state.undoes else ''}{step}" if step else state_words(registry, group)
    number = f"{group.sagas} saga{'s are' if group.sagas > 1 else ' is'}"
    query = {
        "type": group.definition, "version": group.definition_version, "state": group.state, "status": group.status,
        "cause": group.cause or "",
    }  # fmt: skip
    same = f"{group.definition}:{group.definition_version}:{group.state}:{group.cause or ''}"
    return Subject(
        key=f"cause:{sha256(same.encode()).hexdigest()}",
        title=f"{saga_words(registry, group)}: {number} stuck in {place}"
        + (f" at {participant}" if participant else ""),
        text=error,
        path=f"/admin/stuck?{urlencode(query)}",
    )
