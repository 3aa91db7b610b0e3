"""What every page of the operator's has: words for its templates, secrets left out, and errors as pages."""

from typing import Any

import orjson
from flask import Blueprint, Flask, Response, make_response, render_template, request

from app.access.principal import principal
from app.access.roles import Role
from app.admin.words import breakable, brief, cause, clock, fine_clock, lasted
from app.api.problems import answer_to
from app.services import services
from app.values import shortened, written

#: Characters of a reply or a message that a page shows; the API gives all of them.
LONGEST_SHOWN = 20_000


def pages(name: str) -> Blueprint:
    """Make a blueprint whose errors are pages."""
    blueprint = Blueprint(f"admin_{name}", __name__)
    blueprint.register_error_handler(Exception, _as_page)
    blueprint.context_processor(lambda: {"may_act": principal().has(Role.OPERATOR)})
    return blueprint


def prepare(app: Flask) -> None:
    app.jinja_env.filters |= {
        "lasted": lasted,
        "clock": clock,
        "fine_clock": fine_clock,
        "as_json": as_json,
        "cause": _cause,
        "redacted": redacted,
        "shown": shown,
        "breakable": breakable,
        "brief": brief,
    }
    app.jinja_env.globals["again"] = _again
    app.register_error_handler(404, _not_there)
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True


def redacted(value: Any) -> Any:
    """Give the value without the secrets that it holds."""
    return services().redact(value)


def as_json(value: Any) -> str:
    return shortened(written(redacted(value), indent=True).decode(), LONGEST_SHOWN)


def shown(text: str) -> str:
    """Return a text of any length as a page shows it."""
    return shortened(str(redacted(text)), LONGEST_SHOWN)


def _cause(error: str | None) -> str:
    return str(redacted(cause(error)))


def _again(**changed: str | None) -> dict[str, str]:
    """Give this page's query string with something changed; None takes it out."""
    return {name: value for name, value in (request.args.to_dict() | changed).items() if value is not None}


def _not_there(error: Exception) -> Response:
    """Answer for an address that is none: below /admin it was a person who mistyped it."""
    return _as_page(error) if request.path.startswith("/admin/") else answer_to(error)


def _as_page(error: Exception) -> Response:
    answer = answer_to(error)
    problem = orjson.loads(answer.get_data())
    page = make_response(render_template("admin/error.html", problem=problem), answer.status_code)
    for name in ("Retry-After", "Allow"):
        if name in answer.headers:
            page.headers[name] = answer.headers[name]
    return page
