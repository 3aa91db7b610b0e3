"""/admin/rates: how many sagas completed, were compensated or got stuck a minute, and how long each step takes."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

from flask import render_template
from marshmallow import RAISE, Schema, fields, validate

from app.access.permissions import Role, keeps_to_tenant, needs
from app.admin.forms import query_of
from app.admin.pages import pages
from app.errors import BusyError, NotFoundError
from app.services import services
from app.store.lists import StateKey
from app.store.rates import Rates, rates
from app.store.releases import Deploy
from machines.registry import Registry
from machines.statuses import Status
from machines.transitions import Phase

blueprint = pages("rates")
#: Name of a time window → its length and the length of its parts, in seconds.
WINDOWS_S = MappingProxyType({
    "1h": (3_600, 60), "6h": (21_600, 300), "24h": (86_400, 900), "7d": (604_800, 7_200), "30d": (2_592_000, 28_800),
})  # fmt: skip
_MINUTE_S = 60
_STATUSES = (Status.COMPLETED, Status.COMPENSATED, Status.STUCK)
_PHASES = {Phase.COMPLETED: Status.COMPLETED, Phase.COMPENSATED: Status.COMPENSATED, Phase.STUCK: Status.STUCK}
_HEIGHT, _BAR = 100.0, 0.75


class _Query(Schema):
    class Meta:
        unknown = RAISE

    window = fields.String(load_default="1h", validate=validate.OneOf(WINDOWS_S))
    type = fields.String(load_default="")


@dataclass(frozen=True, kw_only=True)
class Bars:
    """The bars of one status; a chart is as many units wide as the window has parts, and 100 units high."""

    status: str
    outline: str
    total: int
    #: Largest number in one part of the window.
    most: int
    #: Average number of sagas a minute.
    a_minute: float


@blueprint.get("/admin/rates")
@needs(Role.VIEWER)
@keeps_to_tenant
def show() -> str:
    query, registry = query_of(_Query()), services().registry
    names = registry.names_with_branches
    if query["type"] and query["type"] not in names:
        raise NotFoundError(f"there is no type {query['type']}; choose one of {', '.join(names)}")
    chosen = (query["type"],) if query["type"] else tuple(names)
    window_s, part_s = WINDOWS_S[query["window"]]
    found, busy = _figures(registry, chosen, query["window"])
    parts = window_s // part_s
    return render_template(
        "admin/rates.html",
        query=query, windows=list(WINDOWS_S), types=names, parts=parts, part_s=part_s, found=found, busy=busy,
        charts=[_bars(found, chosen, status, parts, window_s) for status in _STATUSES] if found else [],
        marks=_marks(found, part_s),
        by_type={name: [_bars(found, (name,), each, parts, window_s) for each in _STATUSES] for name in chosen}
        if found
        else {},
    )  # fmt: skip


def _figures(registry: Registry, chosen: tuple[str, ...], window: str) -> tuple[Rates | None, str]:
    """Return the figures, or None and why there are none."""
    window_s, part_s = WINDOWS_S[window]
    compute = partial(rates, _ends(registry, chosen), chosen, window_s, part_s)
    try:
        return services().rates.get((chosen, window), compute), ""
    except BusyError as error:
        return None, error.detail


def _ends(registry: Registry, chosen: Iterable[str]) -> dict[StateKey, Status]:
    return {
        (table.name, table.version, state.name): _PHASES[state.phase]
        for table in registry
        if table.name in chosen
        for state in table.states.values()
        if state.phase in _PHASES
    }


def _marks(found: Rates | None, part_s: int) -> list[tuple[float, Deploy]]:
    """Return the releases that appeared in the window, each with its place on a chart."""
    if found is None:
        return []
    return [(round((each.at - found.since).total_seconds() / part_s, 2), each) for each in found.deploys]


def _bars(found: Rates, names: Sequence[str], status: Status, parts: int, window_s: int) -> Bars:
    # A move of this moment lies at the end of the last part.
    counts = [sum(found.arrivals.get((name, status, part), 0) for name in names) for part in range(parts + 1)]
    most, total = max(counts), sum(counts)
    heights = [(part, round(count / most * _HEIGHT, 2)) for part, count in enumerate(counts) if count]
    return Bars(
        status=status,
        outline="".join(f"M{part} {_HEIGHT - height:g}h{_BAR}v{height:g}h-{_BAR}z" for part, height in heights),
        total=total,
        most=most,
        a_minute=total / (window_s / _MINUTE_S),
    )
