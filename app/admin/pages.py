"""The parts that every page of the operator shares: filters of the templates, hidden secrets, and errors as pages."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from flask import Blueprint, Flask, Response, request
from markupsafe import Markup, escape

from app.access.permissions import Role
from app.access.principal import principal
from app.admin import error_pages, times
from app.admin.compression import TURNS
from app.admin.error_pages import as_pages
from app.errors import field_words
from app.services import services
from app.store.saga_ids import short_id
from app.values import written
from app.views import formatting
from app.views.effects import description, effect_words
from app.views.participants import sentence
from app.views.saga_filters import narrowed
from app.views.states import participants_of
from app.views.tickets import deed
from app.views.titles import Titles, error_words, known_table, participant_title, reason_words
from app.views.waits import state_of_saga, status_now, status_words
from diagrams.descriptions import named as titled
from machines.lines import shortened
from machines.progress import person

#: Largest number of characters of a reply or a message on a page; the API returns all characters.
LONGEST_SHOWN = 20_000
#: Most names whose HTML a process remembers, because each row of a list has several. A name is a few hundred bytes.
_REMEMBERED = 4096


def pages(name: str) -> Blueprint:
    """Return a blueprint that answers errors with HTML pages."""
    blueprint = as_pages(Blueprint(f"admin_{name}", __name__))
    blueprint.context_processor(
        lambda: {
            "may_act": principal().has(Role.OPERATOR),
            "titles": Titles(services().registry, services().participants),
        }
    )
    return blueprint


def prepare(app: Flask, otherwise: Callable[[Exception], Response]) -> None:
    """Register the template filters, and the page for an unknown address.

    otherwise: returns the answer for an unknown address to a program.
    """
    app.jinja_env.filters |= {
        "duration": formatting.duration,
        "as_json": as_json,
        "cause": _cause,
        "redacted": redacted,
        "effect_description": description,
        "effect_words": effect_words,
        "short_id": short_id,
        "shown": shown,
        "breakable": breakable,
        "brief": formatting.brief,
        "outage": sentence,
        "person": person,
        "participant": participant_title,
        "reason": lambda reason: redacted(reason_words(reason)),
        "error_of": _error_of,
        "status_now": lambda row: status_now(state_of_saga(services().registry, row), row),
        "status_words": lambda row: status_words(state_of_saga(services().registry, row), row),
        "deed": deed,
        "field_words": field_words,
    }
    app.jinja_env.tests["cancel"] = formatting.is_cancel
    app.jinja_env.globals |= {
        "query_with": _query_with,
        "titled": titled,
        "named": named,
        "saga_name": saga_name,
        "participant_name": participant_name,
        "release": lambda: services().release,
        "narrows": lambda query: any(
            value not in (None, ())
            for name, value in narrowed(query).items()
            if name not in ("words", "definitions", "states")
        ),
        "participant_names": lambda: participants_of(services().registry),
        "has_webhooks": lambda: bool(services().webhooks) or any(table.at_end for table in services().registry),
    }
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    times.install(app)
    error_pages.install(app, otherwise)


def redacted(value: Any) -> Any:
    """Return the value without the secrets in it."""
    return services().redact(value)


def as_json(value: Any) -> str:
    """Return a value as indented JSON without secrets, shortened for a page."""
    return shortened(visible(written(redacted(value), indent=True).decode()), LONGEST_SHOWN)


def shown(text: str) -> str:
    """Return a text without secrets, shortened for a page."""
    return shortened(str(redacted(text)), LONGEST_SHOWN)


def visible(text: str) -> str:
    """Return a text with its bidi controls written out, because they would turn the text behind them round."""
    return TURNS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def breakable(name: str) -> Markup:
    """Return a long name that a browser may break after its underscores, and nowhere else."""
    return escape(name).replace("_", Markup("_<wbr>"))


@lru_cache(_REMEMBERED)
def named(title: str, name: str) -> Markup:
    """Return a title with its identifier small beside it; the identifier alone where a table has no title."""
    if not title:
        return Markup('<span class="mono">{}</span>').format(breakable(name))
    return Markup('<span>{} <span class="id">{}</span></span>').format(title, breakable(name))


@lru_cache(_REMEMBERED)
def _called(title: str, name: str) -> Markup:
    """Return the title of a saga or participant with its identifier; the identifier alone without a title."""
    if title in ("", name):
        return Markup("<span>{}</span>").format(name)
    return Markup('<span>{} <span class="id">{}</span></span>').format(title, name)


def saga_name(name: str, version: int | None = None) -> Markup:
    """Return the type of a saga as a page shows it. version: default: the newest."""
    found = services()
    return _called(Titles(found.registry, found.participants).saga(name, version), name)


def participant_name(name: str) -> Markup:
    """Return a participant as a page shows it; "": none."""
    return _called(participant_title(name), name) if name else Markup("\N{EN DASH}")


def _cause(error: str | None) -> str:
    return str(redacted(reason_words(formatting.cause(error))))


def _error_of(saga: Any) -> str:
    return str(redacted(error_words(known_table(services().registry, saga), saga.error)))


def _query_with(**changed: Any) -> dict[str, Any]:
    """Return this page's query string with changes; None removes a parameter."""
    kept: dict[str, Any] = request.args.to_dict(flat=False)  # a parameter may come several times
    return {name: value for name, value in (kept | changed).items() if value is not None}
