"""The elements of a Postman collection: folders, requests and their assertions."""

import json
from collections.abc import Sequence
from typing import Any

SCHEMA = "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"
BASE = {"key": "baseUrl", "value": "http://127.0.0.1:8009"}

#: The API key, as a variable of the collection. It is empty for a service with API_AUTH=off, such as the demo.
KEY = {"key": "apiKey", "value": ""}
AUTH = {
    "type": "apikey",
    "apikey": [
        {"key": "key", "value": "X-API-Key"},
        {"key": "value", "value": "{{apiKey}}"},
        {"key": "in", "value": "header"},
    ],
}


def collection(name: str, description: str, folders: Sequence[dict[str, Any]]) -> dict[str, Any]:
    info = {"name": name, "description": description, "schema": SCHEMA}
    return {"info": info, "auth": AUTH, "variable": [BASE, KEY], "item": list(folders)}


def folder(name: str, *requests: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "item": list(requests)}


def request(name: str, method: str, path: str, *lines: str, body: Any = None) -> dict[str, Any]:
    """Return a request. `lines`: JavaScript assertions about the response; they may use `body`, its JSON."""
    asked: dict[str, Any] = {"method": method, "url": "{{baseUrl}}" + path}
    if body is not None:
        asked["header"] = [{"key": "Content-Type", "value": "application/json"}]
        raw = json.dumps(body, indent=2, ensure_ascii=False)
        asked["body"] = {"mode": "raw", "raw": raw, "options": {"raw": {"language": "json"}}}
    script = ["const body = pm.response.json();", *lines]
    return {"name": name, "request": asked, "event": [{"listen": "test", "script": {"exec": script}}]}


def status(expected: int) -> str:
    return f"pm.test('status {expected}', () => pm.response.to.have.status({expected}));"


def equal(path: str, expected: Any) -> str:
    shown = json.dumps(expected, ensure_ascii=False)
    return f"pm.test('{path} is {_plain(shown)}', () => pm.expect(body.{path}).to.eql({shown}));"


def begins(path: str, expected: str) -> str:
    return f"pm.test('{path} begins with {expected}', () => pm.expect(body.{path}).to.match(/^{expected}\\b/));"


def entered(expected: Sequence[str]) -> str:
    """Return an assertion that the history consists of exactly these states."""
    shown = json.dumps(expected)
    return f"pm.test('historique', () => pm.expect(body.map((row) => row.etat)).to.eql({shown}));"


def steps(path: str, expected: Sequence[str]) -> str:
    shown = json.dumps(expected)
    return f"pm.test('steps', () => pm.expect(body.{path}.map((step) => step.status)).to.eql({shown}));"


def keep(variable: str, expression: str) -> str:
    """Return a script that stores the value of a JavaScript expression in a variable, for later requests."""
    return f"pm.collectionVariables.set('{variable}', {expression});"


def _plain(text: str) -> str:
    return text.replace("'", "").replace('"', "")
