"""/admin/schedules: the schedules. An admin adds, changes, pauses, resumes and removes them."""

from collections.abc import Callable
from typing import Any

from flask import flash, make_response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from app.access.permissions import Role, keeps_to_tenant, needs
from app.access.principal import principal
from app.admin.pages import pages
from app.errors import NotFoundError, ProblemError
from app.services import services
from app.views.schedules import (
    ALLOW,
    SKIP,
    added_entry,
    change_entry,
    changed_entry,
    new_schedule,
    schedule_change,
    schedule_json,
)
from app.views.validation import parsed_object

blueprint = pages("schedules")
#: The fields of the form, apart from the data.
_FIELDS = ("name", "type", "cron", "zone", "overlap")


@blueprint.get("/admin/schedules")
@needs(Role.VIEWER)
@keeps_to_tenant
def show() -> Response:
    return _page()


@blueprint.post("/admin/schedules")
@needs(Role.ADMIN)
def add() -> Response:
    return _done(_add, f"The schedule {request.form.get('name', '').strip()} is added.")


@blueprint.post("/admin/schedules/<name>/change")
@needs(Role.ADMIN)
def change(name: str) -> Response:
    return _done(lambda: _change(name), f"The schedule {name} is changed.")


@blueprint.post("/admin/schedules/<name>/remove")
@needs(Role.ADMIN)
def remove(name: str) -> Response:
    entry = changed_entry("remove", name, principal().actor)
    return _done(lambda: services().schedules.store.remove(name, entry), f"The schedule {name} is removed.")


@blueprint.post("/admin/schedules/<name>/pause")
@needs(Role.ADMIN)
def pause(name: str) -> Response:
    entry = changed_entry("pause", name, principal().actor)
    return _done(lambda: services().schedules.pause(name, entry), f"The schedule {name} is paused.")


@blueprint.post("/admin/schedules/<name>/resume")
@needs(Role.ADMIN)
def resume(name: str) -> Response:
    entry = changed_entry("resume", name, principal().actor)
    return _done(lambda: services().schedules.resume(name, entry), f"The schedule {name} is resumed.")


def _add() -> None:
    given: dict[str, Any] = {name: request.form.get(name, "").strip() for name in _FIELDS}
    given["data"] = parsed_object((request.form.get("data", "").strip() or "{}").encode(), "data")
    new = new_schedule(services().registry, given)
    services().schedules.add(new, added_entry(services().registry, new, principal().actor))


def _change(name: str) -> None:
    """Change what differs in the form. An empty field stays, because the form does not show the data."""
    registry, schedules = services().registry, services().schedules
    row = schedules.store.find(name)
    known = schedule_json(registry, row)
    filled = {field: request.form.get(field, "").strip() for field in ("cron", "zone", "overlap", "data")}
    given: dict[str, Any] = {field: value for field, value in filled.items() if value and value != known[field]}
    if "data" in given:
        given["data"] = parsed_object(given["data"].encode(), "data")
    values = schedule_change(registry, row, given)
    schedules.change(name, values, change_entry(registry, values, principal().actor))


def _done(change: Callable[[], None], success: str) -> Response:
    try:
        change()
    except NotFoundError:
        raise
    except ProblemError as error:
        return _page(error)
    flash(success, "done")
    return redirect(url_for("admin_schedules.show"), 303)


def _page(error: ProblemError | None = None) -> Response:
    rows = services().schedules.store.all()
    page = render_template(
        "admin/schedules.html",
        schedules=[(row, schedule_json(services().registry, row)) for row in rows],
        types=services().registry.names,
        overlaps=(SKIP, ALLOW),
        is_admin=principal().has(Role.ADMIN),
        given=request.form if error else {"zone": "UTC"},
        error=error,
    )
    return make_response(page, error.status if error else 200)
