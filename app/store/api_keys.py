"""API keys: their digests and limits. A change is committed in one transaction with its audit row."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Engine as Database
from sqlalchemy import Row, ScalarSelect, func, insert, or_, select, update

from app.errors import ConflictError, NotFoundError
from app.store.access_models import ApiKeyRow
from app.store.audit import Entry, append
from app.store.database import db_now, in_seconds, seconds_until
from app.store.tenants import provide
from app.store.transactions import atomic

_KEY = ApiKeyRow.__table__
_VALID = (_KEY.c.revoked_at.is_(None), _KEY.c.expires_at > db_now())
#: Most valid keys of one name: the one in use, and the one that replaces it.
MAX_VALID_KEYS = 2
_DAY_S = 86_400.0
#: A key that expires within this time gives notice: in its answers, on the page, on the command line and as a metric.
NOTICE_S = 14 * _DAY_S


def expiring_names() -> ScalarSelect[int]:
    """Return the query for the number of names whose last valid key expires soon. A key with a successor is not one."""
    soon = func.max(_KEY.c.expires_at) <= in_seconds(NOTICE_S)
    names = select(_KEY.c.name).where(*_VALID).group_by(_KEY.c.name).having(soon).subquery()
    return select(func.count()).select_from(names).scalar_subquery()


class ApiKeys:
    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> Sequence[Row[Any]]:
        """Return every key, grouped by name.

        Column left_s: seconds until the key becomes invalid; below 0 for invalid keys.
        """
        left_s = seconds_until(func.coalesce(_KEY.c.revoked_at, _KEY.c.expires_at)).label("left_s")
        query = select(_KEY, left_s).order_by(_KEY.c.name, _KEY.c.created_at.desc())
        with self._database.connect() as connection:
            return connection.execute(query).all()

    def add(
        self, *, prefix: str, digest: str, name: str, scopes: Sequence[str], networks: Sequence[str],
        rate_limit: str | None, days: int, actor: str, tenant: str | None = None,
    ) -> None:  # fmt: skip
        """Add a key. Raise ConflictError when two keys of that name are valid already, or have another tenant."""
        if tenant is not None:
            provide(self._database)
        limits = {"networks": list(networks) or None, "rate_limit": rate_limit, "tenant": tenant}
        details = {"scopes": list(scopes), "days": days} | {name: limit for name, limit in limits.items() if limit}
        with atomic(self._database) as connection:
            # The audit row comes first, because its lock makes a simultaneous `add` wait and then count this key.
            append(connection, Entry(actor=actor, action="key.add", target=f"{name} {prefix}", after=details))
            # A key's name says in the journal and in the trail who it was, and `own` compares it.
            others = select(_KEY.c.prefix).where(_KEY.c.name == name, _KEY.c.tenant.is_distinct_from(tenant))
            if connection.execute(others.limit(1)).first() is not None:
                raise ConflictError(f"another tenant has, or had, a key {name}; choose another name")
            valid = connection.scalar(select(func.count()).where(_KEY.c.name == name, *_VALID)) or 0
            if valid >= MAX_VALID_KEYS:
                raise ConflictError(f"{name} has {valid} live keys already; revoke one of them first")
            row = {"prefix": prefix, "digest": digest, "name": name, "scopes": list(scopes)} | limits
            connection.execute(insert(_KEY).values(created_at=db_now(), expires_at=in_seconds(days * _DAY_S), **row))

    def revoke(self, prefix: str, actor: str) -> None:
        """Revoke a key. Raise NotFoundError for an unknown key, and ConflictError for a key that is no longer valid."""
        with atomic(self._database) as connection:
            known = connection.execute(select(_KEY).where(_KEY.c.prefix == prefix)).one_or_none()
            if known is None:
                raise NotFoundError(f"there is no key {prefix}")
            ended = update(_KEY).where(_KEY.c.prefix == prefix, *_VALID).values(revoked_at=db_now())
            if connection.execute(ended).rowcount != 1:
                raise ConflictError(f"the key {prefix} is not valid any more: it was revoked or has expired")
            details = {"scopes": known.scopes}
            append(connection, Entry(actor=actor, action="key.revoke", target=f"{known.name} {prefix}", before=details))

    def find_valid(self, digest: str) -> Row[Any] | None:
        """Return a valid key, and left_s, the seconds until it expires; None for any other key."""
        query = select(_KEY, seconds_until(_KEY.c.expires_at).label("left_s"))
        with self._database.connect() as connection:
            return connection.execute(query.where(_KEY.c.digest == digest, *_VALID)).one_or_none()

    def used(self, prefixes: Sequence[str], every_s: float) -> None:
        """Write that keys were used now. A time that is less than `every_s` seconds old is not written again."""
        old = or_(_KEY.c.last_used_at.is_(None), _KEY.c.last_used_at < in_seconds(-every_s))
        with self._database.connect() as connection:
            for prefix in prefixes:  # one row a statement, so that two processes cannot deadlock
                connection.execute(update(_KEY).where(_KEY.c.prefix == prefix, old).values(last_used_at=db_now()))
