"""/admin: the state of all sagas at one glance."""

import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from flask import render_template

from app.access.permissions import Role, keeps_to_tenant, needs
from app.admin.chart import chart
from app.admin.pages import pages
from app.admin.participants import queues
from app.admin.stuck import group_of
from app.services import services
from app.store import unknown_effects
from app.store.lists import SagaFilter
from app.store.statistics import Minute, counts_by_status, oldest_unfinished, started_lately
from app.store.tenants import acting_tenant
from app.views.states import attention_of, state_of, waits_at
from machines.registry import Registry
from machines.statuses import FINISHED, Status

blueprint = pages("overview")
#: Seconds that the counts of the last hour are cached; each open page requests them every 2 s.
CACHE_S = 5.0
#: Largest number of sagas, and of groups, that the page shows.
_OLDEST, _GROUPS = 8, 5


@blueprint.get("/admin", strict_slashes=False)
@needs(Role.VIEWER)
@keeps_to_tenant
def show() -> str:
    registry = services().registry
    rows, waits = counts_by_status(), queues()
    hour_ago, counted = _last_hour()
    minutes = [_as_seen(registry, minute) for minute in counted]
    backing_off: Counter[tuple[str, str]] = Counter()
    for queue in waits:
        backing_off.update(queue.by_saga)
    groups = attention_of(registry).groups(SagaFilter(case=("open", "")))
    now: dict[str, int] = defaultdict(int)
    under_way = 0
    sagas: dict[str, dict[str, Any]] = {name: {"now": {}, "oldest_s": 0.0} for name in registry.names}
    for row in rows:
        under_way += row.sagas if row.status != Status.STUCK else 0
        held = min(backing_off[row.definition, row.status], row.sagas)
        now[row.status] += row.sagas - held
        saga = sagas.setdefault(row.definition, {"now": {}, "oldest_s": 0.0})
        saga["now"][row.status] = row.sagas - held
        saga["backing_off"] = saga.get("backing_off", 0) + held
        saga["oldest_s"] = max(saga["oldest_s"], row.oldest_s)
    for minute in minutes:  # the table of a branch has a row when it has sagas
        sagas.setdefault(minute.definition, {"now": {}, "oldest_s": 0.0})
    for name, saga in sagas.items():
        saga["chart"] = chart(minute for minute in minutes if minute.definition == name)
        saga["ended"] = {
            status: sum(m.sagas for m in minutes if m.definition == name and m.status == status) for status in FINISHED
        }
    return render_template(
        "admin/overview.html",
        now=now,
        under_way=under_way,
        overstayed=groups[0].total_overstayed if groups else 0,
        unknown=groups[0].total_unknown if groups else 0,
        still_unknown=unknown_effects.count(registry),
        sagas=sagas,
        chart=chart(minutes),
        groups=[(group, group_of(group).query) for group in groups[:_GROUPS]],
        total_groups=groups[0].total_groups if groups else 0,
        oldest=oldest_unfinished(_OLDEST),
        hour_ago=hour_ago.strftime("%Y-%m-%dT%H:%MZ"),
        queues=waits,
    )


def _last_hour() -> tuple[datetime, Sequence[Minute]]:
    """Return the counts of `started_lately`, at most CACHE_S old; for a tenant those of this moment."""
    parts = services()
    names = parts.registry.names_with_branches
    if acting_tenant() is not None:  # what is cached counts the sagas of all tenants
        return started_lately(names)
    cached = parts.last_hour
    if cached is None or time.monotonic() - cached[0] > CACHE_S:
        cached = parts.last_hour = (time.monotonic(), started_lately(names))
    return cached[1]


def _as_seen(registry: Registry, minute: Minute) -> Minute:
    """Return the count with the status that people see, see `app.views.waits.status_now`."""
    if minute.backs_off and waits_at(state_of(registry, (minute.definition, minute.definition_version, minute.state))):
        return replace(minute, status=Status.WAITING)
    return minute
