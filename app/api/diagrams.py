"""The live diagrams: a definition, one saga's path, the counts of all sagas, and the differences of two versions."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from uuid import UUID

from flask import Blueprint, Response, request
from marshmallow import EXCLUDE, RAISE, Schema, fields, validate

from app.access.permissions import Scope, keeps_to_limits, keeps_to_tenant
from app.access.principal import principal
from app.api.diagram_gallery import gallery
from app.api.openapi.operation import operation
from app.api.responses import page_answer, picture_answer, text_answer
from app.errors import NotFoundError
from app.services import services
from app.store import queries
from app.store.loading import table_of
from app.store.models import JournalRow, SagaRow
from app.store.statistics import counts_by_state
from app.views.branch_marks import marks_of
from app.views.figures import WINDOWS_S, figures_of
from app.views.known_effects import effects_now
from app.views.masking import shown
from app.views.past import Past, past_of
from app.views.validation import load
from diagrams.files import RENDERERS
from diagrams.overlays.diff import Diff, diff_markdown, diff_overlay
from diagrams.overlays.heat import heat_overlay
from diagrams.overlays.overlay import Overlay
from diagrams.overlays.path import path_overlay
from diagrams.picture.svg import svg
from machines.registry import UnknownSagaError
from machines.renaming import as_named_now
from machines.saga import Saga

blueprint = Blueprint("diagrams", __name__)

_SVG = ("image/svg+xml",)
_KINDS = "any(svg,puml,dot,mmd,md)"
#: How long a browser caches a diagram, in seconds: without counts (it changes only with a release), and with counts.
DEFINITION_S, FIGURES_S = 60, 5


class _VersionQuery(Schema):
    class Meta:
        unknown = RAISE

    version = fields.Integer(load_default=None, validate=validate.Range(1))


class _MomentQuery(Schema):
    class Meta:
        unknown = EXCLUDE  # a page adds a number that changes when the saga moves

    at = fields.Integer(
        load_default=None,
        validate=validate.Range(1, 2**31 - 1),
        metadata={"description": "`seq` of a move in the journal: the saga is drawn as it was after this move"},
    )


class _HeatQuery(_VersionQuery):
    window = fields.String(load_default="1h", validate=validate.OneOf(WINDOWS_S))


class _DifferenceQuery(Schema):
    class Meta:
        unknown = RAISE

    old = fields.Integer(required=True, data_key="from", validate=validate.Range(1))
    new = fields.Integer(required=True, data_key="to", validate=validate.Range(1))


@blueprint.get("/diagrams/")
@operation("Show all definitions", "diagrams", {200: "The page."}, media_types=("text/html",))
@keeps_to_limits
def index() -> Response:
    """Show every definition as a picture."""
    ordered = sorted(services().registry, key=lambda saga: (saga.name, -saga.version))
    return page_answer(gallery(ordered, list(WINDOWS_S)), DEFINITION_S)


@blueprint.get(f"/diagrams/<name>.<{_KINDS}:kind>")
@operation(
    "Draw a definition", "diagrams", {200: "The drawing."}, problems=(400, 404), query=_VersionQuery,
    media_types=(*_SVG, "text/vnd.graphviz", "text/markdown", "text/plain"),
)  # fmt: skip
@keeps_to_limits
def show(name: str, kind: str) -> Response:
    """Draw the latest version of a definition, or the version that the parameter `version` names."""
    version = load(_VersionQuery(), request.args.to_dict())["version"]
    drawn = _drawn(_definition(name, version), RENDERERS[kind])
    return picture_answer(drawn, DEFINITION_S) if kind == "svg" else text_answer(kind, drawn, DEFINITION_S)


@blueprint.get("/diagrams/<name>/heat.svg")
@operation(
    "Draw the number of sagas in each state", "diagrams", {200: "The drawing."}, problems=(400, 404, 429),
    query=_HeatQuery, media_types=_SVG,
)  # fmt: skip
@keeps_to_tenant
def show_heat(name: str) -> Response:
    """Draw the number and the age of the sagas in each state, and the transitions that sagas made within the window."""
    query = load(_HeatQuery(), request.args.to_dict())
    saga, window = _definition(name, query["version"]), query["window"]
    return picture_answer(svg(saga, heat_overlay(saga, window, figures_of(services(), saga, window))), FIGURES_S)


@blueprint.get("/diagrams/<name>/diff.<any(svg,md):kind>")
@operation(
    "Draw the differences of two versions", "diagrams", {200: "The drawing."}, problems=(400, 404),
    query=_DifferenceQuery, media_types=(*_SVG, "text/markdown"),
)  # fmt: skip
@keeps_to_limits
def show_difference(name: str, kind: str) -> Response:
    """Draw the differences of two versions, and the number of sagas in the states that differ."""
    query = load(_DifferenceQuery(), request.args.to_dict())
    old, new = _definition(name, query["old"]), _definition(name, query["new"])
    counts = counts_by_state(old.name, old.version, principal().reach(Scope.READ))
    found = Diff(old=old, new=new, sagas_by_state=counts)
    if kind == "md":
        return text_answer(kind, diff_markdown(found), FIGURES_S)
    return picture_answer(svg(new, diff_overlay(found)), FIGURES_S)


@blueprint.get("/api/v1/sagas/<uuid:saga_id>/diagram.svg")
@operation(
    "Draw one saga's path", "diagrams", {200: "The drawing."}, problems=(400, 404), query=_MomentQuery,
    media_types=_SVG,
)  # fmt: skip
def show_path(saga_id: UUID) -> Response:
    """Draw one saga: its path, its state, the remaining steps, and its failures; now, or as it was after a move."""
    at = load(_MomentQuery(), request.args.to_dict())["at"]
    saga = queries.get(saga_id)
    saga, journal = shown(services().registry, saga, queries.journal(saga.id))
    definition = table_of(services().registry, saga, journal)
    if definition is None:
        unknown = f"{saga.definition} v{saga.definition_version} is not known here with the table of this saga"
        raise NotFoundError(f"{unknown}; its journal is at /api/v1/sagas/{saga_id}/journal")
    past = past_of(definition, saga, journal, at, effects_now(definition, saga, journal)) if at is not None else None
    if past is not None and not past.is_present:  # where its children were then is not known
        return picture_answer(svg(definition, _overlay_then(definition, saga, journal, past)), 0)
    counts = queries.descendant_counts(saga.id, principal().reach(Scope.READ)) if definition.starts_others else ()
    marks = marks_of(definition, saga, journal, counts)
    overlay = path_overlay(definition, str(saga.id), saga.status, saga.state, as_named_now(journal), branches=marks)
    return picture_answer(svg(definition, overlay), 0)


def _overlay_then(definition: Saga, saga: SagaRow, journal: Sequence[JournalRow], past: Past) -> Overlay:
    moves = as_named_now(journal)[: len(past.journal)]
    moment = f"after entry {past.entry.seq} of {journal[-1].seq}"
    return path_overlay(definition, str(saga.id), past.status, past.state, moves, past=moment)


@lru_cache(maxsize=256)
def _drawn(saga: Saga, render: Callable[[Saga], str]) -> str:
    """Draw a definition. The result is cached, because a definition does not change while the process runs."""
    return render(saga)


def _definition(name: str, version: int | None) -> Saga:
    try:
        return services().registry.newest(name) if version is None else services().registry.get(name, version)
    except UnknownSagaError:
        which = repr(name) if version is None else f"{name!r} version {version}"
        raise NotFoundError(f"there is no saga definition {which}") from None
