"""A time on a page: in UTC as the server writes it. `times.js` shows it as the person has chosen in this browser."""

from datetime import UTC, datetime

from flask import Flask
from markupsafe import Markup

from app.views.formatting import moment


def install(app: Flask) -> None:
    app.jinja_env.filters["time"] = time_element
    app.jinja_env.globals["zone"] = zone
    app.jinja_env.globals["server_clock"] = lambda: _exact(datetime.now(UTC))


def time_element(at: datetime, unit: str = "second") -> Markup:
    """Return a time as an HTML element, to the `day`, `minute`, `second` or `millisecond`; its attribute is exact."""
    return Markup('<time datetime="{}" data-unit="{}">{}</time>').format(_exact(at), unit, moment(at, unit))


def zone() -> Markup:
    """Return the zone of the times beside it."""
    return Markup('<span class="zone">UTC</span>')


def _exact(at: datetime) -> str:
    """Return a time as HTML allows it, with at most three digits behind the second."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
