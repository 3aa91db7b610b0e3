"""The OpenAPI 3.1 document: every route, from the operation that its view declares and from the tables."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from http import HTTPStatus
from typing import Any

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from flask import Flask
from werkzeug.routing import Rule

from app.api.openapi import components
from app.api.openapi.bodies import add_bodies, batch_of, body_of, newest
from app.api.openapi.operation import EVERY_BATCH, EVERY_DATA, Operation, operation_of
from app.api.schemas.base import Problem
from app.services import services
from app.version import VERSION
from machines.registry import Registry

_INFO = {
    "summary": "Runs business transactions across HTTP services.",
    "description": (
        "Every saga completes, or is compensated, or waits for a person. "
        "Each error is an RFC 9457 problem document that says what to correct."
    ),
    "license": {"name": "MIT", "identifier": "MIT"},
}
#: The URL is relative to the address of the document, so it is also right behind a gateway that removes a path prefix.
_SERVERS = [{"url": "./"}]
CONFLICT = HTTPStatus.CONFLICT
#: The tags, in the order in which Swagger UI shows them.
_TAGS = [
    {"name": "checkout", "description": "A customer's checkout, run in one request"},
    {"name": "commandes", "description": "An order behind the gateway"},
    {"name": "sagas", "description": "Sagas of any type: create, execute, compensate, retry, show"},
    {"name": "schedules", "description": "Sagas that start at the times of a cron expression"},
    {"name": "events", "description": "Events of sagas, and dead letters"},
    {"name": "webhooks", "description": "Messages about the ends of sagas, and those that were not delivered"},
    {"name": "definitions", "description": "Saga types and their tables"},
    {"name": "diagrams", "description": "Pictures of tables and sagas"},
    {"name": "service", "description": "The service itself"},
]
_ARGUMENT = re.compile(r"<(?:([^:<>]+):)?([^<>]+)>")


def text_of(app: Flask) -> str:
    return json.dumps(document(app), indent=2, ensure_ascii=False) + "\n"


def document(app: Flask) -> dict[str, Any]:
    registry: Registry = services(app).registry
    spec = APISpec(
        "Saga orchestrator", VERSION, "3.1.0", plugins=[MarshmallowPlugin()], info=_INFO, servers=_SERVERS, tags=_TAGS
    )
    spec.components.schema("Problem", schema=Problem())
    components.add(spec)
    add_bodies(spec, registry)
    for rule, declared in documented(app):
        if declared.body in (EVERY_DATA, EVERY_BATCH):
            spec.path(rule.rule, operations={"post": _of_one_type(app, rule, declared, registry)})
            continue
        methods = (rule.methods or set()) - {"HEAD", "OPTIONS"}
        shown = {method.lower(): _operation(app, rule, declared, registry) for method in sorted(methods)}
        spec.path(_ARGUMENT.sub(r"{\2}", rule.rule), operations=shown)
    return spec.to_dict()


def documented(app: Flask) -> Iterator[tuple[Rule, Operation]]:
    declared = components.of_libraries() | {
        endpoint: declared for endpoint, view in app.view_functions.items() if (declared := operation_of(view))
    }
    for rule in app.url_map.iter_rules():
        if rule.endpoint in declared:
            yield rule, declared[rule.endpoint]


def _operation(app: Flask, rule: Rule, declared: Operation, registry: Registry) -> dict[str, Any]:
    view = app.view_functions[rule.endpoint]
    shown: dict[str, Any] = {
        "operationId": _id(app, rule),
        "tags": [declared.tag],
        "summary": declared.summary,
        "description": " ".join((view.__doc__ or declared.summary).split()),
        "parameters": [*_path_parameters(rule, registry), *declared.request_headers],
        "responses": _successes(app, declared) | _problems(app, declared),
        "security": components.security(declared),
    }
    if declared.query:
        shown["parameters"].append({"in": "query", "schema": declared.query})
    if declared.body:
        shown["requestBody"] = body_of(declared, registry)
    return shown


def _of_one_type(app: Flask, rule: Rule, declared: Operation, registry: Registry) -> dict[str, Any]:
    """Return the operation of a path that starts one type of saga, with the schema of its data."""
    definition = registry.latest((rule.defaults or {})["saga_type"])
    shown = _operation(app, rule, replace(declared, body=definition), registry)
    if declared.body == EVERY_BATCH:
        shown["requestBody"] = batch_of(definition)
    name = "start_batch" if declared.body == EVERY_BATCH else "start"
    return shown | {
        "operationId": f"sagas_{name}_{definition.name}",
        "summary": f"{declared.summary}: {definition.name}",
    }


def _path_parameters(rule: Rule, registry: Registry) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"} | _narrowed(converter, registry)}
        for converter, name in _ARGUMENT.findall(rule.rule)
    ]


def _narrowed(converter: str, registry: Registry) -> dict[str, Any]:
    """Return the JSON Schema of a path parameter. converter: `uuid`, `int(…)`, `any(…)`; "" for a saga type."""
    if converter.startswith("int("):
        return {"type": "integer", "format": "int64"}
    if converter.startswith("any("):
        return {"enum": converter.removeprefix("any(").removesuffix(")").split(",")}
    return {"format": converter} if converter else {"examples": [definition.name for definition in newest(registry)]}


def _successes(app: Flask, declared: Operation) -> dict[str, Any]:
    links = _links(app, declared, declared.id_at)
    return {
        str(status): _response(
            reply if isinstance(reply, str) else reply.__doc__ or "",
            {
                kind: {"schema": {"type": "string"} if isinstance(reply, str) else reply}
                for kind in declared.media_types
            },
            declared.answer_headers,
            links,
        )
        for status, reply in declared.replies.items()
    }


def _problems(app: Flask, declared: Operation) -> dict[str, Any]:
    content = {"application/problem+json": {"schema": "Problem"}}
    statuses = (*declared.problems, *components.refusals(declared))
    shown = {str(status): _response(components.PROBLEMS[status], content) for status in sorted(statuses)}
    if CONFLICT in declared.problems:  # the body of a 409 contains the id of a saga
        links = _links(app, declared, "/saga_id")
        description = declared.conflict or components.PROBLEMS[CONFLICT]
        shown[str(int(CONFLICT))] = _response(description, content, declared.answer_headers, links)
    return shown


def _response(
    description: str, content: dict[str, Any], headers: Sequence[str] = (), links: dict[str, Any] | None = None
) -> dict[str, Any]:
    shown: dict[str, Any] = {"description": " ".join(description.split()), "content": content}
    shown |= {"headers": {name: name for name in headers}} if headers else {}
    return shown | ({"links": links} if links else {})


def _links(app: Flask, declared: Operation, pointer: str) -> dict[str, Any]:
    """Return a link to each endpoint of `leads_to`. pointer: the JSON pointer of the saga's id in the answer."""
    found = {}
    for endpoint in declared.leads_to:
        rule = next(app.url_map.iter_rules(endpoint))
        parameters = dict.fromkeys(rule.arguments, f"$response.body#{pointer}")
        found[_id(app, rule)] = {"operationId": _id(app, rule), "parameters": parameters}
    return found


def _id(app: Flask, rule: Rule) -> str:
    """Return the operation id: the endpoint's name. The second path of an endpoint has the suffix _2, and so on."""
    number = [known.rule for known in app.url_map.iter_rules(rule.endpoint)].index(rule.rule) + 1
    return str(rule.endpoint).replace(".", "_") + (f"_{number}" if number > 1 else "")
