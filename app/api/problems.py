"""Every error answer, in one shape: RFC 9457 application/problem+json."""

from typing import Any

import orjson
import structlog
from flask import Flask, Response, current_app
from sqlalchemy.exc import DBAPIError, InterfaceError, InternalError, OperationalError
from werkzeug.exceptions import HTTPException

from app.errors import ProblemError

_log = structlog.get_logger("api")


def problem(status: int, title: str, detail: str, **members: Any) -> Response:
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail} | members
    return Response(orjson.dumps(body), status, content_type="application/problem+json")


def install(app: Flask) -> None:
    app.register_error_handler(ProblemError, _expected)
    app.register_error_handler(HTTPException, _of_http)
    app.register_error_handler(DBAPIError, _database_away)
    app.register_error_handler(Exception, _unexpected)


def answer_to(error: Exception) -> Response:
    """Give what an error is answered with, for those who show it in their own way."""
    match error:
        case ProblemError():
            return _expected(error)
        case HTTPException():
            return _of_http(error)
        case DBAPIError():
            return _database_away(error)
        case _:
            return _unexpected(error)


def _expected(error: ProblemError) -> Response:
    answer = problem(error.status, error.title, error.detail, **error.members)
    answer.headers.update(error.headers)
    return answer


def _of_http(error: HTTPException) -> Response:
    answer = problem(error.code or 500, error.name, error.description or error.name)
    if allowed := getattr(error, "valid_methods", None):
        answer.headers["Allow"] = ", ".join(sorted(allowed))
    return answer


def _database_away(error: DBAPIError) -> Response:
    """Say what a client can do when the database is away: whether its request was carried out is then not known."""
    if not isinstance(error, OperationalError | InternalError | InterfaceError):
        return _unexpected(error)
    _log.error("database.failed", error=str(error.orig).strip())
    current_app.extensions["runner"].pulse.failed(error)
    detail = "the database cannot do this now; ask again, with the same Idempotency-Key if you sent one"
    answer = problem(503, "Not ready", detail)
    answer.headers["Retry-After"] = "1"
    return answer


def _unexpected(error: Exception) -> Response:
    _log.error("request.crashed", exc_info=error)
    return problem(500, "Internal error", "the request could not be answered; the log of this moment says why")
