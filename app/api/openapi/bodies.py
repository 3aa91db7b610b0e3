"""The bodies of requests: the data of each saga type, and examples that work without changes."""

from typing import Any

from apispec import APISpec

from app.api.openapi import components
from app.api.openapi.operation import EVERY_SAGA, Operation
from app.views.saga_data import json_schema
from app.views.validation import LARGEST_NUMBER_OF_STARTS
from machines.registry import Registry
from machines.saga import Saga
from machines.samples import example


def add_bodies(spec: APISpec, registry: Registry) -> None:
    """Add two schemas for each saga type: of its data, and of the request that creates a saga of this type."""
    for definition in newest(registry):
        spec.components.schema(_data_name(definition), json_schema(definition.data))
        create = {
            "type": "object",
            "required": ["type", "data"],
            "additionalProperties": False,
            "properties": {"type": {"type": "string", "const": definition.name}, "data": _ref(_data_name(definition))},
        }
        spec.components.schema(_create_name(definition), create)


def body_of(declared: Operation, registry: Registry) -> dict[str, Any]:
    content: dict[str, Any] = {"schema": declared.body}
    examples = declared.examples
    if declared.body == EVERY_SAGA:
        content["schema"] = _any_of(registry)
        examples = {d.name: {"type": d.name, "data": example(d.data)} for d in newest(registry)}
    elif isinstance(declared.body, Saga):
        content["schema"] = _ref(_data_name(declared.body))
        examples = examples or {declared.body.name: example(declared.body.data)}
    if examples:
        content["examples"] = {name: {"summary": name, "value": value} for name, value in examples.items()}
    return {"required": not declared.body_optional, "content": {"application/json": content}}


def batch_of(definition: Saga) -> dict[str, Any]:
    """Return the request body of a batch of starts."""
    start = {
        "type": "object",
        "required": ["key", "data"],
        "additionalProperties": False,
        "properties": {
            "key": components.IDEMPOTENCY_KEY,
            "data": _ref(_data_name(definition)),
            "webhook": components.WEBHOOK,
            "start_at": {"type": "string", "format": "date-time", "description": "when it starts; default: now"},
        },
    }
    starts = {"type": "array", "minItems": 1, "maxItems": LARGEST_NUMBER_OF_STARTS, "items": start}
    schema = {
        "type": "object",
        "required": ["starts"],
        "additionalProperties": False,
        "properties": {"starts": starts},
    }
    value = {"starts": [{"key": f"{definition.name}-{n}", "data": example(definition.data)} for n in (1, 2)]}
    examples = {definition.name: {"summary": definition.name, "value": value}}
    return {"required": True, "content": {"application/json": {"schema": schema, "examples": examples}}}


def newest(registry: Registry) -> list[Saga]:
    return [registry.latest(name) for name in registry.names]


def _any_of(registry: Registry) -> dict[str, Any]:
    references = {definition.name: _ref(_create_name(definition)) for definition in newest(registry)}
    mapping = {name: reference["$ref"] for name, reference in references.items()}
    return {"oneOf": list(references.values()), "discriminator": {"propertyName": "type", "mapping": mapping}}


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _data_name(definition: Saga) -> str:
    return f"data.{definition.name}"


def _create_name(definition: Saga) -> str:
    return f"create.{definition.name}"
