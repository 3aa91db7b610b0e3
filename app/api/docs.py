"""The API's description for programs (/openapi.json) and for people (Swagger UI at /docs and /api-docs).

The page of Swagger UI loads only files of this service, and has no inline script.
"""

from pathlib import Path
from threading import Lock

import click
from flask import Blueprint, Response, current_app
from marshmallow import INCLUDE, Schema

from app.access.permissions import OPEN
from app.api.openapi.document import text_of
from app.api.openapi.operation import operation
from app.services import services

blueprint = Blueprint("docs", __name__, cli_group=None)
_PAGE = (Path(__file__).parents[1] / "static" / "swagger" / "index.html").read_bytes()

_MAKING = Lock()
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


class Document(Schema):
    """An OpenAPI 3.1 document."""

    class Meta:
        unknown = INCLUDE


@blueprint.get("/openapi.json")
@operation("This document", "service", {200: Document()}, need=OPEN)
def openapi() -> Response:
    """Describe the API as OpenAPI 3.1."""
    parts = services()
    with _MAKING:  # it takes 0.3 s
        if parts.openapi is None:
            parts.openapi = text_of(current_app).encode()  # all answers share these bytes
    return Response(parts.openapi, content_type="application/json")


@blueprint.get("/docs")
@blueprint.get("/api-docs")
@operation("Swagger UI", "service", {200: "The page."}, media_types=("text/html",), need=OPEN)
def page() -> Response:
    """Try the API in the browser."""
    return Response(_PAGE, content_type="text/html; charset=utf-8", headers=_HEADERS)


@blueprint.cli.command("openapi")
def print_document() -> None:
    """Print the API's description, from which `make openapi` writes docs/openapi.json."""
    click.echo(text_of(current_app), nl=False)
