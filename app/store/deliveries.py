"""Messages to webhooks, and calls after the end of a saga (`at_end=`). Both are called messages here.

A message is written with the move that it is about, claimed for each attempt, and kept as a dead letter. A commit
writes into each move the names of its receivers, and the database's trigger writes one row for each of them. A claim
counts the attempt and sets a lease, so that the message is sent again when its process dies.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Table, bindparam, delete, literal, null, select, union_all, update
from sqlalchemy import Engine as Database

from app.store.audit import Entry, append
from app.store.citus import is_distributed
from app.store.database import db_now, in_seconds
from app.store.instance import Instance
from app.store.message_models import DEAD, DeliveryRow
from app.store.models import JournalRow
from app.store.outbox import PUBLISHED
from app.store.transactions import atomic
from app.webhook_settings.model import Webhooks
from machines.children import root_name
from machines.statuses import REPORTED, Status

_DELIVERY: Table = DeliveryRow.__table__
_JOURNAL = JournalRow.__table__
#: Largest number of dead letters of one list.
LARGEST_LIST = 200
#: Part of a URL path with the id of a delivery. The largest id is that of the database's 64-bit column.
DELIVERY_ID = "<int(max=9223372036854775807):delivery_id>"
#: Longest stored error, in characters.
LONGEST_ERROR = 500
#: After this time, in seconds, a message to a webhook that is missing in the settings becomes a dead letter. Until
#: then, another process may have newer settings.
UNKNOWN_FOR_S = 3600.0

_DUE = _DELIVERY.c.due_at <= db_now()


def _this(delivery: Any) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """Return the condition for one message. On a distributed database the saga's id names the shard."""
    return _DELIVERY.c.id == delivery.id, _DELIVERY.c.saga_id == delivery.saga_id


def end_receiver(participant: str) -> str:
    """Return the name of the receiver of a participant's `at_end=` calls. No webhook has such a name."""
    return f"at_end:{participant}"


def address(moves: Sequence[dict[str, Any]], saga: Instance, webhooks: Webhooks) -> None:
    """Add to each move that ends the saga, or makes it stuck, the receivers of its messages."""
    for move in moves:
        state = saga.definition.states[move["dest"]]
        event = REPORTED.get(state.phase)
        if event is None:
            continue
        targets = _targets(saga, webhooks, event)
        if (call := state.at_end) is not None:
            targets.append({"webhook": end_receiver(call.participant), "url": str(call), "event": event})
        if targets:
            move["webhooks"] = targets


def _targets(saga: Instance, webhooks: Webhooks, event: str) -> list[dict[str, str]]:
    """Return the receivers of one event. A child that is stuck is also reported to the webhook of its parent's start.

    The parent waits for it without being stuck itself. A branch is of its saga's type. The end of a child is no end of
    its parent, so only webhooks for the child's own type receive it.
    """
    name = saga.definition.name
    if saga.parent_id is None:
        return webhooks.targets(name, saga.webhook, event)
    if event != Status.STUCK:
        return webhooks.targets(name, None, event)
    return webhooks.targets(root_name(name), saga.webhook, event)


class Deliveries:
    """The messages. owner: this process.

    A call is one statement in autocommit, unless it writes an audit row.
    """

    def __init__(self, database: Database, owner: str) -> None:
        self._database, self._owner = database, owner

    def due(self, receivers: Sequence[str]) -> Sequence[str]:
        """Return which of these receivers have a message to get now."""
        if not receivers:
            return []
        rows = select(_DELIVERY.c.id).where(_DUE)
        wanted = [
            select(literal(name).label("name")).where(rows.where(_DELIVERY.c.webhook == name).exists())
            for name in receivers
        ]
        with self._database.connect() as connection:
            return connection.scalars(union_all(*wanted)).all()

    def claim(self, receiver: str, limit: int, lease_s: float) -> Sequence[Row[Any]]:
        """Claim up to `limit` messages to a receiver, the longest due first. The claim counts one attempt for each."""
        due = select(_DELIVERY.c.id, _DELIVERY.c.saga_id).where(_DUE, _DELIVERY.c.webhook == receiver)
        due = due.order_by(_DELIVERY.c.due_at).limit(limit)
        values = {"owner": self._owner, "attempts": _DELIVERY.c.attempts + 1, "due_at": in_seconds(lease_s)}
        claimed = update(_DELIVERY).values(values).returning(*_DELIVERY.c)
        with self._database.connect() as connection:
            if is_distributed(self._database):  # Citus locks no rows of several shards together
                found = connection.execute(due).all()
                return [row for one in found for row in connection.execute(claimed.where(_DUE, *_this(one)))]
            batch = due.with_for_update(skip_locked=True).cte("due")
            return connection.execute(claimed.where(_DELIVERY.c.id.in_(select(batch.c.id)))).all()

    def content(self, delivery: Row[Any]) -> tuple[Row[Any], Sequence[Row[Any]]] | None:
        """Return the move that a message is about, and the saga's journal up to it; None: the saga was deleted."""
        of_saga = _JOURNAL.c.saga_id == delivery.saga_id
        with self._database.connect() as connection:
            move = connection.execute(PUBLISHED.where(of_saga, _JOURNAL.c.seq == delivery.seq)).one_or_none()
            journal = select(_JOURNAL).where(of_saga, _JOURNAL.c.seq <= delivery.seq).order_by(_JOURNAL.c.seq)
            return None if move is None else (move, connection.execute(journal).all())

    def delivered(self, delivery: Row[Any]) -> None:
        self._settle(delivery, due_at=null(), delivered_at=db_now(), error=null())

    def failed(self, delivery: Row[Any], error: str, delay_s: float | None, *, counts: bool = True) -> None:
        """Record a failed attempt.

        delay_s: seconds until the next one; None: the message becomes a dead letter. counts: False when nothing was
        sent, so that the attempt does not count.
        """
        due_at = null() if delay_s is None else in_seconds(delay_s)
        attempts = delivery.attempts if counts else delivery.attempts - 1
        self._settle(delivery, due_at=due_at, error=error[:LONGEST_ERROR], attempts=attempts)

    def _settle(self, delivery: Row[Any], **values: Any) -> None:
        """Write the result of an attempt, unless the lease was over and another process has made a later attempt."""
        own = (*_this(delivery), _DELIVERY.c.owner == self._owner, _DELIVERY.c.attempts == delivery.attempts)
        with self._database.connect() as connection:
            connection.execute(update(_DELIVERY).where(*own).values(values))

    def bury_unknown(self, known: Sequence[str]) -> int:
        """Turn old messages to unknown receivers into dead letters. Return their number. known: all known receivers."""
        old = (_DUE, _DELIVERY.c.webhook.not_in(known), _DELIVERY.c.at < in_seconds(-UNKNOWN_FOR_S))
        why = "no webhook of this name is in WEBHOOKS_FILE, and no table has such an at_end="
        with self._database.connect() as connection:
            return connection.execute(update(_DELIVERY).where(*old).values(due_at=null(), error=why)).rowcount

    def dead(self, limit: int = LARGEST_LIST) -> Sequence[Row[Any]]:
        """Return the oldest dead letters."""
        with self._database.connect() as connection:
            return connection.execute(select(_DELIVERY).where(DEAD).order_by(_DELIVERY.c.id).limit(limit)).all()

    def of_saga(self, saga_id: UUID) -> Sequence[Row[Any]]:
        """Return the messages about a saga, the oldest first."""
        own = select(_DELIVERY).where(_DELIVERY.c.saga_id == saga_id).order_by(_DELIVERY.c.id)
        with self._database.connect() as connection:
            return connection.execute(own).all()

    def find(self, delivery_id: int) -> Row[Any] | None:
        with self._database.connect() as connection:
            return connection.execute(select(_DELIVERY).where(_DELIVERY.c.id == delivery_id)).one_or_none()

    def redeliver(self, delivery_id: int, entry: Entry) -> bool:
        """Make a dead or a delivered message due again, with no attempts counted, and append the audit row.

        Return False, with nothing written, when the message is still to be sent.
        """
        settled = (_DELIVERY.c.id == bindparam("delivery_id"), _DELIVERY.c.due_at.is_(None))
        again: Mapping[str, Any] = {"due_at": db_now(), "delivered_at": null(), "attempts": 0, "owner": null()}
        with atomic(self._database) as connection:
            changed = connection.execute(
                update(_DELIVERY).where(*settled).values(again), {"delivery_id": delivery_id}
            ).rowcount
            if changed:
                append(connection, entry)
        return bool(changed)

    def discard(self, delivery_id: int, entry: Entry) -> bool:
        """Delete a dead letter and append the audit row. Return False, with nothing written, when it is not dead."""
        with atomic(self._database) as connection:
            gone = connection.execute(delete(_DELIVERY).where(_DELIVERY.c.id == delivery_id, DEAD)).rowcount
            if gone:
                append(connection, entry)
        return bool(gone)
