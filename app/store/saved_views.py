"""Views of a list that people have saved: its filters, its order and its columns, under a name.

A view is its owner's own, or shared with everybody of the owner's tenant. What others see is in the audit trail.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Connection, Row, and_, delete, func, insert, or_, select, update
from sqlalchemy import Engine as Database
from sqlalchemy.exc import IntegrityError

from app.errors import ConflictError, ForbiddenError, NotFoundError
from app.store.audit import Entry, append
from app.store.console_models import SavedViewRow
from app.store.database import db_now
from app.store.tenants import acting_tenant
from app.store.transactions import atomic

_VIEW = SavedViewRow.__table__
#: Largest number of views of one person.
MOST_VIEWS = 100


@dataclass(frozen=True, kw_only=True)
class Editor:
    """Who changes a view. An admin may also change what others have shared."""

    actor: str
    is_admin: bool = False


def visible(database: Database, page: str, actor: str) -> Sequence[Row[Any]]:
    """Return the views of a list that a person sees: the own ones, and those shared in the person's tenant."""
    shared = and_(_VIEW.c.shared, _VIEW.c.tenant.is_not_distinct_from(acting_tenant()))
    rows = select(_VIEW).where(_VIEW.c.page == page, or_(_VIEW.c.owner == actor, shared))
    with database.connect() as connection:
        return connection.execute(rows.order_by(_VIEW.c.name, _VIEW.c.owner)).all()


def save(database: Database, actor: str, page: str, name: str, query: str, *, shared: bool) -> None:
    """Save a view of a list, in the place of the person's own view of this name."""
    owned = _VIEW.c.owner == actor
    values = {"query": query, "shared": shared, "tenant": acting_tenant()}
    with atomic(database) as connection:
        same = select(_VIEW).where(owned, _VIEW.c.page == page, _VIEW.c.name == name)
        before = connection.execute(same).one_or_none()
        if before is not None:
            connection.execute(update(_VIEW).where(_VIEW.c.id == before.id).values(**values))
        elif connection.execute(select(func.count()).where(owned)).scalar_one() >= MOST_VIEWS:
            raise ConflictError(f"you have {MOST_VIEWS} views, which is the most; delete one first")
        else:
            connection.execute(
                insert(_VIEW).values(id=uuid4(), owner=actor, page=page, name=name, created_at=db_now(), **values)
            )
        _record(connection, actor, "view.save", before, {"page": page, "name": name, "query": query, "shared": shared})


def rename(database: Database, view_id: UUID, editor: Editor, name: str) -> None:
    """Rename a view. Raise ConflictError when its owner has a view of this name."""
    try:
        with atomic(database) as connection:
            before = _editable(connection, view_id, editor)
            connection.execute(update(_VIEW).where(_VIEW.c.id == view_id).values(name=name))
            _record(connection, editor.actor, "view.rename", before, _seen(before) | {"name": name})
    except IntegrityError:
        raise ConflictError(f"there is a view {name} already; choose another name") from None


def remove(database: Database, view_id: UUID, editor: Editor) -> None:
    with atomic(database) as connection:
        before = _editable(connection, view_id, editor)
        connection.execute(delete(_VIEW).where(_VIEW.c.id == view_id))
        _record(connection, editor.actor, "view.delete", before, None)


def forget(connection: Connection, owner: str) -> None:
    """Delete the views that only a removed person has seen. Shared views stay, and an admin may delete them."""
    connection.execute(delete(_VIEW).where(_VIEW.c.owner == owner, ~_VIEW.c.shared))


def _editable(connection: Connection, view_id: UUID, editor: Editor) -> Row[Any]:
    """Return a view. Raise NotFoundError when the person does not see it, ForbiddenError when it is another's."""
    found = connection.execute(select(_VIEW).where(_VIEW.c.id == view_id)).one_or_none()
    mine = found is not None and found.owner == editor.actor
    if found is None or not (mine or found.shared):
        raise NotFoundError("there is no such view")
    if not (mine or editor.is_admin):
        raise ForbiddenError(f"only {found.owner.partition(':')[2]} or an admin may change this view")
    return found


def _record(
    connection: Connection, actor: str, action: str, before: Row[Any] | None, after: dict[str, Any] | None
) -> None:
    """Append a change that others see to the audit trail."""
    if (before is not None and before.shared) or (after is not None and after["shared"]):
        seen = _seen(before) if before is not None else None
        target = (after or seen or {})["name"]
        append(connection, Entry(actor=actor, action=action, target=target, before=seen, after=after))


def _seen(view: Row[Any]) -> dict[str, Any]:
    return {"page": view.page, "name": view.name, "query": view.query, "shared": view.shared}
