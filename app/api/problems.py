"""Converts every error of the API to an answer in the format application/problem+json (RFC 9457)."""

from typing import Any

import orjson
from flask import Flask, Response, request
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import HTTPException

from app.errors import ProblemError
from app.views.problems import problem_of

#: Below this path, every error also has the member `error`, a copy of `detail`.
_WITH_ERROR_MEMBER = "/api/saga/"


def install(app: Flask) -> None:
    for kind in (ProblemError, HTTPException, SQLAlchemyError, Exception):
        app.register_error_handler(kind, answer_to)


def answer_to(error: Exception) -> Response:
    """Return the answer to an error, as a problem document."""
    problem = problem_of(error)
    answer = problem_answer(problem.status, problem.title, problem.detail, **problem.members)
    answer.headers.update(problem.headers)
    return answer


def problem_answer(status: int, title: str, detail: str, **members: Any) -> Response:
    if request.path.startswith(_WITH_ERROR_MEMBER):
        members = {"error": detail} | members
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail} | members
    return Response(orjson.dumps(body), status, content_type="application/problem+json")
