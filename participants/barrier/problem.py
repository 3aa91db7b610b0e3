"""Errors as RFC 9457 `application/problem+json`."""

import json
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

from flask import Flask, Response
from werkzeug.exceptions import HTTPException

from .rules import Refusal

MEDIA_TYPE = "application/problem+json"


class Problem(HTTPException):
    """An error with a problem document. Being an `HTTPException`, it needs no error handler in a Flask app."""

    def __init__(self, status: int, title: str | None = None, detail: str = "", **extra: Any) -> None:
        super().__init__(description=detail)
        self.code = status
        phrase = HTTPStatus(status).phrase
        kind = f"urn:problem:{title.lower().replace(' ', '-')}" if title else "about:blank"
        self.status = status
        self.document = {"type": kind, "title": title or phrase, "status": status, "detail": detail, **extra}

    def get_body(self, *_: Any) -> str:
        return json.dumps(self.document)

    def get_headers(self, *_: Any) -> list[tuple[str, str]]:
        return [("Content-Type", MEDIA_TYPE)]


class Refused(Problem, Refusal):
    """A refusal for a business reason. The call has changed nothing."""


def answer_with_problems(app: Flask) -> None:
    """Answer the errors of Flask and Werkzeug, including crashes, with problem documents too."""

    @app.errorhandler(HTTPException)
    def as_problem(error: HTTPException) -> Response | HTTPException:
        if isinstance(error, Problem):
            return error
        problem = Problem(error.code or HTTPStatus.INTERNAL_SERVER_ERROR, detail=error.description or "")
        headers = _without_content_type(error.get_headers())
        return Response(problem.get_body(), problem.code, headers, content_type=MEDIA_TYPE)


def _without_content_type(headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the headers of an error without Content-Type. The others stay, such as the `Allow` of a 405."""
    return [(name, value) for name, value in headers if name.lower() != "content-type"]
