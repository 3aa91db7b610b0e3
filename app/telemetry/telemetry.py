"""What the engine tells of itself: commits that were made, calls that were answered, sagas that were taken."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from http import HTTPStatus
from math import inf
from typing import Any, NamedTuple

from prometheus_client import CollectorRegistry, Counter, Histogram

from app.calls.outcome import Reply, setting_of, settings_of
from app.store.instance import Instance, Move, SagaSnapshot
from app.telemetry.counted_transition import LABELS, START, Row, outcome
from app.telemetry.deferred import Notes
from app.telemetry.derived import MOVES
from app.telemetry.label_cache import Children
from app.telemetry.log_lines import CREATED, Lines, Sight, told_as
from machines.call import Call
from machines.progress import Outcome
from machines.saga import Saga
from machines.statuses import FINISHED, Status
from machines.transitions import State

_SAGA_S = (0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 300)
_STEP_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_CALL_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)
_ENDS = (*FINISHED, Status.STUCK)
_STATUSES = frozenset(map(int, HTTPStatus))
_CLASSES = range(1, 6)


class _Counted(NamedTuple):
    """A row with all that a move along it needs, looked up once. level, event: see `told_as`."""

    row: Row
    add: Callable[..., None]
    level: int
    event: str


class Telemetry:
    """Counts and logs. Every series that follows from the definitions is in the first scrape, at 0.

    rows: those that can be counted, by the values of their labels. notes: what is not counted and logged yet.
    """

    def __init__(
        self,
        registry: CollectorRegistry,
        definitions: Iterable[Saga] = (),
        notes: Notes | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        def counter(name: str, says: str, *labels: str) -> Children:
            return Children(Counter(name, says, labels, registry=registry))

        def histogram(name: str, says: str, buckets: Sequence[float], *labels: str) -> Children:
            return Children(Histogram(name, says, labels, buckets=buckets, registry=registry))

        self._clock, self._lines, self.notes = clock, Lines(), notes or Notes()
        self._moves = counter(MOVES, "Moves made", *LABELS)
        self._sagas = counter("saga", "Sagas by what has become of them", "saga", "type", "status")
        self._claims = counter("saga_claims", "Sagas taken up from the database", "saga")
        called = "saga", "participant", "endpoint"
        self._calls = counter("saga_participant_calls", "Calls", *called, "status_code")
        self._turned_away = counter(
            "saga_participant_calls_turned_away",
            "Calls answered without effect, by the setting to check",
            "participant",
            "setting",
        )
        self._call_s = histogram("saga_participant_call_duration_seconds", "Calls", _CALL_S, *called)
        self._attempt_s = histogram(
            "saga_step_duration_seconds", "Attempts", _STEP_S, "saga", "step", "direction", "outcome"
        )
        self._saga_s = histogram("saga_duration_seconds", "Sagas from begin to end", _SAGA_S, "type", "etat_final")
        self._fenced = Counter("saga_fenced_writes", "Writes refused to an owner of the past", registry=registry)
        self._claim_s = Histogram("saga_claim_duration_seconds", "Claims", buckets=_STEP_S, registry=registry)
        self.rows: dict[tuple[str, ...], Row] = {}
        self._counted: dict[tuple[Saga, str | None, str, str], _Counted] = {}
        self._unseen = tuple(definitions)

    def foresee(self) -> None:
        """Make each series of each table, so that a rate sees its first event. To be done before a scrape.

        A process that is never scraped, such as a command, does without: it is most of the time that its start takes.
        """
        for definition in self._unseen:
            self._foresee(definition)
        self._unseen = ()

    def called(self, saga: Instance, call: Call, reply: Reply) -> None:
        """Count a call that was answered, or that got no answer."""
        if reply.sent or reply.duration_ms:  # else nobody was called: the breaker is open, or it cannot be made
            setting = setting_of(reply, call.participant)
            self.notes.note(self._called, saga.definition.name, call, reply.status, reply.duration_ms, setting)

    def committed(self, saga: Instance, moves: Sequence[Move], before: SagaSnapshot | None = None) -> None:
        """Count and log each move of a commit that has been made. before: where the saga stood until then."""
        after, took_s = saga.standing, None
        assert after is not None, "it is told of what is durable"
        if after.status in FINISHED and saga.began < inf:
            took_s = max(self._clock() - saga.began, 0.0)
        data = saga.data if before is None or before.status == Status.PENDING else None
        self.notes.note(self._committed, time.time(), saga.definition, after, saga.epoch, moves, before, took_s, data)

    def claiming(self) -> AbstractContextManager[Any]:
        """Time a claim."""
        return self._claim_s.time()

    def claimed(self, saga: Instance) -> None:
        self.notes.note(self._claimed, _sight(saga))

    def fenced(self, saga: Instance) -> None:
        self.notes.note(self._fenced_off, _sight(saga))

    def _called(self, saga: str, call: Call, status: int | None, duration_ms: float, setting: str) -> None:
        self._calls[saga, call.participant, call.path, _status_label(status)]()
        self._call_s[saga, call.participant, call.path](duration_ms / 1000)
        if setting:
            self._turned_away[call.participant, setting]()

    def _committed(  # noqa: PLR0917  what `committed` has noted
        self, at: float, definition: Saga, standing: SagaSnapshot, epoch: int, moves: Sequence[Move],
        before: SagaSnapshot | None, took_s: float | None, data: Mapping[str, Any] | None,
    ) -> None:  # fmt: skip
        seen = Sight(at, definition, standing, epoch)
        for move in moves:
            row, add, level, event = self._row(definition, move.source, move.trigger, move.dest)
            add()
            if became := outcome(move):
                attempt = self._attempt_s[row.saga, move.step or "", move.direction or "", became]
                attempt((move.duration_ms or 0.0) / 1000)
            created = row.source is None and standing.status == Status.PENDING
            self._lines.moved(seen, move, row, level, CREATED if created else event, data)
        was = before.status if before else None
        if was != standing.status:
            self._became(seen, was, data)
            if took_s is not None:
                self._saga_s[definition.name, standing.state](took_s)

    def _became(self, seen: Sight, was: str | None, data: Mapping[str, Any] | None) -> None:
        name, status = seen.definition.name, seen.standing.status
        if status != Status.PENDING and was in (None, Status.PENDING):
            self._sagas[name, name, "started"]()
            if was:
                self._lines.started(seen, data)
        if status in _ENDS:
            self._sagas[name, name, status]()

    def _claimed(self, seen: Sight) -> None:
        self._claims[seen.definition.name,]()
        self._lines.claimed(seen)

    def _fenced_off(self, seen: Sight) -> None:
        self._fenced.inc()
        self._lines.fenced(seen)

    def _row(self, saga: Saga, source: str | None, trigger: str, dest: str) -> _Counted:
        if found := self._counted.get((saga, source, trigger, dest)):
            return found
        states = saga.states
        row = Row(saga.name, states[source] if source else None, trigger, states[dest])
        self.rows[row.labels] = row
        counted = _Counted(row, self._moves[row.labels], *told_as(row))
        self._counted[saga, source, trigger, dest] = counted
        return counted

    def _foresee(self, saga: Saga) -> None:
        self._row(saga, None, START, saga.initial)
        for row in saga.transitions:
            self._row(saga, row.source, row.trigger, row.dest)
        for status in ("started", *_ENDS):
            self._sagas[saga.name, saga.name, status]
        for end in (saga.completed, saga.compensated):
            self._saga_s[saga.name, end]
        self._claims[saga.name,]
        for state in saga.states.values():
            self._foresee_calls(saga.name, state)

    def _foresee_calls(self, saga: str, state: State) -> None:
        if state.step is None or state.call is None:
            return
        for became in Outcome:
            self._attempt_s[saga, state.step.name, state.direction, became]
        for call in (state.call, state.step.probe):
            if call is not None:
                self._call_s[saga, call.participant, call.path]
                for setting in settings_of(call.participant):
                    self._turned_away[call.participant, setting]


def _sight(saga: Instance) -> Sight:
    assert saga.standing is not None, "it is told of what is durable"
    return Sight(time.time(), saga.definition, saga.standing, saga.epoch)


def _status_label(status: int | None) -> str:
    """Return the label of a participant's status, which may be any number: one of HTTP's own, else its class."""
    if status is None:
        return "none"
    if status in _STATUSES:
        return str(status)
    return f"{status // 100}xx" if status // 100 in _CLASSES else "other"
