"""Every error answer, in one shape: RFC 9457 application/problem+json."""

from typing import Any

import orjson
import structlog
from flask import Flask, Response, request
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import HTTPException

from app.errors import NotReadyError, ProblemError
from app.services import services
from app.store.database_errors import Meaning, in_one_line, meaning

_log = structlog.get_logger("api")
#: 000 calls what is wrong `error`, in each of its answers.
_BELOW_000 = "/api/saga/"


def problem(status: int, title: str, detail: str, **members: Any) -> Response:
    if request.path.startswith(_BELOW_000):
        members = {"error": detail} | members
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail} | members
    return Response(orjson.dumps(body), status, content_type="application/problem+json")


def install(app: Flask) -> None:
    app.register_error_handler(ProblemError, _expected)
    app.register_error_handler(HTTPException, _of_http)
    app.register_error_handler(SQLAlchemyError, _of_the_database)
    app.register_error_handler(Exception, _unexpected)


def answer_to(error: Exception) -> Response:
    """Give what an error is answered with, for those who show it in their own way."""
    match error:
        case ProblemError():
            return _expected(error)
        case HTTPException():
            return _of_http(error)
        case SQLAlchemyError():
            return _of_the_database(error)
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


def _of_the_database(error: SQLAlchemyError) -> Response:
    """Say who can mend it. Whether the request was carried out is not known where the database was away."""
    meant = meaning(error)
    if meant is Meaning.DEFECT:
        return _unexpected(error)
    _log.error("database.failed", meaning=meant, error=in_one_line(error))
    services().runner.pulse.failed(error)
    status, title, detail = _SAID.get(meant, _NOT_NOW)
    answer = problem(status, title, detail)
    if status == NotReadyError.status:
        answer.headers["Retry-After"] = "1"
    return answer


_NOT_NOW = (
    NotReadyError.status,
    NotReadyError.title,
    "the database cannot do this now; ask again, with the same Idempotency-Key if you sent one",
)
_SAID = {
    Meaning.NOT_MIGRATED: (
        NotReadyError.status,
        NotReadyError.title,
        "the database lacks tables or columns of this release; the operator runs `flask --app app db upgrade`",
    ),
    Meaning.FORBIDDEN: (
        500,
        "The database refuses this service",
        "the role of DATABASE_URL lacks a right that this service needs; the log of this moment names it",
    ),
    Meaning.UNSTORABLE: (
        400,
        "A value cannot be stored",
        "the database cannot keep a value of this request (too long, too large, or not in its encoding)",
    ),
}


def _unexpected(error: Exception) -> Response:
    _log.error("request.crashed", exc_info=error)
    return problem(500, "Internal error", "the request could not be answered; the log of this moment says why")
