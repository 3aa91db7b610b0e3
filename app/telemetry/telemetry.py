"""Counts and logs the engine's commits, calls, claims and fenced writes.

The journal and the metrics contain the same moves. `Instance.moved` (app/store/instance.py) records each move in
memory. The commit writes the recorded moves to the journal (`SagaStore.save` in app/store/sagas.py). After the commit,
`Telemetry.committed` counts and logs them.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import cache, partial
from http import HTTPStatus
from math import inf
from typing import Any, NamedTuple, TypeVar

from prometheus_client import CollectorRegistry, Counter, Histogram

from app.store.instance import Instance, SagaSnapshot
from app.telemetry.counted_transition import LABELS, CountedTransition, outcome
from app.telemetry.derived import TRANSITIONS
from app.telemetry.entry_queue import EntryQueue
from app.telemetry.log_lines import CREATED, CommittedSaga, LogLines, level_and_event
from machines.call import Call
from machines.history import RECORDED
from machines.outcomes import Outcome
from machines.replies import Reply, setting_of, settings_of
from machines.running import Move
from machines.saga import Saga
from machines.statuses import FINISHED, Status
from machines.transitions import State

#: Upper bounds of the buckets of each histogram, in seconds.
_SAGA_S = (0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 300)
_STEP_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_CALL_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)
_ENDS = (*FINISHED, Status.STUCK)
_STATUSES = frozenset(map(int, HTTPStatus))
_CLASSES = range(1, 6)
_Metric = TypeVar("_Metric", Counter, Histogram)


class _Counted(NamedTuple):
    """A transition with its counter, log level and event name; cached, because each move needs them."""

    transition: CountedTransition
    #: The series that counts the transition.
    series: Counter
    level: int
    event: str


def cached(metric: _Metric) -> _Metric:
    """Make `labels` of a metric return each series from a cache. Return the metric.

    prometheus_client takes 3 µs for `labels().inc()`, and less than 1 µs with the cache.
    """
    metric.labels = cache(metric.labels)  # type: ignore[method-assign]
    return metric


class Telemetry:
    """Counts and logs what the engine does. Each series of the definitions is shown from the first scrape on."""

    def __init__(
        self,
        registry: CollectorRegistry,
        definitions: Iterable[Saga] = (),
        queue: EntryQueue | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        def counter(name: str, text: str, *labels: str) -> Counter:
            return cached(Counter(name, text, labels, registry=registry))

        def histogram(name: str, text: str, buckets: Sequence[float], *labels: str) -> Histogram:
            return cached(Histogram(name, text, labels, buckets=buckets, registry=registry))

        self._clock, self._lines = clock, LogLines()
        #: The entries that wait to be counted and logged.
        self.queue = queue or EntryQueue()
        self._transitions = counter(TRANSITIONS, "Transitions of sagas, counted after their commit", *LABELS)
        self._sagas = counter("saga", "Sagas that have started, ended or got stuck", "saga", "type", "status")
        #: Children are no orders: a saga of a hundred lines counts once.
        self._children = counter(
            "saga_children", "Sagas that steps of other sagas have started, which have started, ended or got stuck",
            "saga", "status",
        )  # fmt: skip
        self._claims = counter("saga_claims", "Due sagas claimed from the database", "saga")
        call_labels = "saga", "participant", "endpoint"
        self._calls = counter("saga_participant_calls", "Calls to participants", *call_labels, "status_code")
        self._turned_away = counter(
            "saga_participant_calls_turned_away",
            "Calls that were rejected before they had an effect, by the setting to check",
            "participant",
            "setting",
        )
        self._call_s = histogram(
            "saga_participant_call_duration_seconds", "Duration of calls to participants", _CALL_S, *call_labels
        )
        self._attempt_s = histogram(
            "saga_step_duration_seconds",
            "Duration of attempts of steps",
            _STEP_S,
            "saga",
            "step",
            "direction",
            "outcome",
        )
        self._saga_s = histogram(
            "saga_duration_seconds", "Duration of sagas from start to end", _SAGA_S, "type", "etat_final"
        )
        self._fenced = Counter(
            "saga_fenced_writes", "Writes rejected because another process has claimed the saga", registry=registry
        )
        self._claim_s = Histogram(
            "saga_claim_duration_seconds", "Duration of claims", buckets=_STEP_S, registry=registry
        )
        #: The transitions that can be counted, by the values of their labels.
        self.transitions: dict[tuple[str, ...], CountedTransition] = {}
        self._counted: dict[tuple[Saga, str | None, str, str], _Counted] = {}
        self._without_series = tuple(definitions)

    def create_series(self) -> None:
        """Create each series of each table with the value 0, so that a rate in PromQL includes its first event.

        A scrape calls this. A process without scrapes, such as a command, starts faster without it.
        """
        for definition in self._without_series:
            self._create_series_of(definition)
        self._without_series = ()

    def called(self, saga: Instance, call: Call, reply: Reply) -> None:
        """Count a call and its duration. Do not count a call that was stopped by a breaker or cannot be built."""
        if reply.sent or reply.duration_ms:  # a failed connection has a duration, although nothing was sent
            setting = setting_of(reply, call.participant)
            self.queue.add(self._called, saga.definition.name, call, reply.status, reply.duration_ms, setting)

    def committed(self, saga: Instance, moves: Sequence[Move], before: SagaSnapshot | None = None) -> None:
        """Count and log each move of a successful commit. before: the saga before the commit; None for a new saga."""
        after, took_s = saga.committed_snapshot, None
        assert after is not None, "only durable sagas are counted"
        if after.status in FINISHED and saga.started_at < inf:
            took_s = max(self._clock() - saga.started_at, 0.0)
        data = saga.data if before is None or before.status == Status.PENDING else None
        if data is not None and (secrets := saga.definition.secrets):
            data = secrets.shown_data(data)
        self.queue.add(
            self._committed, time.time(), saga.definition, after, saga.epoch, moves, before, took_s, data,
            saga.parent_id is not None,
        )  # fmt: skip

    def claiming(self) -> AbstractContextManager[Any]:
        """Return a context that measures the duration of a claim."""
        return self._claim_s.time()

    def claimed(self, saga: Instance) -> None:
        self.queue.add(self._claimed, _committed_saga(saga))

    def fenced(self, saga: Instance) -> None:
        self.queue.add(self._fenced_off, _committed_saga(saga))

    def _called(self, saga: str, call: Call, status: int | None, duration_ms: float, setting: str) -> None:
        self._calls.labels(saga, call.participant, call.path, _status_label(status)).inc()
        self._call_s.labels(saga, call.participant, call.path).observe(duration_ms / 1000)
        if setting:
            self._turned_away.labels(call.participant, setting).inc()

    def _committed(  # noqa: PLR0917  the facts that `committed` has recorded
        self, at: float, definition: Saga, snapshot: SagaSnapshot, epoch: int, moves: Sequence[Move],
        before: SagaSnapshot | None, took_s: float | None, data: Mapping[str, Any] | None, is_child: bool,
    ) -> None:  # fmt: skip
        saga = CommittedSaga(at, definition, snapshot, epoch)
        for move in moves:
            transition, series, level, event = self._counted_transition(
                definition, move.source, move.trigger, move.dest
            )
            series.inc()
            if result := outcome(move):
                attempts = self._attempt_s.labels(transition.saga, move.step or "", move.direction or "", result)
                attempts.observe((move.duration_ms or 0.0) / 1000)
            created = transition.source is None and snapshot.status == Status.PENDING
            self._lines.moved(saga, move, transition, level, CREATED if created else event, data)
        old_status = before.status if before else None
        if old_status != snapshot.status:
            self._status_changed(saga, old_status, data, is_child=is_child)
            if took_s is not None and not is_child:
                self._saga_s.labels(definition.name, snapshot.state).observe(took_s)

    def _status_changed(
        self, saga: CommittedSaga, old_status: str | None, data: Mapping[str, Any] | None, *, is_child: bool
    ) -> None:
        name, status = saga.definition.name, saga.snapshot.status
        series = partial(self._children.labels, name) if is_child else partial(self._sagas.labels, name, name)
        if status != Status.PENDING and old_status in (None, Status.PENDING):
            series("started").inc()
            if old_status:
                self._lines.started(saga, data)
        if status in _ENDS:
            series(status).inc()

    def _claimed(self, saga: CommittedSaga) -> None:
        self._claims.labels(saga.definition.name).inc()
        self._lines.claimed(saga)

    def _fenced_off(self, saga: CommittedSaga) -> None:
        self._fenced.inc()
        self._lines.fenced(saga)

    def _counted_transition(self, saga: Saga, source: str | None, trigger: str, dest: str) -> _Counted:
        if found := self._counted.get((saga, source, trigger, dest)):
            return found
        states = saga.states
        transition = CountedTransition(saga.name, states[source] if source else None, trigger, states[dest])
        self.transitions[transition.labels] = transition
        counted = _Counted(transition, self._transitions.labels(*transition.labels), *level_and_event(transition))
        self._counted[saga, source, trigger, dest] = counted
        return counted

    def _create_series_of(self, saga: Saga) -> None:
        self._counted_transition(saga, None, saga.start.trigger, saga.start.dest)
        for transition in saga.transitions:
            self._counted_transition(saga, transition.source, transition.trigger, transition.dest)
        for status in ("started", *_ENDS):
            if saga.is_branch:
                self._children.labels(saga.name, status)
            else:
                self._sagas.labels(saga.name, saga.name, status)
        for end in () if saga.is_branch else (saga.completed, saga.compensated):
            self._saga_s.labels(saga.name, end)
        for child in {step.call.participant for step in saga.steps if step.starts and not step.group and step.call}:
            for status in ("started", *_ENDS):
                self._children.labels(child, status)
        self._claims.labels(saga.name)
        for state in saga.states.values():
            self._create_call_series(saga.name, state)

    def _create_call_series(self, saga: str, state: State) -> None:
        if state.step is None or state.call is None:
            return
        for result in RECORDED:
            if result is Outcome.ACCEPTED and not state.answered_later:
                continue
            self._attempt_s.labels(saga, state.step.name, state.direction, result)
        for call in (state.call, state.step.probe, state.step.poll):
            if call is not None:
                self._call_s.labels(saga, call.participant, call.path)
                for setting in settings_of(call.participant):
                    self._turned_away.labels(call.participant, setting)


def _committed_saga(saga: Instance) -> CommittedSaga:
    assert saga.committed_snapshot is not None, "only durable sagas are counted"
    return CommittedSaga(time.time(), saga.definition, saga.committed_snapshot, saga.epoch)


def _status_label(status: int | None) -> str:
    """Return the label of an HTTP status. A status that HTTP does not define gets the label of its class, as "5xx"."""
    if status is None:
        return "none"
    if status in _STATUSES:
        return str(status)
    return f"{status // 100}xx" if status // 100 in _CLASSES else "other"
