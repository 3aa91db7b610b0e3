"""/admin/definitions: every table of this release, its diagram with the sagas in each state, and its differences."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flask import render_template, url_for
from marshmallow import RAISE, Schema, fields, validate

from app.access.permissions import Role, needs
from app.admin.forms import query_of
from app.admin.pages import pages
from app.errors import BusyError, NotFoundError
from app.services import services
from app.store.statistics import Heat, counts_by_state, counts_by_status
from app.views.figures import WINDOWS_S, figures_of
from diagrams.overlays.diff import Diff, diff_overlay
from diagrams.overlays.heat import heat_overlay
from diagrams.overlays.overlay import Overlay
from diagrams.picture.compose import compose
from machines.registry import UnknownSagaError
from machines.saga import Saga

blueprint = pages("definitions")


class _Query(Schema):
    """version: default: the newest. window: for the diagram. against: the version to compare with; None: none."""

    class Meta:
        unknown = RAISE

    version = fields.Integer(load_default=None, validate=validate.Range(1))
    window = fields.String(load_default="1h", validate=validate.OneOf(WINDOWS_S))
    against = fields.Integer(load_default=None, validate=validate.Range(1))


@dataclass(frozen=True, kw_only=True)
class Area:
    """The part of a diagram that leads to the sagas in a state."""

    state: str
    #: Number of unfinished sagas in the state; None: it is not known.
    sagas: int | None
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, kw_only=True)
class Map:
    """The areas of a diagram, in the units of its picture."""

    width: float
    height: float
    areas: Sequence[Area]


@blueprint.get("/admin/definitions")
@needs(Role.VIEWER)
def index() -> str:
    registry, now = services().registry, dict[str, dict[str, int]]()
    for row in counts_by_status():
        now.setdefault(row.definition, {})[row.status] = row.sagas
    tables = {name: registry.newest(name) for name in registry.names_with_branches}
    return render_template("admin/definitions.html", tables=tables, versions=_versions, now=now)


@blueprint.get("/admin/definitions/<name>")
@needs(Role.VIEWER)
def show(name: str) -> str:
    """Show one version of a table. Its diagram has figures, or none when they take too long."""
    query = query_of(_Query())
    saga = _definition(name, query["version"])
    older = _definition(name, query["against"]) if query["against"] else None
    figures, busy = _figures(saga, query["window"]) if older is None else (None, "")
    drawing, overlay = _drawing(saga, older, query["window"], figures)
    return render_template(
        "admin/definition.html",
        saga=saga, query=query, windows=list(WINDOWS_S), versions=_versions(name), figures=figures, busy=busy,
        older=older,
        drawing=drawing,
        map=_map(saga, overlay, figures),
    )  # fmt: skip


def _figures(saga: Saga, window: str) -> tuple[Heat | None, str]:
    """Return the figures, or None and why there are none."""
    try:
        return figures_of(services(), saga, window), ""
    except BusyError as error:
        return None, error.detail


def _drawing(saga: Saga, older: Saga | None, window: str, figures: Heat | None) -> tuple[str, Overlay | None]:
    """Return the URL of the diagram, and what is drawn over the table in it."""
    if older is not None:
        counts: Mapping[str, int] = counts_by_state(older.name, older.version, None)
        shown: dict[str, Any] = {"name": saga.name, "kind": "svg", "from": older.version, "to": saga.version}
        return url_for("diagrams.show_difference", **shown), diff_overlay(
            Diff(old=older, new=saga, sagas_by_state=counts)
        )
    if figures is None:
        return url_for("diagrams.show", name=saga.name, kind="svg", version=saga.version), None
    url = url_for("diagrams.show_heat", name=saga.name, window=window, version=saga.version)
    return url, heat_overlay(saga, window, figures)


def _map(saga: Saga, overlay: Overlay | None, figures: Heat | None) -> Map:
    picture = compose(saga, overlay)
    areas = [
        Area(
            state=box.state, sagas=figures.now.get(box.state, 0) if figures else None,
            x=box.left, y=box.top, width=box.width, height=box.height,
        )
        for box in picture.boxes
        if box.state in saga.states
    ]  # fmt: skip
    return Map(width=picture.width, height=picture.height, areas=areas)


def _versions(name: str) -> list[int]:
    """Return the versions of a table that this release has, the newest first."""
    return sorted((each.version for each in services().registry if each.name == name), reverse=True)


def _definition(name: str, version: int | None) -> Saga:
    try:
        return services().registry.newest(name) if version is None else services().registry.get(name, version)
    except UnknownSagaError as error:
        raise NotFoundError(str(error)) from None
