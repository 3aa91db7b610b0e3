"""Errors as pages, in words for people. The API answers the same errors as problem documents."""

from collections.abc import Callable
from dataclasses import dataclass

from flask import Blueprint, Flask, Response, make_response, render_template, request
from sqlalchemy.exc import SQLAlchemyError

from app.access.authorization import form_page
from app.access.browser_policy import prefers_page
from app.access.unchanged import not_modified
from app.admin.compression import compressed, in_one_direction
from app.errors import ForgedError, ProblemError
from app.store.database_errors import Meaning, meaning
from app.views.problems import Problem, problem_of

#: Seconds between two tries of an error page that tries again by itself.
RETRY_S = 5
_FORBIDDEN, _NOT_FOUND, _WRONG_METHOD, _UNAVAILABLE = 403, 404, 405, 503
#: The meanings of database errors that last until a person changes something.
_LASTING = (Meaning.NOT_MIGRATED, Meaning.FORBIDDEN, Meaning.UNSTORABLE, Meaning.DEFECT)


@dataclass(frozen=True, kw_only=True)
class Words:
    """The words of an error page."""

    title: str
    text: str
    #: True: the page tries again by itself, because the cause is likely to go away.
    tries_again: bool = False
    #: True: the page has a search, because the address may be a saga's.
    searches: bool = False


def as_pages(blueprint: Blueprint) -> Blueprint:
    """Make a blueprint answer every error with a page, and send its pages compressed and only when they changed."""
    for step in (compressed, not_modified, in_one_direction):  # the last one registered runs first
        blueprint.after_request(step)
    blueprint.register_error_handler(Exception, error_page)
    return blueprint


def install(app: Flask, otherwise: Callable[[Exception], Response]) -> None:
    """Answer an unknown address with a page, when it is below /admin/ or when a browser wants a page.

    otherwise: returns the answer to a program.
    """

    def answer(error: Exception) -> Response:
        return error_page(error) if _wants_page() else otherwise(error)

    for status in (_NOT_FOUND, _WRONG_METHOD):
        app.register_error_handler(status, answer)


def error_page(error: Exception) -> Response:
    problem = problem_of(error)
    words = _words(error, problem)
    back = form_page() if request.method == "POST" else ""
    page = make_response(render_template("admin/error.html", problem=problem, words=words, retry_s=RETRY_S, back=back))
    page.status_code = problem.status
    for name in ("Retry-After", "Allow"):
        if name in problem.headers:
            page.headers[name] = problem.headers[name]
    return page


def _wants_page() -> bool:
    if request.path.startswith("/admin/"):
        return True
    return prefers_page() and not request.path.startswith("/api/")


def _words(error: Exception, problem: Problem) -> Words:
    if isinstance(error, SQLAlchemyError) and meaning(error) not in _LASTING:
        return _database_away()
    if problem.status == _UNAVAILABLE:
        return Words(title=problem.title, text=_sentence(problem.detail), tries_again=request.method == "GET")
    if problem.status == _NOT_FOUND and not isinstance(error, ProblemError):
        return Words(
            title="There is no such page",
            text="Nothing is at this address. A saga is found by the last 8 digits of its id, its client or its order.",
            searches=True,
        )
    if problem.status == _WRONG_METHOD:
        return Words(title="This address only takes a form", text="Open the page with the form, and send it there.")
    if problem.status == _FORBIDDEN and not isinstance(error, ForgedError):
        return Words(title="Your role may not do this", text=f"{_sentence(problem.detail)} Ask an admin for the role.")
    return Words(title=problem.title, text="" if problem.members.get("errors") else _sentence(problem.detail))


def _database_away() -> Words:
    title = "The database is not reachable"
    if request.method == "GET":
        text = f"This page tries again every {RETRY_S} seconds. Sagas wait until the database is back."
        return Words(title=title, text=text, tries_again=True)
    text = "It is not certain that your form was recorded. When the page opens again, look before you send it again."
    return Words(title=title, text=text)


def _sentence(detail: str) -> str:
    """Return the detail of a problem as a sentence."""
    return f"{detail[:1].upper()}{detail[1:].rstrip('.')}."
