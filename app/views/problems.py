"""The conversion of an error to a problem for the sender: status, title and detail, for an API answer or a page."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import structlog
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound

from app.errors import NotReadyError, ProblemError
from app.services import services
from app.store.database_errors import Meaning, in_one_line, meaning

_log = structlog.get_logger("api")


@dataclass(frozen=True, kw_only=True)
class Problem:
    """The members of an RFC 9457 problem document."""

    status: int
    title: str
    detail: str
    #: Members beyond those of RFC 9457, such as the id of a saga.
    members: Mapping[str, Any] = field(default_factory=dict)
    #: Headers of the answer.
    headers: Mapping[str, str] = field(default_factory=dict)


_NOT_NOW = Problem(
    status=NotReadyError.status,
    title=NotReadyError.title,
    detail="the database cannot do this now; send the request again, with the same Idempotency-Key if you sent one",
    headers={"Retry-After": "1"},
)
_DATABASE_PROBLEMS = {
    Meaning.NOT_MIGRATED: Problem(
        status=NotReadyError.status,
        title=NotReadyError.title,
        detail="the database lacks tables or columns of this release; the operator runs `flask --app app db upgrade`",
        headers={"Retry-After": "1"},
    ),
    Meaning.FORBIDDEN: Problem(
        status=500,
        title="The database refuses this service",
        detail="the role of DATABASE_URL lacks a right that this service needs; the log of this moment names it",
    ),
    Meaning.UNSTORABLE: Problem(
        status=400,
        title="A value cannot be stored",
        detail="the database cannot keep a value of this request (too long, too large, or not in its encoding)",
    ),
}


def problem_of(error: Exception) -> Problem:
    """Return the problem of an error, and log an error that the sender cannot correct."""
    match error:
        case ProblemError():
            return Problem(
                status=error.status,
                title=error.title,
                detail=error.detail,
                members=error.members,
                headers=error.headers,
            )
        case HTTPException():
            return _of_http(error)
        case SQLAlchemyError():
            return _of_database(error)
        case _:
            return _of_defect(error)


def _of_http(error: HTTPException) -> Problem:
    allowed = ", ".join(sorted(getattr(error, "valid_methods", None) or ()))
    return Problem(
        status=error.code or 500,
        title=error.name,
        detail=_remedy(error, allowed) or error.description or error.name,
        headers={"Allow": allowed} if allowed else {},
    )


def _remedy(error: HTTPException, allowed: str) -> str:
    """Return what the sender can correct after an error of Werkzeug; "" when the error's description says it."""
    if error.description != type(error).description:
        return ""
    match error:
        case NotFound():
            return "there is nothing at this path; check the type or the id of a saga in it; /docs lists every path"
        case MethodNotAllowed():
            return f"this path takes {allowed}"
    return ""


def _of_database(error: SQLAlchemyError) -> Problem:
    """Return the problem for a database error; its detail says who can correct the cause.

    After a lost connection it is not known whether the transaction was committed, so the detail asks to repeat the
    request with the same Idempotency-Key.
    """
    meant = meaning(error)
    if meant is Meaning.DEFECT:
        return _of_defect(error)
    _log.error("database.failed", meaning=meant, error=in_one_line(error))
    services().runner.heartbeat.failed(error)
    return _DATABASE_PROBLEMS.get(meant, _NOT_NOW)


def _of_defect(error: Exception) -> Problem:
    _log.error("request.crashed", exc_info=error)
    return Problem(
        status=500,
        title="Internal error",
        detail="the request could not be answered; the log of this moment says why",
    )
