"""One engine with prepared replies. A test sets the replies, runs a saga, and checks its calls and its journal."""

from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from math import inf
from threading import Event
from typing import Any

from prometheus_client import CollectorRegistry
from sqlalchemy import Engine as Database
from sqlalchemy import text

from app.calls.client import Request
from app.config import Config
from app.engine.answers import Answers
from app.engine.batch import Batches
from app.engine.calls import Calls
from app.engine.engine import Engine
from app.engine.heartbeat import Heartbeat
from app.engine.idempotency import Keys
from app.engine.runner import MAX_INLINE_WAIT_S, Runner
from app.engine.service import SagaService
from app.shared_cache import SharedCache
from app.store.arrivals import Arrivals
from app.store.children import Children
from app.store.instance import Instance
from app.store.leases import Leases, Replicas
from app.store.sagas import SagaStore
from app.store.statements import Connections
from app.store.tables import Tables
from app.telemetry import Telemetry
from app.traces import Traces
from app.webhook_settings.model import Webhooks
from machines.checkout import CHECKOUT
from machines.discovery import discover
from machines.families import Families
from machines.registry import Registry
from machines.replies import Reply
from machines.saga import Saga
from machines.waits import Waits

CART = {"produits": [{"produit_id": "p", "quantite": 2, "prix": 10.5}], "montant": 21.0}
USUAL = {"lire_panier": CART, "reserver_stock": {"reservation_id": "r1"}}


def answer(status: int, **body: Any) -> Reply:
    return Reply(status=status, body=body)


LOST = Reply(error="the connection was lost before the answer")
NOT_SENT = Reply(error="no connection could be made", sent=False)
REFUSED = answer(409, detail="no")


@dataclass
class Scene:
    """One engine over a real database. Participants answer with the prepared replies, and then with 200."""

    database: Database
    metrics: CollectorRegistry
    replies: dict[str, deque[Reply]] = field(default_factory=lambda: defaultdict(deque))
    requests: list[Request] = field(default_factory=list)
    at_each_call: Callable[[Request], None] = lambda _request: None
    slept: list[float] = field(default_factory=list)
    at_each_sleep: Callable[[], object] = lambda: None
    now: float = 0.0
    longest_wait_s: float = inf
    stopping: bool = False
    traces: Traces = field(default_factory=Traces)
    registry: Registry = field(default_factory=discover)
    webhooks: Webhooks = field(default_factory=Webhooks)
    on_delivery: Callable[[], object] = lambda: None
    statements: list[str] = field(default_factory=list)

    def given(self, **replies: list[Reply]) -> "Scene":
        """Add replies to the calls of each step. undo_, probe_ and poll_STEP mean its undo, probe and poll."""
        for call, added in replies.items():
            self.replies[call].extend(added)
        return self

    def send(self, request: Request) -> Reply:
        self.requests.append(request)
        self.at_each_call(request)
        call = _call(request)
        prepared = self.replies[call]
        if not prepared and call.startswith("probe_"):
            return answer(404, title="Not done")
        return prepared.popleft() if prepared else Reply(status=200, body=USUAL.get(call, {}))

    def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.at_each_sleep()

    @cached_property
    def config(self) -> Config:
        return Config(public_url="https://sagas.example", secret_key="s" * 32)

    @cached_property
    def telemetry(self) -> Telemetry:
        return Telemetry(self.metrics)

    @cached_property
    def engine(self) -> Engine:
        return Engine(
            config=self.config,
            store=SagaStore(
                Connections(self.database), self.registry, "engine", lambda: self.now, webhooks=self.webhooks
            ),
            calls=Calls(config=self.config, sender=self, telemetry=self.telemetry, traces=self.traces),
            waits=Waits(arrivals=Arrivals(self.database)),
            families=Families(children=Children(self.database), registry=self.registry),
            telemetry=self.telemetry,
            actor="engine",
            jitter=lambda longest: min(longest, self.longest_wait_s),
            sleep=self._sleep,
            stopping=lambda: self.stopping,
            on_delivery=lambda: self.on_delivery(),  # noqa: PLW0108  a test may set it later
        )

    @cached_property
    def runner(self) -> Runner:
        return Runner(
            config=self.config,
            engine=self.engine,
            leases=self.leases(),
            tables=Tables(self.database, self.registry, "engine"),
            heartbeat=Heartbeat(Replicas(self.database, "engine")),
            stopping=Event(),
        )

    @cached_property
    def service(self) -> SagaService:
        # After a longer wait, the recovery thread would continue the saga. This thread does not run here.
        self.longest_wait_s = MAX_INLINE_WAIT_S
        return SagaService(
            config=self.config,
            registry=self.registry,
            engine=self.engine,
            runner=self.runner,
            keys=self.keys,
        )

    @cached_property
    def answers(self) -> Answers:
        return Answers(self.config, self.registry, self.engine, self.runner)

    @cached_property
    def keys(self) -> Keys:
        return Keys(self.engine.store, SharedCache(None, None))

    @cached_property
    def batches(self) -> Batches:
        return Batches(self.engine, self.runner, self.keys)

    def leases(self, owner: str = "engine") -> Leases:
        return Leases(self.database, self.registry, owner, lambda: self.now)

    def recovered(self, owner: str = "engine") -> Instance:
        """Return the only saga, claimed by a new process after the death of its owner."""
        self.leases(owner).expire_all()
        (saga,) = self.leases(owner).claim(1, 30)
        return saga

    def run(self, definition: Saga = CHECKOUT, max_sleep_s: float = 1000.0, **data: Any) -> Instance:
        data = data or {"client_id": 4, "magasin_id": 1}
        saga = Instance.new(definition, data, actor="client", clock=lambda: self.now)
        self.engine.run(saga, max_sleep_s)
        return saga

    @property
    def calls(self) -> list[str]:
        """Return each call made, as step, undo_step, probe_step or poll_step."""
        return [_call(request) for request in self.requests]

    @property
    def states(self) -> list[str]:
        """Return every state that the saga entered, from the journal."""
        rows = self.rows("SELECT source, dest FROM journal ORDER BY seq")
        return [row["dest"] for row in rows if row["source"] != row["dest"]]

    def rows(self, sql: str) -> list[Any]:
        with self.database.connect() as connection:
            return list(connection.execute(text(sql)).mappings())


def _call(request: Request) -> str:
    _, step, direction = request.headers["Idempotency-Key"].split("/")
    path = request.url.partition("?")[0]
    kind = "probe_" if path.endswith("/outcome") else "poll_" if path.endswith("/status") else ""
    return (kind or ("" if direction == "do" else "undo_")) + step
