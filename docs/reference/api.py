"""The reference of the HTTP API, from the OpenAPI document of a service that has one example table."""

from collections.abc import Iterator, Mapping
from typing import Any

from app.api.openapi.document import document
from diagrams.generated import ROOT
from docs.reference.markdown import WRITTEN, table
from docs.reference.service import service

_SAGAS = ROOT / "docs" / "examples" / "own-repository" / "sagas"
_TEXT = """
# HTTP API

Every request of the service, for an example table, [`gift`](../examples/own-repository/sagas/gift.py): with your
tables, the paths that contain `gift` exist for each of your types. A service serves the same description for programs
at `/openapi.json`, and to try out at `/docs`. With the sample tables it also serves the contracts of two reference
systems: [openapi.json](../openapi.json).

A request is sent with an API key as `X-API-Key` or `Authorization: Bearer`. The key has the scope that is named, except
where the scope is "none". Every error is a problem document (RFC 9457) with `title`, `detail` and `status`; its
`errors` name each wrong field. These answers are possible for every request with a scope, and the last two for every
request with a body:

{common}
"""
#: Key of a schema → the word before its value.
_BOUNDS = {
    "minimum": "from",
    "maximum": "up to",
    "minLength": "at least",
    "maxLength": "at most",
    "default": "default",
}
#: The statuses that are described once, at the top of the page.
_COMMON = ("401", "403", "413", "415")


def page() -> str:
    """Return the page, in Markdown."""
    described = _document()
    schemas = described["components"]["schemas"]
    sections = [WRITTEN, _TEXT.format(common=table(("status", "meaning"), _common(described["paths"])))]
    for tag in described["tags"]:
        operations = [
            (method, path, operation)
            for path, methods in described["paths"].items()
            for method, operation in methods.items()
            if tag["name"] in operation["tags"]
        ]
        if operations:
            sections.append(f"## {tag['description']}\n\n")
            for method, path, operation in operations:
                sections += _operation(method.upper(), path, operation, described["components"])
    sections.append("## Bodies\n\nThe fields of each body that is named above. An optional field may be missing.\n\n")
    for name in sorted(_used(described)):
        sections += _schema(name, schemas[name])
    return "".join(sections).rstrip() + "\n"


def _document() -> dict[str, Any]:
    with service(str(_SAGAS), PARTICIPANT_SHOP_URL="http://127.0.0.1") as app:
        return document(app)


def _common(paths: Mapping[str, Any]) -> list[tuple[str, str]]:
    answers = (operation["responses"] for methods in paths.values() for operation in methods.values())
    found = {status: answer["description"] for all_of in answers for status, answer in all_of.items()}
    return [(status, found[status]) for status in _COMMON]


def _operation(method: str, path: str, operation: Mapping[str, Any], parts: Mapping[str, Any]) -> Iterator[str]:
    yield f"### {method} {path}\n\n{_sentence(operation.get('description') or operation['summary'])} "
    scopes = [scope for need in operation.get("security", ()) for scopes in need.values() for scope in scopes]
    yield f"Scope: {', '.join(f'`{scope}`' for scope in dict.fromkeys(scopes)) or 'none'}.\n\n"
    rows = [_parameter(_resolved(parameter, parts)) for parameter in operation.get("parameters", ())]
    if content := operation.get("requestBody", {}).get("content", {}):
        (body,) = list(content.values())[:1]
        rows.append(("body", "body", _type(body["schema"]), ""))
    yield table(("parameter", "in", "type", "meaning"), rows) + ("\n" if rows else "")
    answers = (
        (status, answer["description"], _answered(answer))
        for status, answer in sorted(operation["responses"].items())
        if status not in _COMMON
    )
    yield table(("status", "meaning", "body"), answers) + "\n"


def _resolved(part: Mapping[str, Any], parts: Mapping[str, Any]) -> Mapping[str, Any]:
    reference = part.get("$ref")
    if reference is None:
        return part
    found: Mapping[str, Any] = parts["parameters"][reference.rpartition("/")[2]]
    return found


def _parameter(parameter: Mapping[str, Any]) -> tuple[str, str, str, str]:
    required = " (required)" if parameter.get("required") and parameter["in"] != "path" else ""
    meaning = parameter.get("description", "")
    return f"`{parameter['name']}`{required}", parameter["in"], _type(parameter["schema"]), meaning


def _answered(answer: Mapping[str, Any]) -> str:
    for kind, content in answer.get("content", {}).items():
        return "problem" if kind == "application/problem+json" else _type(content.get("schema", {}))
    return ""


def _type(schema: Mapping[str, Any]) -> str:  # noqa: PLR0911  one line for each form of a schema
    if reference := schema.get("$ref", "").rpartition("/")[2]:
        return f"[{reference}](#{_anchor(reference)})"
    for several in ("oneOf", "anyOf", "allOf"):
        if several in schema:
            return " or ".join(dict.fromkeys(_type(one) for one in schema[several]))
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    kind = schema.get("type", "any JSON")
    if kind == "array":
        return f"list of {_type(schema.get('items', {}))}"
    if isinstance(kind, list):
        return " or ".join(kind)
    bounds = [f"{word} {schema[key]}" for key, word in _BOUNDS.items() if key in schema]
    return ", ".join([schema.get("format", kind), *bounds])


def _anchor(name: str) -> str:
    """Return the anchor of the heading with this text, as GitHub and the site make it."""
    return "".join(letter for letter in name.lower() if letter.isalnum() or letter in "-_")


def _schema(name: str, schema: Mapping[str, Any]) -> Iterator[str]:
    yield f"### {name}\n\n"
    if not schema.get("properties"):
        yield f"{_type(schema).capitalize()}.\n\n"
        return
    required = set(schema.get("required", ()))
    rows = (
        (f"`{field}`" + ("" if field in required else " (optional)"), _type(kind), kind.get("description", ""))
        for field, kind in schema["properties"].items()
    )
    yield table(("field", "type", "meaning"), rows) + "\n"


def _used(described: Mapping[str, Any]) -> set[str]:
    """Return the names of the schemas that the operations name, directly or within another schema."""
    schemas, found = described["components"]["schemas"], set()
    waiting = list(_references(described["paths"])) + list(_references(described["components"].get("parameters", {})))
    while waiting:
        name = waiting.pop()
        if name in schemas and name not in found:
            found.add(name)
            waiting += _references(schemas[name])
    return found


def _references(part: Any) -> Iterator[str]:
    if isinstance(part, Mapping):
        if "$ref" in part:
            yield part["$ref"].rpartition("/")[2]
        for value in part.values():
            yield from _references(value)
    elif isinstance(part, list):
        for value in part:
            yield from _references(value)


def _sentence(text: str) -> str:
    """Return the text with a capital first letter and a full stop."""
    text = text.strip()
    return f"{text[0].upper()}{text[1:]}{'' if text.endswith(('.', '…', '!')) else '.'}" if text else ""
