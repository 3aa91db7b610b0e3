"""The participants as people see them: breaker, pause, calls of the last minute, and the sagas that wait for them."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from sqlalchemy import Row

from app.errors import NotFoundError
from app.participant_settings.pace import spread_s
from app.services import Services
from app.store.audit import Entry
from app.store.participants import ParticipantStore
from app.views.formatting import duration
from app.views.states import participants_of, state_of, states_with, waits_at
from app.views.titles import participant_words
from machines.registry import Registry
from machines.statuses import Status, status_of


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What one process sees of a participant. The ages are in seconds, at the time of the query."""

    process: str
    calls: int
    failed: int
    p95_ms: float | None
    error: str | None
    error_age_s: float | None
    #: open or half open; None: closed.
    breaker: str | None
    open_for_s: float | None
    next_try_s: float | None


@dataclass(frozen=True, kw_only=True)
class Queue:
    """The sagas that wait before their next call to one participant."""

    participant: str
    sagas: int = 0
    #: Longest time, in seconds, that one of them has been in its state.
    longest_s: float = 0.0
    #: Seconds until the first of these calls; below 0 when it is due. None: no saga waits.
    next_s: float | None = None
    #: (definition, status) → the number of these sagas.
    by_saga: Mapping[tuple[str, Status], int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Health:
    """One participant, as all processes see it."""

    name: str
    seen: Sequence[Seen]
    #: Number of processes that run, also those that have not called the participant.
    processes: int
    queue: Queue
    paused_by: str | None = None
    paused_s: float | None = None
    pause_reason: str | None = None

    @property
    def waiting(self) -> int:
        return self.queue.sagas

    @property
    def calls(self) -> int:
        return sum(each.calls for each in self.seen)

    @property
    def failed(self) -> int:
        return sum(each.failed for each in self.seen)

    @property
    def p95_ms(self) -> float | None:
        """The largest of the processes' percentiles, because percentiles cannot be added."""
        return max((each.p95_ms for each in self.seen if each.p95_ms is not None), default=None)

    @property
    def open_in(self) -> list[Seen]:
        """The processes whose breaker is open or half open."""
        return [each for each in self.seen if each.breaker]

    @property
    def open_for_s(self) -> float | None:
        return max((each.open_for_s or 0.0 for each in self.open_in), default=None)

    @property
    def next_try_s(self) -> float | None:
        return min((each.next_try_s or 0.0 for each in self.open_in), default=None)

    @property
    def last_error(self) -> Seen | None:
        failed = [each for each in self.seen if each.error]
        return min(failed, key=lambda each: each.error_age_s or 0.0, default=None)

    @property
    def state(self) -> str:
        """`paused`, `not answering` (a breaker is open), or `ok`."""
        return "paused" if self.paused_by else "not answering" if self.open_in else "ok"


def health(registry: Registry, store: ParticipantStore) -> list[Health]:
    """Return every participant, also one that only a pause or a report names: those in trouble first, then by name."""
    return _health_of(registry, store, store.reports(), store.paused())


def troubled(registry: Registry, store: ParticipantStore, queues: Sequence[Queue] | None = None) -> list[Health]:
    """Return the participants that are paused or do not answer. Without such a participant no saga is counted.

    queues: of `waiting`; None: they are read if needed.
    """
    reports, paused = store.reports(), store.paused()
    if not paused and not any(each.breaker for seen in _seen(reports).values() for each in seen):
        return []
    return [each for each in _health_of(registry, store, reports, paused, queues) if each.state != "ok"]


def _health_of(
    registry: Registry, store: ParticipantStore, reports: Sequence[Row[Any]], paused: Mapping[str, Row[Any]],
    known: Sequence[Queue] | None = None,
) -> list[Health]:  # fmt: skip
    queues = {each.participant: each for each in (waiting(registry, store) if known is None else known)}
    seen = _seen(reports)
    names = sorted({*participants_of(registry), *paused, *seen})
    found = [
        _health(name, seen.get(name, ()), len(reports), queues.get(name, Queue(participant=name)), paused.get(name))
        for name in names
    ]
    return sorted(found, key=lambda each: each.state == "ok")


def waiting(registry: Registry, store: ParticipantStore) -> list[Queue]:
    """Return the sagas that wait for each participant, the most first. A tenant's sagas are counted for the tenant."""
    by_name: dict[str, list[Row[Any]]] = {}
    for row in store.waiting():
        if name := waits_at(state_of(registry, (row.definition, row.definition_version, row.state))):
            by_name.setdefault(name, []).append(row)
    found = [
        Queue(
            participant=name,
            sagas=sum(row.sagas for row in rows),
            longest_s=max(row.longest_s for row in rows),
            next_s=min(row.next_s for row in rows),
            by_saga=_by_saga(registry, rows),
        )
        for name, rows in by_name.items()
    ]
    return sorted(found, key=lambda each: -each.sagas)


def _by_saga(registry: Registry, rows: Iterable[Row[Any]]) -> Mapping[tuple[str, Status], int]:
    sagas: Counter[tuple[str, Status]] = Counter()
    for row in rows:
        state = registry.get(row.definition, row.definition_version).states[row.state]
        sagas[row.definition, status_of(state.phase, pending=False)] += row.sagas
    return sagas


def pause(parts: Services, name: str, actor: str, reason: str) -> None:
    """Send no calls to a participant until it is resumed. Raise NotFoundError, or ConflictError when it is paused."""
    _require_known(parts.registry, name)
    parts.pauses.pause(name, Entry(actor=actor, action="participant.pause", target=name, reason=reason))


def resume(parts: Services, name: str, actor: str, reason: str) -> tuple[int, float]:
    """Send calls to a participant again.

    Return the number of sagas that waited, and the seconds until the last one goes on. Raise NotFoundError, or
    ConflictError when it is not paused.
    """
    entry = Entry(actor=actor, action="participant.resume", target=name, reason=reason)
    if name not in parts.participant_store.paused():  # otherwise also a participant that no table calls any more
        _require_known(parts.registry, name)
    states = states_with(parts.registry, step="", participant=name)
    due = parts.pauses.resume(name, entry, states, partial(spread_s, parts.participants.get(name)))
    parts.runner.announce_due()
    return due


def resumed_words(name: str, due: tuple[int, float]) -> str:
    """Return what `resume` has done, in words."""
    sagas, within_s = due
    words = participant_words(name)
    if not sagas:
        return f"{words} is resumed. No saga waited for it."
    return f"{words} is resumed. {waiting_words(sagas, within_s)}."


def waiting_words(sagas: int, within_s: float) -> str:
    """Return how the sagas that have waited go on."""
    if sagas == 1:
        return "The saga that waited goes on now"
    return f"The {sagas} sagas that waited go on one after another, the last one in {duration(within_s)}"


def _require_known(registry: Registry, name: str) -> None:
    if name not in (known := participants_of(registry)):
        raise NotFoundError(f"there is no participant {name}; the tables call {', '.join(known)}")


def health_json(each: Health) -> dict[str, object]:
    last = each.last_error
    return {
        "name": each.name,
        "state": each.state,
        "paused_by": each.paused_by,
        "paused_s": _rounded(each.paused_s),
        "pause_reason": each.pause_reason,
        "breaker": each.open_in[0].breaker if each.open_in else "closed",
        "open_in": len(each.open_in),
        "processes": each.processes,
        "open_for_s": _rounded(each.open_for_s),
        "next_try_s": _rounded(each.next_try_s),
        "sagas_waiting": each.waiting,
        "calls_last_minute": each.calls,
        "failed_last_minute": each.failed,
        "p95_ms": each.p95_ms,
        "last_error": last and last.error,
        "last_error_age_s": _rounded(last.error_age_s) if last else None,
    }


def sentence(each: Health) -> str:
    """Return what is wrong with a participant, in one sentence for the head of every page."""
    name = participant_words(each.name)
    wait = "no saga waits" if not each.waiting else f"{each.waiting} saga{'s wait' if each.waiting > 1 else ' waits'}"
    if each.paused_by:
        return f"{name} is paused by {each.paused_by.removeprefix('user:')}: {wait}."
    error = f" ({each.last_error.error})" if each.last_error else ""
    return f"{name} is not answering{error}: its circuit breaker is open, and {wait}."


def _health(name: str, seen: Sequence[Seen], processes: int, queue: Queue, pause: Row[Any] | None) -> Health:
    why = {} if pause is None else {
        "paused_by": pause.paused_by, "paused_s": pause.paused_s, "pause_reason": pause.reason,
    }  # fmt: skip
    return Health(name=name, seen=seen, processes=processes, queue=queue, **why)


def _seen(reports: Iterable[Row[Any]]) -> dict[str, list[Seen]]:
    found: dict[str, list[Seen]] = {}
    for row in reports:
        for name, report in (row.participants or {}).items():
            found.setdefault(name, []).append(_one(row.owner, row.age_s, report))
    return found


def _one(owner: str, age_s: float, report: Mapping[str, Any]) -> Seen:
    """Return a report, with its ages as they are now."""

    def older(name: str) -> float | None:
        value = report.get(name)
        return None if value is None else float(value) + age_s

    next_try_s = report.get("next_try_s")
    return Seen(
        process=owner,
        calls=report["calls"],
        failed=report["failed"],
        p95_ms=report["p95_ms"],
        error=report["error"],
        error_age_s=older("error_age_s"),
        breaker=report.get("breaker"),
        open_for_s=older("open_for_s"),
        next_try_s=None if next_try_s is None else max(float(next_try_s) - age_s, 0.0),
    )


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 1)
