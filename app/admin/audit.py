"""/admin/audit: the audit trail, the newest row first, and the result of its verification."""

from typing import Any

from flask import Blueprint, render_template, request, url_for
from sqlalchemy import Row

from app.access.permissions import Role, keeps_to_tenant, needs
from app.admin.error_pages import as_pages
from app.errors import InvalidError
from app.store import audit
from app.store.database import db
from app.store.search import id_digits
from app.store.tenants import acting_for
from machines.lines import one_line

blueprint = as_pages(Blueprint("audit", __name__, url_prefix="/admin/audit"))
ROWS = 50
#: Number of newest rows that the page verifies; `saga audit verify` verifies all rows, which takes longer.
VERIFIED = 5000
#: Largest possible row number; the column is a 32-bit integer.
_LARGEST = 2**31 - 1


@blueprint.get("")
@needs(Role.VIEWER)
@keeps_to_tenant
def index() -> str:
    saga, actor = request.args.get("saga", "").strip(), request.args.get("actor", "").strip()
    if not actor.isprintable():
        raise InvalidError(("/actor", "Give an actor, such as user:ada."))
    rows = audit.page(
        db.engine,
        limit=ROWS + 1,
        before=_before(),
        saga_digits=_saga_digits(saga) if saga else None,
        actors=_actors(actor),
    )
    shown = rows[:ROWS]
    older = {"before": shown[-1].seq, "saga": saga or None, "actor": actor or None} if len(rows) > ROWS else None
    return render_template(
        "admin/audit.html",
        rows=shown,
        saga=saga,
        actor=actor,
        older=url_for("audit.index", **older) if older else None,
        changes=changes,
        verdict=_verdict(),
    )


def _verdict() -> audit.Verdict:
    """Return whether the newest rows of the trail are intact, also those that the sender's tenant hides."""
    with acting_for(None):
        return audit.verify(db.engine, newest=VERIFIED)


def changes(row: Row[Any]) -> str:
    """Return the changes of a row: `role: viewer → admin; version: 3 → 4`."""
    before, after = row.before or {}, row.after or {}
    names = {**before, **after}
    return "; ".join(
        f"{name}: {' → '.join(_words(facts[name]) for facts in (before, after) if name in facts)}" for name in names
    )


def _words(value: Any) -> str:
    return one_line(" ".join(value) if isinstance(value, list) else value)


def _saga_digits(text: str) -> str:
    digits = id_digits(text)
    if digits is None:
        raise InvalidError(("/saga", "Give the id of a saga, or its last 8 digits."))
    return digits


def _actors(text: str) -> tuple[str, ...]:
    """Return the actors that people mean by a text: `otto` is a user, a key, or a person at the command line."""
    kinds = ("user", "key", "cli")
    return (text, *(f"{kind}:{text}" for kind in kinds)) if text and ":" not in text else (text,) if text else ()


def _before() -> int | None:
    text = request.args.get("before", "")
    if not text:
        return None
    if not (text.isascii() and text.isdecimal() and int(text[:11]) <= _LARGEST):
        raise InvalidError(("/before", "Give the number of a row."))
    return int(text)
