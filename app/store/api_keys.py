"""API keys. Each change of a key and its audit row are one transaction."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Engine, Row, func, insert, select, update

from app.errors import ConflictError, NotFoundError
from app.store.access import ApiKeyRow
from app.store.atomic import atomic
from app.store.audit import Entry, append
from app.store.database import db_now, in_seconds, seconds_until

_KEY = ApiKeyRow.__table__
_LIVE = (_KEY.c.revoked_at.is_(None), _KEY.c.expires_at > db_now())
#: Most valid keys of one name: the one in use, and the one that replaces it.
AT_ONCE = 2
_DAY_S = 86_400.0


class ApiKeys:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def all(self) -> Sequence[Row[Any]]:
        """Return every key, grouped by name. left_s: seconds for which the key is still valid; below 0: it is not."""
        left_s = seconds_until(func.coalesce(_KEY.c.revoked_at, _KEY.c.expires_at)).label("left_s")
        query = select(_KEY, left_s).order_by(_KEY.c.name, _KEY.c.created_at.desc())
        with self._engine.connect() as connection:
            return connection.execute(query).all()

    def add(self, *, prefix: str, digest: str, name: str, scopes: Sequence[str], days: int, actor: str) -> None:
        """Add a key. Raise ConflictError when two keys of that name are valid already."""
        told = {"scopes": list(scopes), "days": days}
        with atomic(self._engine) as connection:
            # First, because it locks the trail: of two keys added at once, the second counts the first.
            append(connection, Entry(actor=actor, action="key.add", target=f"{name} {prefix}", after=told))
            live = connection.scalar(select(func.count()).where(_KEY.c.name == name, *_LIVE)) or 0
            if live >= AT_ONCE:
                raise ConflictError(f"{name} has {live} live keys already; revoke one of them first")
            row = {"prefix": prefix, "digest": digest, "name": name, "scopes": list(scopes)}
            connection.execute(insert(_KEY).values(created_at=db_now(), expires_at=in_seconds(days * _DAY_S), **row))

    def revoke(self, prefix: str, actor: str) -> None:
        """Revoke a key. Raise NotFoundError, and ConflictError for a key that is not valid any more."""
        with atomic(self._engine) as connection:
            known = connection.execute(select(_KEY).where(_KEY.c.prefix == prefix)).one_or_none()
            if known is None:
                raise NotFoundError(f"there is no key {prefix}")
            ended = update(_KEY).where(_KEY.c.prefix == prefix, *_LIVE).values(revoked_at=db_now())
            if connection.execute(ended).rowcount != 1:
                raise ConflictError(f"the key {prefix} works no more: it is revoked or has expired")
            told = {"scopes": known.scopes}
            append(connection, Entry(actor=actor, action="key.revoke", target=f"{known.name} {prefix}", before=told))

    def live(self, digest: str) -> Row[Any] | None:
        """Return the name and scopes of a valid key, with left_s: the seconds for which it is still valid."""
        query = select(_KEY.c.name, _KEY.c.scopes, seconds_until(_KEY.c.expires_at).label("left_s"))
        with self._engine.connect() as connection:
            return connection.execute(query.where(_KEY.c.digest == digest, *_LIVE)).one_or_none()
