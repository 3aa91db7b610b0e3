"""A saga told as a scene: what each participant will answer, then what the engine must have asked and written."""

from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from prometheus_client import CollectorRegistry
from sqlalchemy import Engine as Database
from sqlalchemy import text

from app.config import Config
from app.engine.engine import Engine
from app.engine.runner import Runner
from app.engine.service import SagaService
from app.metrics import Telemetry
from app.participants.client import Request
from app.participants.outcome import Reply
from app.store.instance import Instance
from app.store.sagas import SagaStore
from machines.checkout import CHECKOUT
from machines.registry import discover
from machines.saga import Saga

CART = {"produits": [{"produit_id": "p", "quantite": 2, "prix": 10.5}], "montant": 21.0}
USUAL = {"lire_panier": CART, "reserver_stock": {"reservation_id": "r1"}}


def answer(status: int, **body: Any) -> Reply:
    return Reply(status=status, body=body)


LOST = Reply(error="the connection was lost before the answer")
NOT_SENT = Reply(error="no connection could be made", sent=False)
REFUSED = answer(409, detail="no")


@dataclass
class Scene:
    """One engine over a real database, and participants that answer as told (and 200 otherwise)."""

    database: Database
    metrics: CollectorRegistry
    told: dict[str, deque[Reply]] = field(default_factory=lambda: defaultdict(deque))
    requests: list[Request] = field(default_factory=list)
    at_each_call: Callable[[Request], None] = lambda _request: None
    slept: list[float] = field(default_factory=list)
    statements: list[str] = field(default_factory=list)

    def given(self, **replies: list[Reply]) -> "Scene":
        """Tell what the calls of each step will answer; undo_STEP for its compensation."""
        for call, told in replies.items():
            self.told[call].extend(told)
        return self

    def send(self, request: Request) -> Reply:
        self.requests.append(request)
        self.at_each_call(request)
        _, step, direction = request.headers["Idempotency-Key"].split("/")
        told = self.told[step if direction == "do" else f"undo_{step}"]
        return told.popleft() if told else Reply(status=200, body=USUAL.get(step, {}))

    @cached_property
    def engine(self) -> Engine:
        return Engine(
            config=Config(),
            store=SagaStore(self.database, discover(), "engine"),
            participants=self,
            telemetry=Telemetry(self.metrics),
            actor="engine",
            jitter=lambda longest: longest,
            sleep=self.slept.append,
            clock=lambda: 0.0,
        )

    @cached_property
    def service(self) -> SagaService:
        runner = Runner(Config(), self.engine, self.engine.store)
        return SagaService(Config(), discover(), self.engine.store, self.engine, runner)

    def run(self, definition: Saga = CHECKOUT, hold_s: float = 1000.0, **data: Any) -> Instance:
        saga = Instance.begin(definition, data or {"client_id": 4, "magasin_id": 1}, actor="client")
        self.engine.run(saga, hold_s)
        return saga

    @property
    def calls(self) -> list[str]:
        """Each call made, as step or undo_step."""
        keys = [request.headers["Idempotency-Key"].split("/") for request in self.requests]
        return [step if direction == "do" else f"undo_{step}" for _, step, direction in keys]

    @property
    def states(self) -> list[str]:
        """Every state entered, as the journal has it."""
        rows = self.rows("SELECT source, dest FROM journal ORDER BY seq")
        return [row["dest"] for row in rows if row["source"] != row["dest"]]

    def rows(self, sql: str) -> list[Any]:
        with self.database.connect() as connection:
            return list(connection.execute(text(sql)).mappings())
