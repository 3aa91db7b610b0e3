"""Erases the secret and personal values of one client: drops the key, and overwrites what is stored in clear.

A copy of the sagas has the values encrypted; without the key nobody can read them. Sagas that started before DATA_KEY
was set have their values in clear, so these are overwritten here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, and_, func, or_, select, update
from sqlalchemy import Engine as Database
from sqlalchemy.exc import SQLAlchemyError

from app.errors import ConflictError
from app.store.audit import Entry, append
from app.store.database import db_now
from app.store.database_errors import Meaning, meaning
from app.store.dead_letters import client_of
from app.store.loading import journals
from app.store.message_models import DeliveryRow, ParkedRow
from app.store.models import ENDED, UNFINISHED, ArrivalRow, DataKeyRow, JournalRow, SagaRow
from app.store.process_models import ScheduleRow
from app.store.transactions import atomic
from app.values import written
from machines.history import replies
from machines.registry import Registry
from machines.sealed import GONE

_SAGA, _JOURNAL, _KEY = SagaRow.__table__, JournalRow.__table__, DataKeyRow.__table__
_SCHEDULE, _DELIVERY, _ARRIVAL = ScheduleRow.__table__, DeliveryRow.__table__, ArrivalRow.__table__
_PARKED = ParkedRow.__table__
#: Sagas that are overwritten in one transaction, and sagas that a refusal names.
BATCH, MOST_NAMED = 100, 5


@dataclass(frozen=True, kw_only=True)
class Erased:
    """What was erased, or would be."""

    client: str
    keys: int
    sagas: int
    #: Sagas of the client whose tables have no `personal()` or `secret()` field, or are unknown. Their data stay.
    unmarked: int

    def as_json(self) -> dict[str, Any]:
        return vars(self)


class Erasure:
    """Erases clients. registry: says which values of a saga are secret."""

    def __init__(self, database: Database, registry: Registry) -> None:
        self._database, self._registry = database, registry

    def plan(self, client: str, tenant: str = "") -> Erased:
        """Return what `erase` would erase. Raise ConflictError when it would be refused."""
        with self._database.connect() as connection:
            keys = self._keys(connection, client, tenant)
            self._refuse_open(connection, client, tenant, keys)
            return self._found(connection, client, tenant, keys)

    def erase(self, client: str, tenant: str, actor: str, reason: str) -> Erased:
        """Erase the values of a client. Raise ConflictError, with nothing erased, while a saga of the client is open.

        A repetition erases what is left after a crash, and then nothing.
        """
        with atomic(self._database) as connection:
            keys = self._keys(connection, client, tenant, lock=True)
            self._refuse_open(connection, client, tenant, keys)
            found = self._found(connection, client, tenant, keys)
            # The keys first: no process locks a saga that has ended before it holds the key.
            dropped = {"wrapped": None, "erased_at": db_now()}
            connection.execute(update(_KEY).where(_KEY.c.id.in_(keys)).values(dropped))
            connection.execute(update(_SAGA).where(_SAGA.c.data_key.in_(keys)).values(erased_at=db_now()))
            after = {"client": client, "keys": found.keys, "sagas": found.sagas}
            target = f"{tenant}/{client}" if tenant else client
            append(connection, Entry(actor=actor, action="client.forget", target=target, reason=reason, after=after))
        self._overwrite_letters(client, tenant)
        try:
            while self._overwrite(client, tenant):
                pass
        except SQLAlchemyError as error:
            if meaning(error) is not Meaning.FORBIDDEN:
                raise
            raise ConflictError(
                "what is encrypted is erased; sagas in clear can be overwritten by the owner of the tables alone: run "
                "`saga forget` with the owner's DATABASE_URL"
            ) from error
        return found

    def _keys(self, connection: Connection, client: str, tenant: str, *, lock: bool = False) -> Sequence[str]:
        of_client = select(_KEY.c.id).where(
            _KEY.c.client == client, _KEY.c.tenant == tenant, _KEY.c.erased_at.is_(None)
        )
        return connection.scalars(of_client.with_for_update() if lock else of_client).all()

    def _refuse_open(self, connection: Connection, client: str, tenant: str, keys: Sequence[str]) -> None:
        """Raise ConflictError when a saga of the client, or one above it, has not ended or has a message to send."""
        mine = select(_SAGA.c.id, _SAGA.c.parent_id).where(self._of(client, tenant, keys)).cte("mine", recursive=True)
        above = _SAGA.alias("above")
        mine = mine.union(select(above.c.id, above.c.parent_id).where(above.c.id == mine.c.parent_id))
        sends = select(_DELIVERY.c.saga_id).where(_DELIVERY.c.due_at.is_not(None))
        still = select(_SAGA.c.id).where(_SAGA.c.id.in_(select(mine.c.id)), or_(UNFINISHED, _SAGA.c.id.in_(sends)))
        found = connection.scalars(still.order_by(_SAGA.c.created_at).limit(MOST_NAMED + 1)).all()
        if found:
            named = ", ".join(map(str, found[:MOST_NAMED])) + (", …" if len(found) > MOST_NAMED else "")
            raise ConflictError(
                f"sagas of client {client} have not ended, or have a message to send: {named}; end them first",
                saga_ids=[str(each) for each in found[:MOST_NAMED]],
            )
        for row in connection.execute(select(_SCHEDULE)):
            if row.definition in self._registry.names and (row.tenant or "") == tenant:
                name = self._registry.latest(row.definition).client
                if name and str(row.data.get(name)) == client:
                    raise ConflictError(f"schedule {row.name} starts sagas of client {client}; remove it first")

    def _found(self, connection: Connection, client: str, tenant: str, keys: Sequence[str]) -> Erased:
        sealed_ones = select(func.count()).where(_SAGA.c.data_key.in_(keys), _SAGA.c.erased_at.is_(None))
        clear = select(func.count()).select_from(_SAGA).where(self._in_clear(client, tenant))
        sagas = connection.execute(sealed_ones).scalar_one() + connection.execute(clear).scalar_one()
        unmarked = select(func.count()).where(
            *self._without_key(client, tenant), ~_SAGA.c.definition.in_(self._secret())
        )
        return Erased(client=client, keys=len(keys), sagas=sagas, unmarked=connection.execute(unmarked).scalar_one())

    def _of(self, client: str, tenant: str, keys: Sequence[str]) -> Any:
        return or_(and_(_SAGA.c.client == client, _of_tenant(tenant)), _SAGA.c.data_key.in_(keys))

    def _in_clear(self, client: str, tenant: str) -> Any:
        """Return the condition for sagas of the client whose secret values are in clear."""
        return and_(*self._without_key(client, tenant), _SAGA.c.definition.in_(self._secret()))

    @staticmethod
    def _without_key(client: str, tenant: str) -> Sequence[Any]:
        return (
            _SAGA.c.client == client, _of_tenant(tenant), _SAGA.c.data_key.is_(None), _SAGA.c.erased_at.is_(None),
        )  # fmt: skip

    def _secret(self) -> Sequence[str]:
        """Return the names of the tables with secret values."""
        return [name for name in self._registry.names_with_branches if self._registry.secrets_of(name) is not None]

    def _overwrite(self, client: str, tenant: str) -> int:
        """Overwrite values of some sagas of the client that are stored in clear, with their branches."""
        # A person may have moved one on since the check; it is left as it is.
        first = select(_SAGA).where(self._in_clear(client, tenant), ENDED).order_by(_SAGA.c.created_at).limit(BATCH)
        with atomic(self._database) as connection:
            rows = list(connection.execute(first.with_for_update()))
            below = [row.id for row in rows]
            while below:
                children = connection.execute(select(_SAGA).where(_SAGA.c.parent_id.in_(below))).all()
                below = [row.id for row in children]
                rows += [row for row in children if row.client is None]
            found = journals(connection, [row.id for row in rows])
            for row in rows:
                self._overwrite_one(connection, row, found[row.id])
        return len(rows)

    def _overwrite_letters(self, client: str, tenant: str) -> None:
        """Overwrite the dead letters of the client that are stored in clear."""
        last = 0
        while self._registry.started_by_event:
            with atomic(self._database) as connection:
                batch = select(_PARKED.c.id, _PARKED.c.tenant, _PARKED.c.body).where(_PARKED.c.id > last)
                rows = connection.execute(batch.order_by(_PARKED.c.id).limit(BATCH)).all()
                mine = [
                    row.id for row in rows
                    if (row.tenant or "") == tenant and client_of(self._registry, row.body) == client
                ]  # fmt: skip
                gone = {"body": written(GONE).decode()}
                connection.execute(update(_PARKED).where(_PARKED.c.id.in_(mine)).values(gone))
            if not rows:
                return
            last = rows[-1].id

    def _overwrite_one(self, connection: Connection, row: Row[Any], journal: Sequence[Row[Any]]) -> None:
        secrets, data = self._registry.secrets_of(row.definition), row.data
        if secrets is not None:
            values = secrets.values(data, replies(journal))
            data = values.replaced_in(secrets.masked_data(data, _gone), _gone)
            for move in journal:
                reply = values.replaced_in(secrets.masked_reply(move.step, move.reply, _gone), _gone)
                mine = and_(_JOURNAL.c.saga_id == row.id, _JOURNAL.c.seq == move.seq)
                connection.execute(update(_JOURNAL).where(mine).values(reply=reply))
        connection.execute(update(_ARRIVAL).where(_ARRIVAL.c.saga_id == row.id).values(body=GONE))
        # The trigger writes the moves of a new value to the journal: none. The new version fences an older copy.
        erased = {"data": data, "moves": [], "erased_at": db_now(), "version": _SAGA.c.version + 1}
        connection.execute(update(_SAGA).where(_SAGA.c.id == row.id).values(erased))


def _of_tenant(tenant: str) -> Any:
    return _SAGA.c.tenant == tenant if tenant else _SAGA.c.tenant.is_(None)


def _gone(_value: Any) -> dict[str, str]:
    return GONE
