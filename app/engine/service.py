"""The operations of the API on sagas: start them, make the moves that people request, and wait for the result."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from sqlalchemy import Row

from app.config import Config
from app.engine.actions import send_now, take_action
from app.engine.early_commits import EarlyCommits
from app.engine.engine import Engine
from app.engine.idempotency import Keys, new_saga
from app.engine.runner import MAX_INLINE_WAIT_S, Runner
from app.engine.signals import admit
from app.errors import ConflictError, NotFoundError
from app.service_threads import ServiceThreads
from app.store.arrivals import Arrivals, Signal
from app.store.audit import Entry
from app.store.children import only_a_person_moves
from app.store.instance import Instance, SagaSnapshot
from app.store.loading import snapshot_of
from app.store.sagas import FencedError, KeyTakenError
from machines.families import Families
from machines.loop import RunEnd
from machines.registry import Registry, UnknownSagaError
from machines.statuses import FINISHED, UNDER_WAY, Status

#: Seconds between two checks whether a saga is durable. A saga whose calls were all reads is often not stored yet.
_POLL_S = 0.005
#: Seconds between two reads of a saga that waits in the database, or that another process has claimed.
_DATABASE_POLL_S = 0.1
#: The same while the saga waits for children, which may end soon; each next read comes later, up to _DATABASE_POLL_S.
_FIRST_POLL_S = 0.01
#: Largest number of tries of one request. A try fails when the saga moves by itself, or another request takes its
#: key.
_TRIES = 20


class SagaService:
    """Starts and moves sagas of any definition."""

    def __init__(
        self, *, config: Config, registry: Registry, engine: Engine, runner: Runner, keys: Keys,
        threads: ServiceThreads | None = None,
    ) -> None:  # fmt: skip
        self._config, self._registry = config, registry
        self._store, self._engine, self._runner = engine.store, engine, runner
        self._keys = keys
        self._waiters = threading.BoundedSemaphore(config.requests)
        #: Longest wait, in seconds, that a saga's thread sleeps through while its client waits for the saga.
        self.max_sleep_s = MAX_INLINE_WAIT_S
        #: Stores a saga early when the reads before its first commit take long. Its `start` starts a thread.
        self.early_commits = EarlyCommits(engine.insert_early, runner.stopping, threads=threads)

    @property
    def families(self) -> Families:
        """The parents and children of sagas."""
        return self._engine.families

    @property
    def arrivals(self) -> Arrivals:
        """The stored signals of all sagas."""
        return self._engine.waits.arrivals

    def find(self, saga_id: UUID) -> Row[Any] | None:
        """Return the row of a saga, or None."""
        return self._store.find(saga_id)

    def start(  # noqa: PLR0917
        self, name: str, data: Mapping[str, Any], key: str | None = None, wait_s: float | None = None,
        by: str = "api", sent: Mapping[str, Any] | None = None, *, webhook: str | None = None,
    ) -> SagaSnapshot:  # fmt: skip
        """Start a saga. Return its durable state when the saga has ended or `wait_s` seconds are over.

        by: the sender, who owns the key. sent: the data before defaults were filled in. webhook: the name of a webhook,
        or an address that a webhook admits. When the sender has started a saga with this key before, return that saga.
        Raise StillRunningError while that saga runs, and KeyReusedError when it was started with other data.
        """
        with self._wait(wait_s) as longest_s:
            until, look = time.monotonic() + longest_s, self._keys.started
            for _ in range(_TRIES):
                saga = self._new(name, data, key, by, sent, webhook)
                if known := look(saga):
                    return known
                try:
                    if (left_s := until - time.monotonic()) > 0:
                        return self._await(saga, left_s)
                    self._hand_over(saga)
                    return _durable_snapshot(saga)
                except KeyTakenError:
                    look = self._keys.known
        raise ConflictError("other requests use the same key at the same time; send the request again")

    def started_with(
        self, name: str, data: Mapping[str, Any], key: str, by: str = "api", sent: Mapping[str, Any] | None = None
    ) -> SagaSnapshot | None:
        """Return the saga that was started with this key, or None. Raise as `start` does."""
        return self._keys.known(self._new(name, data, key, by, sent, None))

    def create(
        self, name: str, data: Mapping[str, Any], key: str | None = None, by: str = "api",
        sent: Mapping[str, Any] | None = None, *, webhook: str | None = None, start_at: datetime | None = None,
    ) -> SagaSnapshot:  # fmt: skip
        """Store a saga that waits for `execute` or for the time `start_at`. A time in the past means now.

        The other arguments, the result and the errors are those of `start`.
        """
        for _ in range(_TRIES):
            saga = new_saga(self._registry.latest(name), data, key, by, sent, webhook=webhook, start_at=start_at)
            saga.pending = True
            if known := self._keys.known(saga):
                return known
            try:
                self._engine.release(saga, None)
                return _durable_snapshot(saga)
            except KeyTakenError:
                continue
        raise ConflictError("other requests use the same key at the same time; send the request again")

    def execute(
        self, saga_id: UUID, wait_s: float | None = None, *, actor: str = "", reason: str | None = None
    ) -> SagaSnapshot:
        """Start a saga that `create` stored. Return the saga if it has ended; raise ConflictError if it is running.

        actor, reason: a person starts it, so the commit that starts it also writes an audit row.
        """
        saga = self._read(saga_id)
        if saga.status in FINISHED:
            return _durable_snapshot(saga)
        if not saga.pending:
            raise ConflictError(f"the saga is {saga.status} already, in {saga.state}", saga_id=str(saga_id))
        if reason is not None:
            saga.prepare_audit("start", actor, reason)
        saga.start_pending()
        try:
            return self._run_on(saga, wait_s)
        except FencedError:
            raise ConflictError("another request has just started the saga", saga_id=str(saga_id)) from None

    def retry(
        self, saga_id: UUID, actor: str, reason: str, wait_s: float | None = None, *, seen: str | None = None
    ) -> SagaSnapshot:
        """Send the call of a stuck saga again. seen: the state in which the caller saw the saga.

        Raise ConflictError when the saga has left that state, or when its table allows no retry in that state.
        """
        return self._take_action(saga_id, partial(take_action, self._engine, "retry", actor, reason), wait_s, seen)

    def compensate(
        self, saga_id: UUID, actor: str, reason: str, wait_s: float | None = None, *, seen: str | None = None
    ) -> SagaSnapshot:
        """Undo a saga as far as its table allows: cancel a running saga, or compensate a stuck or completed one.

        seen and the errors are those of `retry`.
        """
        return self._take_action(saga_id, partial(take_action, self._engine, "compensate", actor, reason), wait_s, seen)

    def resolve(
        self, saga_id: UUID, actor: str, reason: str, reply: Mapping[str, Any], wait_s: float | None = None, *,
        seen: str | None = None,
    ) -> SagaSnapshot:  # fmt: skip
        """Continue from a stuck step as if it had succeeded, because a person did its work by hand.

        reply: the fields of the participant's reply that later calls need. seen and the errors are those of `retry`;
        also raise InvalidError when a needed field is missing.
        """
        action = partial(take_action, self._engine, "resolve", actor, reason, reply=reply)
        return self._take_action(saga_id, action, wait_s, seen)

    def send_now(
        self, saga_id: UUID, actor: str, reason: str, wait_s: float | None = None, *, seen: str | None = None
    ) -> SagaSnapshot:
        """Make the next attempt of a saga that backs off at once, or end its pause.

        seen and the errors are those of `retry`; only a signal or an answer ends the wait for it.
        """
        return self._take_action(saga_id, partial(send_now, self._engine, actor, reason), wait_s, seen)

    def signal(
        self, saga_id: UUID, sent: Signal, wait_s: float | None = None, *, entry: Entry | None = None
    ) -> SagaSnapshot:
        """Send a signal to a saga. Return the saga's durable state.

        When the signal ends a wait, the saga first runs on for at most `wait_s` seconds. The caller has checked the
        body of the signal with app.views.signals. A signal that comes early is stored until the saga waits for it. A
        repeated signal changes nothing. Raise NotFoundError when there is no such saga or no such signal. Raise
        ConflictError when the signal is too late, or when another signal was first. Raise KeyReusedError when the key
        was used for another body. entry: the audit row of a person's signal.
        """
        check = partial(admit, self._registry, sent)
        self.arrivals.add(saga_id, sent, check, entry)
        if wait_s == 0.0:
            self._runner.wake()
            self._runner.wake_worker()
        elif saga := self._runner.claim_one(saga_id):
            try:
                with self._wait(wait_s) as longest_s:
                    return self._await(saga, longest_s)
            except FencedError:
                pass
        row = self._store.find(saga_id)
        assert row is not None, "no saga is deleted while it is under way"
        return snapshot_of(row)

    def _take_action(
        self, saga_id: UUID, request: Callable[[Instance], None], wait_s: float | None, seen: str | None
    ) -> SagaSnapshot:
        """Make the moves that `request` makes to the saga, commit them, and continue the saga."""
        for _ in range(_TRIES):
            saga = self._read(saga_id)
            if seen not in (None, saga.state):
                moved = f"the saga has moved from {seen} to {saga.state} in the meantime"
                raise ConflictError(moved, saga_id=str(saga_id), etat_final=saga.state)
            request(saga)
            try:
                return self._run_on(saga, wait_s)
            except FencedError:
                continue  # the saga has moved since the read: read it again
        raise ConflictError("the saga keeps moving; send the request again", saga_id=str(saga_id))

    def _run_on(self, saga: Instance, wait_s: float | None) -> SagaSnapshot:
        """Commit the requested move and continue the saga. Raise FencedError when the saga has moved since its read."""
        if not saga.current.runs:
            self._engine.release(saga, None)
            return _durable_snapshot(saga)
        with self._wait(wait_s) as longest_s:
            if longest_s > 0:
                self._engine.commit(saga)
                return self._await(saga, longest_s)
            self._hand_over(saga)
        return _durable_snapshot(saga)

    @contextmanager
    def _wait(self, wait_s: float | None) -> Iterator[float]:
        """Yield how long the request is allowed to wait, in seconds.

        The wait is 0 while `config.requests` other requests wait, because each waiting request occupies a thread.
        """
        wait_s = self._config.wait_s if wait_s is None else wait_s
        waits = wait_s > 0 and self._waiters.acquire(blocking=False)
        try:
            yield wait_s if waits else 0.0
        finally:
            if waits:
                self._waiters.release()

    def _hand_over(self, saga: Instance) -> None:
        """Make the saga durable.

        Run it in this process if the process accepts new sagas, or if an operator sends its call now, because no other
        process knows that. Else let another one claim it.
        """
        if self._runner.accepts(saga) or saga.sent_now:
            self._engine.commit(saga)
            self._runner.submit(saga, max_sleep_s=0)
        else:
            self._engine.release(saga, 0.0)
            self._runner.wake_worker()

    def _await(self, saga: Instance, wait_s: float) -> SagaSnapshot:
        """Run the saga, wait for its end for at most `wait_s` seconds, and return its durable state.

        The saga runs in this thread, because the thread would otherwise only wait. When the next call may take longer
        than what is left of `wait_s`, the thread pool runs the rest of the saga. A saga that must wait too long is
        released to the database: then any process may continue it, and this thread only reads its state.
        """
        until = time.monotonic() + wait_s
        if saga.committed_snapshot is None:
            self.early_commits.watch(saga)
        if self._runner.run_inline(saga, self.max_sleep_s, until) is RunEnd.OUT_OF_TIME:
            _wait_for(self._runner.submit(saga, self.max_sleep_s), saga, until - time.monotonic())
        found = _durable_snapshot(saga)
        return self._read_until_end(saga, found, until) if _is_under_way(saga, found) else found

    def _read_until_end(self, saga: Instance, found: SagaSnapshot, until: float) -> SagaSnapshot:
        """Read the saga each time this process has run it, and now and then, because any process can run it."""
        poll_s = _FIRST_POLL_S if found.status == Status.WAITING else _DATABASE_POLL_S
        with self._runner.run_ends.watched(saga.id) as ran:
            while _is_under_way(saga, found) and time.monotonic() < until and not self._runner.stopping.is_set():
                woken = ran.wait(poll_s)
                ran.clear()
                poll_s = min(poll_s * 1.2, _DATABASE_POLL_S)  # so an end is seen a fifth too late at most
                row = self._store.find(saga.id)
                assert row is not None, "no saga is deleted while it is under way"
                found = snapshot_of(row)
                if not woken and poll_s == _DATABASE_POLL_S and self._needs_a_person(saga, found, until):
                    break
        return found

    def _needs_a_person(self, saga: Instance, found: SagaSnapshot, until: float) -> bool:
        """Return True when the saga waits for a child, and only a person can move one of them before this time.

        This is asked only while the saga has waited for a while, so that a saga whose children end soon costs no query.
        """
        left_s = until - time.monotonic()
        waits = saga.definition.states[found.state].awaits_child
        return waits and only_a_person_moves(self._store.connections.database, saga.id, left_s)

    def _new(  # noqa: PLR0917  one private method for three public ones
        self, name: str, data: Mapping[str, Any], key: str | None, by: str, sent: Mapping[str, Any] | None,
        webhook: str | None,
    ) -> Instance:  # fmt: skip
        return new_saga(self._registry.latest(name), data, key, by, sent, webhook=webhook)

    def _read(self, saga_id: UUID) -> Instance:
        try:
            saga = self._store.read(saga_id)
        except (UnknownSagaError, ValueError) as error:  # ValueError: a state that its table does not have
            raise ConflictError(f"{error}, so this release does not move the saga", saga_id=str(saga_id)) from None
        if saga is None:
            raise NotFoundError(f"there is no saga {saga_id}")
        return saga


def _is_under_way(saga: Instance, found: SagaSnapshot) -> bool:
    """Return True when the engine runs the saga, or runs the child that the saga waits for."""
    return found.status in UNDER_WAY or (
        found.status == Status.WAITING and saga.definition.states[found.state].awaits_child
    )


def _durable_snapshot(saga: Instance) -> SagaSnapshot:
    durable = saga.durable
    assert durable is not None
    return durable


def _wait_for(running: "Future[RunEnd]", saga: Instance, wait_s: float) -> None:
    try:
        running.result(wait_s)
    except TimeoutError:
        # The response promises that the saga is durable, but a saga that has only sent reads may not be stored yet.
        while not (saga.durable or saga.key_taken or running.done()):
            time.sleep(_POLL_S)
        if running.done():
            running.result()
        if saga.key_taken and not saga.durable:
            raise KeyTakenError(saga.key) from None
