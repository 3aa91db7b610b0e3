"""The real participants in this process, behind a network that loses, repeats and delays requests."""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from flask import Flask
from sqlalchemy import delete, event

from app.calls.client import Request
from machines.replies import Reply
from participants.database import driver_url, prepare
from participants.flask_app import PARTICIPANTS, create_service
from participants.price_check import catalogue_in
from participants.seed import SEED

NAMES = ("stock", "client", "ventes", "catalogue")


class Fault(StrEnum):
    """A fault of one sending of a call."""

    NONE = "none"
    LOSES_REQUEST = "loses the request"
    LOSES_REPLY = "loses the reply"
    DELAYS = "delivers the request when nobody waits for it any more"
    FAILS = "answers 500 and has done nothing"


LOST = Reply(error="the connection was lost before the answer")


@dataclass
class Market:
    """The participants and their network."""

    #: The application of each participant, by its name.
    apps: dict[str, Flask]
    #: The faults of the next sendings.
    faults: deque[Fault] = field(default_factory=deque)
    #: What other people do just before each of the next sendings.
    interruptions: deque[Callable[[], object] | None] = field(default_factory=deque)
    #: Delayed requests that have not arrived yet.
    late: list[Request] = field(default_factory=list)
    #: All requests.
    sent: list[Request] = field(default_factory=list)
    #: For each refused call, the last segment of its path and the status of the reply.
    refused: list[tuple[str, int]] = field(default_factory=list)

    def send(self, request: Request) -> Reply:
        self.sent.append(request)
        interruption = self.interruptions.popleft() if self.interruptions else None
        if interruption:
            interruption()
        fault = self.faults.popleft() if self.faults else Fault.NONE
        if fault is Fault.FAILS:
            return Reply(status=500, body={})
        if fault in (Fault.LOSES_REQUEST, Fault.DELAYS):
            self.late += [request] * (fault is Fault.DELAYS)
            return LOST
        reply = self.deliver(request)
        return LOST if fault is Fault.LOSES_REPLY else reply

    def deliver(self, request: Request) -> Reply:
        """Deliver the request to its participant, without a fault, and return the reply."""
        path = request.url.partition(f"/{request.participant}/")[2]
        client = self.apps[request.participant].test_client()
        sent = {"data": request.body} if isinstance(request.body, bytes | str) else {"json": request.body}
        headers = {**request.headers, "Content-Type": "application/json"}
        answer = client.open(f"/{path}", method=request.method, headers=headers, **sent)
        if 400 <= answer.status_code < 500:
            self.refused.append((path.rpartition("/")[2], answer.status_code))
        return Reply(status=answer.status_code, body=answer.get_json())

    def read(self, name: str, path: str) -> Any:
        return self.apps[name].test_client().get(path).get_json()

    def empty(self) -> None:
        """Forget all faults and requests, and restore the first rows of every participant."""
        self.faults.clear()
        self.interruptions.clear()
        self.late.clear()
        self.sent.clear()
        self.refused.clear()
        for name, app in self.apps.items():
            db = PARTICIPANTS[name].db
            with app.app_context():
                with db.engine.begin() as connection:
                    for table in reversed(db.metadata.sorted_tables):
                        connection.execute(delete(table))
                prepare(db.engine, db.metadata, SEED)


@contextmanager
def open_market(urls: dict[str, str]) -> Iterator[Market]:
    apps = {name: create_service(name, driver_url(urls[name])) for name in NAMES}
    apps["stock"].config["CATALOGUE"] = catalogue_in(apps["catalogue"])
    for name, app in apps.items():
        with app.app_context():
            engine = PARTICIPANTS[name].db.engine
            # no test simulates a power failure, so commits need not wait for the disk
            if engine.dialect.name == "sqlite":
                event.listen(engine, "connect", lambda it, _: it.execute("PRAGMA synchronous=OFF"))
                engine.dispose()
    yield Market(apps)
    for name, app in apps.items():
        with app.app_context():
            PARTICIPANTS[name].db.engine.dispose()
