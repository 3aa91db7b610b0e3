"""/api/v1/definitions: every saga type with its table and everything derived from it."""

from flask import Blueprint, Response, jsonify

from app.access.permissions import keeps_to_limits
from app.api.openapi.operation import operation
from app.api.schemas.definitions import Definition, DefinitionList
from app.errors import NotFoundError
from app.services import services
from app.views.saga_data import json_schema
from machines.registry import UnknownSagaError
from machines.saga import Saga
from machines.samples import example
from machines.titles import state_title

blueprint = Blueprint("definitions", __name__, url_prefix="/api/v1/definitions")


@blueprint.get("")
@operation(
    "List the saga types", "definitions", {200: DefinitionList()},
    leads_to=["definitions.show", "diagrams.show_heat"], id_at="/definitions/0/type",
)  # fmt: skip
@keeps_to_limits
def index() -> Response:
    startable = [definition for definition in services().registry if not definition.is_branch]
    definitions = sorted(startable, key=lambda definition: (definition.name, definition.version))
    return jsonify(definitions=[{"type": d.name, "version": d.version, "steps": len(d.steps)} for d in definitions])


@blueprint.get("/<name>")
@operation("Show one saga type", "definitions", {200: Definition()}, problems=(404,))
@keeps_to_limits
def show(name: str) -> Response:
    try:
        return jsonify(_whole(services().registry.newest(name)))
    except UnknownSagaError:
        raise NotFoundError(f"there is no saga definition {name!r}") from None


def _whole(definition: Saga) -> dict[str, object]:
    return {
        "type": definition.name,
        "version": definition.version,
        "title": definition.title,
        "initial": definition.initial,
        "completed": definition.completed,
        "compensated": definition.compensated,
        "participants": definition.participants,
        "data": json_schema(definition.data) | {"examples": [example(definition.data)]},
        "steps": [
            {
                "name": step.name,
                "title": step.title,
                "kind": step.kind,
                "call": str(step.action),
                "undo": str(step.undo) if step.undo else None,
                "when": str(step.when) if step.when else None,
                "attempts": step.retry.attempts,
                "timeout_s": step.timeout_s,
            }
            for step in definition.steps
        ],
        "states": [
            {
                "name": state.name,
                "title": state_title(definition, state.name),
                "phase": state.phase,
                "step": state.step.name if state.step else None,
            }
            for state in definition.states.values()
        ],
        "rows": [
            {
                "source": transition.source,
                "trigger": transition.trigger,
                "dest": transition.dest,
                "call": str(transition.call) if transition.call else None,
                "when": str(transition.when) if transition.when else None,
            }
            for transition in definition.transitions
        ],
    }
