"""A table in several versions, sagas of it, and their moves from one version to another."""

import os
import signal
from dataclasses import replace

from prometheus_client import CollectorRegistry
from sqlalchemy import event

from app.store.succession import Succession
from machines.call import delete, post
from machines.fields import text
from machines.registry import Registry
from machines.saga import Saga
from machines.step import compensatable, pivot, retriable
from tests.integration.engine.scene import NOT_SENT, answer
from tests.support.databases import service_engine

BOOK = compensatable(
    "book", post("shop", "/bookings", keeps={"id": text()}), repeatable=True,
    undo=delete("shop", "/bookings/{book.id}"), done="BOOKED", refused="FULL",
)  # fmt: skip
PAY = pivot("pay", post("shop", "/pay", booking="book.id"), done="PAID", refused="DECLINED")
SEND = retriable("send", post("shop", "/send"), done="SENT")
THANK = retriable("thank", post("shop", "/thanks", booking="book.id"), done="THANKED")


def table(version, *steps):
    return Saga(
        name="trip", version=version, initial="ASKED", completed=steps[-1].done, compensated="OFF",
        data={"city": text()}, participants=("shop",), steps=steps,
    )  # fmt: skip


OLD = table(1, BOOK, PAY, SEND)
#: Compared with `OLD`: the states of booking have other names, the payment has another path, and a step is new.
NEW = table(
    2,
    replace(BOOK, done="HELD", undoing="RELEASING"),
    replace(PAY, call=replace(PAY.call, path="/v2/pay")),
    SEND,
    THANK,
)
#: The steps of `OLD` keep their calls in this version, so every saga that no process holds can be moved to it.
SAME = table(2, replace(BOOK, done="HELD", undoing="RELEASING"), PAY, SEND, THANK)
MAPPED = {"BOOKED": "HELD", "UNDOING_BOOK": "RELEASING", "STUCK_UNDO_BOOK": "STUCK_UNDO_BOOK"}
BACK = {"HELD": "BOOKED", "RELEASING": "UNDOING_BOOK"}
USUAL = {"book": [answer(201, id="b1")]}


def old_release(scene):
    """Make the scene a process of the old release: it has only the old table."""
    scene.registry = Registry([OLD])
    return scene


def new_release(scene):
    """Return a process of the new release. Both releases share the database and the participants."""
    return replace(scene, registry=Registry([NEW]), metrics=CollectorRegistry())


def there(scene, mapped=MAPPED, to=NEW):
    return Succession(scene.database, OLD, to, mapped, unnamed=True)


def back(scene, of=NEW):
    return Succession(scene.database, of, OLD, BACK, unnamed=True)


def moved(movement, batch=100):
    return [found.saga_id for part in movement.move("cli:ada", "the shop has moved", batch) for found in part]


def before_payment(old):
    """Make a saga that has booked, but has not yet sent its payment."""
    return old.given(**USUAL, pay=[NOT_SENT]).run(OLD, max_sleep_s=0, city="Oslo")


def rows(scene, table="saga"):
    order = {"saga": "id", "journal": "saga_id, seq", "audit": "seq"}[table]
    return [dict(row) for row in scene.rows(f"SELECT * FROM {table} ORDER BY {order}")]


def continued(scene):
    scene.leases().expire_all()
    for saga in scene.leases().claim(50, 30):
        scene.engine.run(saga, 1000)


def killed_before_a_statement(url: str, number: int) -> None:
    """Move the sagas in batches of two. Die just before statement `number` of the process."""
    database, left = service_engine(url), iter(range(number - 1, -1, -1))

    @event.listens_for(database, "before_cursor_execute")
    def die(*_: object) -> None:
        if next(left, None) == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    list(Succession(database, OLD, NEW, MAPPED, unnamed=True).move("cli:ada", "why", 2))
