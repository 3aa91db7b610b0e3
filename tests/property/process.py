"""One process of the service, without HTTP, threads or waiting.

No other module of this folder makes the parts of the service.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol
from uuid import UUID

from sqlalchemy import Connection, Row, select
from sqlalchemy import Engine as Database

from app.calls.client import Request
from app.config import Config
from app.engine.answers import Answers
from app.engine.calls import Calls
from app.engine.engine import Engine
from app.engine.heartbeat import Heartbeat
from app.engine.idempotency import Keys
from app.engine.runner import Runner
from app.engine.service import SagaService
from app.shared_cache import SharedCache
from app.store.arrivals import Arrivals
from app.store.children import Children
from app.store.instance import Instance
from app.store.leases import Leases, Replicas
from app.store.models import SagaRow
from app.store.sagas import FencedError, KeyTakenError, SagaStore
from app.store.statements import Connections
from app.store.tables import Tables
from app.telemetry import Telemetry
from app.traces import Traces
from machines.families import Families
from machines.loop import RunEnd
from machines.registry import Registry
from machines.replies import Reply
from machines.transitions import Trigger
from machines.waits import Waits
from tests.property.participant import Participant, own_id

CONFIG = Config(threads=3, max_claims=3, public_url="https://sagas.example", secret_key="s" * 32)
_SAGA = SagaRow.__table__
#: The wait before each retry, in seconds. A request that waits for its saga sleeps during this time. Otherwise the time
#: is stored in `due_at`.
JITTER_S = 0.5


class Crash(BaseException):
    """Raised in place of the death of the process. No code of the process may continue."""


class Surroundings(Protocol):
    """The part of `Simulation` (tests/property/world.py) that a process uses."""

    database: Database
    telemetry: Telemetry
    registry: Registry
    participant: Participant
    #: The number of commits and the number of claims, for each saga.
    commits: Counter[UUID]
    claims: Counter[UUID]
    #: How often the parent of each saga has sent it back.
    sent_back: Counter[UUID]
    #: Errors that no test expects. The test fails when there are any.
    broken: list[Exception]
    #: The time in seconds, the same for every process.
    now: float
    #: The wait before each retry, in seconds.
    jitter_s: float

    #: Let other people and processes act now.
    def happen(self, saga_id: UUID) -> None: ...

    def standing(self, saga_id: UUID) -> Row[Any] | None: ...

    def journal(self, saga_id: UUID) -> Sequence[Row[Any]]: ...


class InlinePool:
    """A thread pool that runs each call at once, in the thread of its caller."""

    def submit(self, call: Callable[..., RunEnd], *arguments: Any) -> "Future[RunEnd]":
        running: Future[RunEnd] = Future()
        try:
            running.set_result(call(*arguments))
        except Exception as error:  # noqa: BLE001  as in a real pool; a Crash is no Exception and ends the process
            running.set_exception(error)
        return running


class Stopping:
    """Stands in for `stopping`, and is set, so that a request never waits for other processes.

    A simulated process has no threads that would stop.
    """

    def is_set(self) -> bool:
        return True

    def wait(self, _seconds: float) -> bool:
        return True


class WatchedLeases(Leases):
    """Leases that count the claims."""

    world: Surroundings

    def claim(self, *arguments: Any) -> Sequence[Instance]:
        claimed = sorted(super().claim(*arguments), key=lambda saga: saga.id)
        self.world.claims.update(saga.id for saga in claimed)
        return claimed

    def claim_one(self, *arguments: Any) -> Instance | None:
        saga = super().claim_one(*arguments)
        self.world.claims.update([saga.id] if saga else [])
        return saga


@cache
def connections_of(database: Database) -> Connections:
    """Return the connections that all simulated processes share, because all run in one real process."""
    return Connections(database)


class WatchedStore(SagaStore):
    """A store that lets an incident happen before and after each commit, and checks the changes of each commit."""

    world: Surroundings

    def insert(self, saga: Instance, *arguments: Any, **how: Any) -> None:
        with self._committing(saga):
            super().insert(saga, *arguments, **how)

    def save(self, saga: Instance, *arguments: Any, **how: Any) -> None:
        with self._committing(saga):
            super().save(saga, *arguments, **how)

    @contextmanager
    def _committing(self, saga: Instance) -> Iterator[None]:
        self.world.happen(saga.id)
        before, moves, known = self.world.standing(saga.id), saga.unsaved, (saga.epoch, saga.version)
        try:
            yield
        except (FencedError, KeyTakenError):
            assert self.world.standing(saga.id) == before, "a write that was refused changed something"
            raise
        assert before is None or (before.epoch, before.version) == known, "a write of the past was let through"
        self.world.commits.update([saga.id, *(child.id for child in saga.born)])
        for move in moves:
            if move.trigger == Trigger.RESOLVE:
                self._see_to_it(saga, move.source)
        self.world.happen(saga.id)

    def move_family(self, connection: Connection, saga: Instance) -> None:
        """Count and check what a commit changes of the saga's children."""
        before = _children(connection, saga)
        super().move_family(connection, saga)
        after = _children(connection, saga)
        new = after.keys() - before.keys()
        statuses = [child.status for child in _newest(saga, before.values())]
        if not saga.retries_by_hand:
            assert not (new and {"compensating", "compensated"} & {*statuses}), (
                "a branch was started beside one that goes back"
            )
        elif not saga.current.undoes and "compensated" in statuses and {*statuses} <= {"completed", "compensated"}:
            assert new, "a person has retried the step, and no child was started"
        for child, old in before.items():
            if after[child] != old:
                self.world.sent_back[child] += 1
                assert saga.current.undoes, "a parent moved its children, and does not go back"
                assert old.status != "compensated", "a child that is compensated was sent back"
                assert not old.goes_back or old.status == "completed", "a child was sent back twice"

    def _see_to_it(self, saga: Instance, stuck: str) -> None:
        """Make the effect that the operator of a resolve claims to have made by hand."""
        table = saga.definition
        (entry,) = (
            transition.dest
            for transition in table.transitions
            if transition.source == stuck and transition.trigger is Trigger.RETRY
        )
        at = table.states[entry]
        if at.call:
            self.world.participant.by_hand(str(saga.id), at.step.name, at.direction)


def _children(connection: Connection, saga: Instance) -> dict[UUID, Row[Any]]:
    of_step = _SAGA.c.parent_step == (saga.current.step.name if saga.current.step else None)
    columns = (_SAGA.c.id, _SAGA.c.status, _SAGA.c.version, _SAGA.c.goes_back, _SAGA.c.child_number)
    children = select(*columns).where(_SAGA.c.parent_id == saga.id, of_step).order_by(_SAGA.c.child_number)
    return {row.id: row for row in connection.execute(children)}


def _newest(saga: Instance, known: Iterable[Row[Any]]) -> Iterable[Row[Any]]:
    """Return the newest child of each place of the saga's present step. known: in the order of their numbers."""
    group = saga.current.step.group if saga.current.step else None
    count = 1 if group is None else len(group.branches if group.over is None else saga.data[group.over])
    return {(child.child_number - 1) % count: child for child in known}.values()


@dataclass(frozen=True, kw_only=True)
class WatchedEngine(Engine):
    """An engine that keeps unexpected errors in `broken`. The runner alone would only log and retry them."""

    broken: list[Exception]

    def run(self, *arguments: Any, **how: Any) -> RunEnd:
        try:
            return super().run(*arguments, **how)
        except (FencedError, KeyTakenError):
            raise
        except Exception as error:
            self.broken.append(error)
            raise


class Process:
    """One process with the same parts as in `create_app`, and with the simulated participants."""

    def __init__(self, world: Surroundings, name: str) -> None:
        self.name, self._world = name, world
        registry, clock = world.registry, lambda: world.now
        self.store = WatchedStore(connections_of(world.database), registry, name, clock)
        self.leases = WatchedLeases(world.database, registry, name, clock)
        self.store.world = self.leases.world = world
        self.engine = WatchedEngine(
            config=CONFIG,
            store=self.store,
            calls=Calls(config=CONFIG, sender=self, telemetry=world.telemetry, traces=Traces()),
            waits=Waits(arrivals=Arrivals(world.database)),
            families=Families(children=Children(world.database), registry=registry),
            telemetry=world.telemetry,
            actor=name,
            jitter=lambda _longest: world.jitter_s,
            sleep=lambda _seconds: None,
            broken=world.broken,
        )
        heartbeat = Heartbeat(Replicas(world.database, name))
        tables = Tables(world.database, registry, name)
        self.runner = Runner(
            config=CONFIG,
            engine=self.engine,
            leases=self.leases,
            tables=tables,
            heartbeat=heartbeat,
            stopping=Stopping(),
            pool=InlinePool(),
        )
        self.answers = Answers(CONFIG, registry, self.engine, self.runner)
        keys = Keys(self.store, SharedCache(None, None))
        self.service = SagaService(config=CONFIG, registry=registry, engine=self.engine, runner=self.runner, keys=keys)

    def ask(self, saga_id: UUID, trigger: Trigger) -> None:
        """Make the move that a person requests. `SagaService` need not have a method for this move."""
        saga = self.store.read(saga_id)
        while saga.current.waits and saga.arrived and self.engine.take_arrival(saga):
            pass  # the request applies to the saga after what came before
        if not saga.may(trigger) or self.engine.families.why_not(saga, trigger):
            return
        step = saga.current.step
        known = own_id(str(saga.id), step.name) if step else ""
        by_hand = dict.fromkeys(saga.definition.needed_fields[step.name], known) if step else {}
        self.engine.request_move(saga, trigger, self.name, "drawn", by_hand)
        self.engine.commit(saga)
        self.runner.submit(saga, max_sleep_s=0)

    def send(self, request: Request) -> Reply:
        saga_id = UUID(request.headers["Saga-Id"])
        self._world.happen(saga_id)
        if request.method != "GET":
            self._see_its_intent(saga_id, request)
        reply = self._world.participant.send(request)
        self._world.happen(saga_id)
        return reply

    def _see_its_intent(self, saga_id: UUID, request: Request) -> None:
        _, step, direction = request.headers["Idempotency-Key"].split("/")
        row = self._world.standing(saga_id)
        assert row is not None, f"{direction} {step} was sent before its saga was stored"
        states = self._world.registry.of(row).states.values()
        meant = {at.name for at in states if at.call and at.step.name == step and at.direction == direction}
        entered = {move.dest for move in self._world.journal(saga_id)}
        assert meant & entered, f"{direction} {step} was sent before its intent was durable"
