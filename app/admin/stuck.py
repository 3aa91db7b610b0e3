"""/admin/stuck: what somebody should see to, by cause and one by one, the oldest first.

Also sagas whose table this release does not have: nothing can be done with these here, but somebody must learn of them.
"""

from dataclasses import dataclass
from typing import Any

from flask import render_template

from app.access.needs import needs
from app.access.roles import Role
from app.admin.asked import StuckQuery, asked
from app.admin.limits import asked_of, limits, places, state_of
from app.admin.pages import pages
from app.api.listing import cursor_at
from app.services import services
from app.store.trouble import Sought, Trouble

blueprint = pages("stuck")
PAGE = 50


@dataclass(frozen=True, kw_only=True)
class Group:
    """Sagas that are stuck for one cause.

    direction: do or undo, of the call that failed. unknown: this release does not have their table.
    """

    definition: str
    version: int
    state: str
    status: str
    error: str
    step: str
    direction: str
    participant: str
    unknown: bool
    sagas: int
    oldest_s: float

    @property
    def query(self) -> dict[str, Any]:
        """As the query string names it."""
        return {
            "type": self.definition, "version": self.version, "state": self.state, "status": self.status,
            "error": self.error, "no_table": self.unknown,
        }  # fmt: skip


@blueprint.get("/admin/stuck")
@needs(Role.VIEWER)
def show() -> str:
    query = asked(StuckQuery())
    sought, trouble = sought_by(query), Trouble(services().registry, limits(services().registry))
    causes, found = trouble.groups(sought), trouble.page(sought, PAGE + 1, query["after"])
    following = cursor_at(found[PAGE - 1].entered_at, found[PAGE - 1].id) if len(found) > PAGE else None
    return render_template(
        "admin/stuck.html",
        query=query,
        groups=[group_of(row) for row in causes],
        total=causes[0].total if causes else 0,
        sagas=[
            (row, state_of(services().registry, (row.definition, row.definition_version, row.state)))
            for row in found[:PAGE]
        ],
        asked_of=asked_of,
        following=following,
        types=services().registry.names,
        participants=sorted({name for definition in services().registry for name in definition.participants}),
    )


def group_of(row: Any) -> Group:
    state = state_of(services().registry, (row.definition, row.definition_version, row.state))
    return Group(
        definition=row.definition,
        version=row.definition_version,
        state=row.state,
        status=row.status,
        error=row.error or "",
        step=state.step.name if state and state.step else "",
        direction=state.direction if state else "do",
        participant=asked_of(state) or "",
        unknown=row.unknown,
        sagas=row.sagas,
        oldest_s=row.oldest_s,
    )


def sought_by(query: dict[str, Any]) -> Sought:
    """Read what is sought out of a query string."""
    named = {name: query[name] for name in ("step", "participant")}
    return Sought(
        definitions=query["type"],
        version=query["version"],
        state=query["state"] or None,
        places=places(services().registry, **named) if any(named.values()) else None,
        status=query["status"] or None,
        error=query["error"],
        unknown=query["no_table"],
        words=query["q"] or None,
    )
