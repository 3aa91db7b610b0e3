"""Encryption of secret and personal values in the database, with a key for each client of each tenant.

A saga of a table with such values gets the key of its client in the transaction that inserts it. The key is stored
wrapped: encrypted with the first key of DATA_KEY. When the key is dropped, the values are unreadable wherever they were
copied to (app.store.erasure). Without DATA_KEY, values are stored in clear, in rows of earlier releases, too.

The data of schedules and the bodies of dead letters are sealed with the same keys. Each sealed value is bound to an id:
that of its saga, or the one that `bound_id` makes for a row without such an id.

A lock of the key's row decides between a start and an erasure at the same moment: a start holds the row shared until
its commit, and an erasure holds it alone.
"""

import base64
import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from typing import Any, NamedTuple
from uuid import UUID, uuid4, uuid5

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import Connection, Row, select
from sqlalchemy import Engine as Database
from sqlalchemy.dialects import postgresql, sqlite

from app.errors import ConflictError, NotReadyError
from app.store.database import db_now
from app.store.models import DataKeyRow
from app.store.tenants import acting_for
from app.values import read_back, written
from machines.sealed import is_sealed, opened, sealed
from machines.secrets import SecretFields

_KEY = DataKeyRow.__table__
_NONCE = 12  # bytes of the nonce of AES-GCM
#: Seconds for which a process keeps a key in memory, and the largest number of keys that it keeps.
KEEP_S, MOST_KEPT = 60.0, 1_000
_NAMES = UUID("5b6f0c1e-6c0f-4f4e-9a3e-8f1d7d1f2a37")  # name space of `bound_id`


class ErasedError(ConflictError):
    """The personal data of the saga were erased, so nobody can move it or start it again."""

    def __init__(self, saga_id: UUID) -> None:
        super().__init__(f"the personal data of saga {saga_id} were erased; it can be read, and not moved or repeated")


class KeyLostError(NotReadyError):
    """A key cannot be unwrapped: DATA_KEY has another key, or none."""


class DataKey(NamedTuple):
    id: str
    cipher: AESGCM

    def encrypted(self, value: Any, saga_id: UUID) -> str:
        nonce = os.urandom(_NONCE)
        return f"{self.id}.{_as_text(nonce + self.cipher.encrypt(nonce, written(value), saga_id.bytes))}"


class Sealer:
    """Seals the values of one saga. key: of its client."""

    def __init__(self, key: DataKey, saga_id: UUID, secrets: SecretFields | None) -> None:
        self.key, self._saga_id, self._secrets = key, saga_id, secrets

    def data(self, data: Any) -> Any:
        """Return the data of the saga as they are stored."""
        if self._secrets is None:
            return data
        return self._secrets.values(data, {}).replaced_in(self._secrets.masked_data(data, self.value), self.value)

    def moves(self, moves: Sequence[dict[str, Any]], data: Any, results: Mapping[str, Any]) -> None:
        """Seal the replies in moves, and hide what their reasons repeat. results: step → its reply."""
        if self._secrets is None:
            return
        kept = {move["step"]: move["reply"] for move in moves if move.get("step") and move.get("reply") is not None}
        values = self._secrets.values(data, {**results, **kept})
        for move in moves:
            if "reply" in move:
                reply = self._secrets.masked_reply(move.get("step"), move["reply"], self.value)
                move["reply"] = values.replaced_in(reply, self.value)
            if "reason" in move:
                move["reason"] = values.hidden_in(move["reason"])

    def value(self, value: Any) -> Any:
        """Return the value sealed, unless it is sealed already."""
        return value if is_sealed(value) else sealed(self.key.encrypted(value, self._saga_id))


class DataKeys:
    """The keys of all clients. masters: the keys of DATA_KEY; none: nothing is encrypted. clock: in seconds."""

    def __init__(
        self, database: Database, masters: Sequence[bytes] = (), clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._database, self._clock = database, clock
        self._masters = [AESGCM(master) for master in masters]
        self._kept: dict[str, tuple[float, DataKey]] = {}
        new = postgresql.insert(_KEY) if database.dialect.name == "postgresql" else sqlite.insert(_KEY)
        self._new = new.on_conflict_do_nothing()

    @property
    def encrypts(self) -> bool:
        return bool(self._masters)

    def provide(self, connection: Connection, tenant: str | None, client: str | None) -> DataKey:
        """Return the key of a client, which cannot be dropped before the transaction of `connection` ends.

        client: None: the values belong to no client, and can be erased by their age alone.
        """
        owner = {"tenant": tenant or "", "client": client or ""}
        find = select(_KEY).where(_KEY.c.erased_at.is_(None), *(_KEY.c[name] == each for name, each in owner.items()))
        find = find.with_for_update(read=True)
        with acting_for(None):  # keys belong to no tenant's rows
            row = connection.execute(find).one_or_none()
            if row is None:
                key_id, key = uuid4().hex, AESGCM.generate_key(256)
                wrapped = self._wrapped(key_id, key)
                connection.execute(self._new.values(id=key_id, wrapped=wrapped, created_at=db_now(), **owner))
                row = connection.execute(find).one()
        return self._unwrapped(row)

    def hold(self, connection: Connection, key: DataKey, saga_id: UUID) -> None:
        """Keep a key from being dropped until the transaction ends. Raise ErasedError when it was dropped."""
        find = select(_KEY.c.id).where(_KEY.c.id == key.id, _KEY.c.erased_at.is_(None)).with_for_update(read=True)
        with acting_for(None):
            if connection.execute(find).one_or_none() is None:
                raise ErasedError(saga_id)

    def find(
        self, key_id: str, saga_id: UUID, connection: Connection | None = None, *, reread: bool = False
    ) -> DataKey:
        """Return a key. Raise ErasedError when it was dropped, ValueError for no key, and KeyLostError.

        connection: that of the caller's transaction, so that a thread never waits for a second one. reread: True: a key
        that was dropped a moment ago is not taken from memory.
        """
        kept = None if reread else self._kept.get(key_id)
        if kept is not None and self._clock() - kept[0] < KEEP_S:
            return kept[1]
        with acting_for(None), nullcontext(connection) if connection else self._database.connect() as reading:
            row = reading.execute(select(_KEY).where(_KEY.c.id == key_id)).one_or_none()
        if row is None:
            raise ValueError(key_id)
        if row.wrapped is None:
            raise ErasedError(saga_id)
        if len(self._kept) >= MOST_KEPT:
            self._kept.clear()
        found = self._unwrapped(row)
        self._kept[key_id] = self._clock(), found
        return found

    def opened(self, value: Any, saga_id: UUID, connection: Connection | None = None, *, reread: bool = False) -> Any:
        """Return a JSON value of a saga with its sealed values opened. Raise ErasedError, or KeyLostError.

        connection, reread: see `find`. A row that no saga's `erased_at` guards needs `reread`.
        """
        return opened(value, partial(self._open, saga_id=saga_id, connection=connection, reread=reread))

    def _open(self, text: str, saga_id: UUID, connection: Connection | None, *, reread: bool) -> Any:
        key_id, _, content = text.partition(".")
        encrypted, cipher = _as_bytes(content), self.find(key_id, saga_id, connection, reread=reread).cipher
        try:
            return read_back(cipher.decrypt(encrypted[:_NONCE], encrypted[_NONCE:], saga_id.bytes))
        except InvalidTag:
            raise ValueError(key_id) from None

    def _wrapped(self, key_id: str, key: bytes) -> str:
        nonce = os.urandom(_NONCE)
        return _as_text(nonce + self._masters[0].encrypt(nonce, key, key_id.encode()))

    def _unwrapped(self, row: Row[Any]) -> DataKey:
        content = _as_bytes(row.wrapped)
        for master in self._masters:
            try:
                key = master.decrypt(content[:_NONCE], content[_NONCE:], row.id.encode())
            except InvalidTag:
                continue
            return DataKey(row.id, AESGCM(key))
        raise KeyLostError("the key of a client cannot be opened: DATA_KEY is not set, or not the one that sealed it")


def bound_id(kind: str, name: str = "") -> UUID:
    """Return the id to which the sealed values of a row without a saga are bound."""
    return uuid5(_NAMES, f"{kind}/{name}")


def _as_text(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _as_bytes(text: str) -> bytes:
    return base64.b64decode(text, validate=True)  # binascii.Error is a ValueError
