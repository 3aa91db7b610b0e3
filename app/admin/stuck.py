"""/admin/stuck: the sagas that need attention, in groups by cause and one by one, the oldest first.

The list includes sagas whose table this release does not have. No action is possible on these sagas here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from flask import render_template
from markupsafe import Markup
from sqlalchemy import Row

from app.access.permissions import Role, keeps_to_tenant, needs
from app.access.principal import principal
from app.admin.forms import StuckQuery, query_of
from app.admin.pages import named, pages, participant_name, saga_name
from app.admin.participants import queues
from app.admin.saved_views import views_of
from app.errors import InvalidError
from app.services import services
from app.store import cases
from app.store.lists import SagaFilter, StateKey
from app.views.saga_filters import attention as attention_filter
from app.views.states import attention_of, participant_of, participants_of, state_of
from app.views.titles import Titles
from app.views.validation import cursor_at
from machines.transitions import Direction

blueprint = pages("stuck")
PAGE = 50
#: Largest number of bulk jobs that the page names.
JOBS = 5


@dataclass(frozen=True, kw_only=True)
class Group:
    """Sagas that are stuck for one cause."""

    definition: str
    version: int
    state: str
    status: str
    cause: str
    #: One error of the group, and the number of different errors.
    error: str
    errors: int
    step: str
    #: Direction of the call that failed.
    direction: Direction
    participant: str
    #: True when this release does not have the table.
    unknown: bool
    sagas: int
    oldest_s: float

    @property
    def query(self) -> dict[str, Any]:
        """The parameters of the query string that select this group."""
        return {
            "type": self.definition, "version": self.version, "state": self.state, "status": self.status,
            "cause": self.cause, "unknown": self.unknown,
        }  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class _Place:
    """The names of a saga's type, state and participant, as HTML."""

    saga: Markup
    state: Markup
    participant: Markup


@blueprint.get("/admin/stuck")
@needs(Role.VIEWER)
@keeps_to_tenant
def show() -> str:
    query, registry = query_of(StuckQuery()), services().registry
    wanted, attention = filter_of(query), attention_of(registry)
    causes, found = attention.groups(wanted), attention.page(wanted, PAGE + 1, query["after"])
    following = cursor_at(found[PAGE - 1].entered_at, found[PAGE - 1].id) if len(found) > PAGE else None
    return render_template(
        "admin/stuck.html",
        query=query,
        groups=[group_of(row) for row in causes],
        total=causes[0].total if causes else 0,
        total_groups=causes[0].total_groups if causes else 0,
        errors=attention.errors(wanted) if query["cause"] and len(causes) == 1 and causes[0].errors > 1 else (),
        sagas=list(zip(found, _places(found[:PAGE]), strict=False)),
        following=following,
        jobs=services().bulk_jobs.store.newest(JOBS, unfinished=True),
        types=registry.names_with_branches,
        participants=participants_of(registry),
        cases=cases.of([row.id for row in found[:PAGE]]),
        queues=() if causes else queues(),
        snoozed=attention.count_of(SagaFilter(case=("snoozed", ""))) if cases.some_snoozed() else 0,
        **views_of("stuck"),
    )


def _places(rows: Sequence[Row[Any]]) -> list[_Place]:
    """Return where each saga is. Most sagas of a list are in a few states, and the names of a state cost a while."""
    registry, participants = services().registry, services().participants
    titles, found = Titles(registry, participants), dict[StateKey, _Place]()
    keys = [(row.definition, row.definition_version, row.state) for row in rows]
    for key in keys:
        if key not in found:
            definition, version, state = key
            found[key] = _Place(
                saga=saga_name(definition, version),
                state=named(titles.state(*key), state),
                participant=participant_name(participant_of(state_of(registry, key)) or ""),
            )
    return [found[key] for key in keys]


def group_of(row: Any) -> Group:
    state = state_of(services().registry, (row.definition, row.definition_version, row.state))
    return Group(
        definition=row.definition,
        version=row.definition_version,
        state=row.state,
        status=row.status,
        cause=row.cause or "",
        error=row.error or "",
        errors=row.errors,
        step=state.step.name if state and state.step else "",
        direction=state.direction if state else Direction.DO,
        participant=participant_of(state) or "",
        unknown=row.unknown,
        sagas=row.sagas,
        oldest_s=row.oldest_s,
    )


def filter_of(query: dict[str, Any]) -> SagaFilter:
    """Return the filter of a query string."""
    if query["ticked"] and not query["id"]:
        raise InvalidError(("/id", "Tick at least one saga."))
    if query["ticked"]:  # also the snoozed ones among them
        query = query | {"case": "all"}
    return attention_filter(query, principal().actor)
