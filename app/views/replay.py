"""A saga's journal, run again in memory by the present table: the same way or not, as a test, and what if.

Nothing is called and nothing is stored. The command line, the API and the page show what this module returns.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path

from app.errors import ConflictError, MalformedError
from app.store import queries
from app.store.models import SagaRow
from app.store.queries import Reach
from app.views.masking import shown
from machines.discovery import SAMPLES
from machines.history import StepEffect
from machines.registry import Registry, UnknownSagaError
from machines.replay.playing import Difference, Played, difference, play, play_once
from machines.replay.recording import Recording
from machines.replay.source import source_of
from machines.replay.stand_ins import without_secrets
from machines.replay.trees import Journalled, redacted_tree, tree_recording
from machines.replay.what_if import CHANGES, UnknownChangeError, calls_of, changed, effects, not_reached
from machines.saga import Saga
from machines.statuses import FINISHED, Status
from machines.testing.scenario import places

#: Largest number of children of one saga that are replayed; each one is a query.
_MOST_CHILDREN = 200


@dataclass(frozen=True, kw_only=True)
class Way:
    """The way that a saga goes in one run."""

    calls: Sequence[str]
    status: str
    state: str
    error: str | None
    effects: Sequence[StepEffect]
    #: The path, drawn with text.
    drawing: str


@dataclass(frozen=True, kw_only=True)
class WhatIf:
    """The way of a saga with one outcome changed."""

    change: str
    way: Way
    #: Number of the first call that differs, from 0; None: the calls are equal.
    differs_at: int | None
    #: The calls whose success is assumed, because the journal does not have them.
    assumed: Sequence[str]
    #: Requests from outside that the journal has and this run had no use for.
    unused: Sequence[str]
    #: Why the change changes nothing: its call is not made, or what it changes is not waited for; "": it is reached.
    not_reached: str


@dataclass(frozen=True, kw_only=True)
class Replay:
    """A saga's journal, run again."""

    table: Saga
    #: The first move in which the present table goes another way; None: it goes the same way.
    difference: Difference | None
    #: What the journal does not say, in sentences.
    unknown: Sequence[str]
    #: The saga as the present table runs it, with the answers of the journal.
    way: Way
    #: The journal as a test in Python.
    test: str
    what_if: WhatIf | None = None
    #: Calls and outcomes that `what_if` can name.
    calls: Sequence[str] = ()
    outcomes: Sequence[str] = field(default_factory=lambda: CHANGES)


def replayed(
    registry: Registry, saga: SagaRow, *, what_if: str | None = None, redact: bool = False, version: int | None = None,
    reach: Reach = None,
) -> Replay:  # fmt: skip
    """Run a saga's journal again, with those of its children within `reach`. version: of its table; None: its own.

    Raise MalformedError for an illegal change or version, and ConflictError for a saga that no test can run.
    """
    table = _table(registry, saga, version)
    recorded = _recorded(registry, table, saga, redact=redact, reach=reach)
    changed_one = _changed(recorded, what_if) if what_if else None
    try:
        played = play(recorded)
        found = difference(played)
        return Replay(
            table=table, difference=found, unknown=recorded.unknown, way=_way(played),
            test=source_of(
                played, found, title="A saga" if redact else f"Saga {saga.id}",
                sagas=_portable(os.environ.get("SAGAS") or SAMPLES),
            ),
            what_if=_what_if(what_if or "", played, play_once(changed_one)) if changed_one else None,
            calls=calls_of(table, recorded.scenario.children),
        )  # fmt: skip
    except (AssertionError, ValueError) as error:  # more requests than a test may make; tables that do not fit
        raise ConflictError(f"it cannot be replayed: {str(error).splitlines()[0]}") from None


def replay_json(replay: Replay) -> dict[str, object]:
    """Return a replay as JSON of the API."""
    found = replay.difference
    return {
        "table": replay.table.name,
        "version": replay.table.version,
        "same_way": found is None,
        "difference": found and {"move": found.number, "journal": found.recorded, "table": found.played},
        "unrecorded": list(replay.unknown),
        "run": _way_json(replay.way),
        "what_if": replay.what_if and {
            "change": replay.what_if.change,
            **_way_json(replay.what_if.way),
            "differs_at_call": replay.what_if.differs_at,
            "assumed": list(replay.what_if.assumed),
            "unused": list(replay.what_if.unused),
            "not_reached": replay.what_if.not_reached or None,
        },
        "test": replay.test,
    }  # fmt: skip


def _way_json(way: Way) -> Mapping[str, object]:
    return {
        "calls": list(way.calls),
        "status": way.status,
        "state": way.state,
        "error": way.error,
        "effects": {each.step.name: str(each.effect) for each in way.effects},
    }


@dataclass(frozen=True, kw_only=True)
class Pair:
    """One fact of two runs, side by side."""

    what: str
    then: str
    now: str

    @property
    def differs(self) -> bool:
        return self.then != self.now


def side_by_side(before: Way, after: Way) -> list[Pair]:
    """Return the calls, the end and the effects of two runs side by side. "-": the run has no such call."""
    calls = zip_longest(before.calls, after.calls, fillvalue="-")
    pairs = [Pair(what=f"call {number}", then=then, now=now) for number, (then, now) in enumerate(calls, 1)]
    pairs.append(Pair(what="ends", then=f"{before.status} in {before.state}", now=f"{after.status} in {after.state}"))
    effects_now = {each.step.name: str(each.effect) for each in after.effects}
    return pairs + [
        Pair(what=f"effect of {each.step.name}", then=str(each.effect), now=effects_now[each.step.name])
        for each in before.effects
    ]


def _portable(places: str) -> str | None:
    """Return the places of the tables, each folder relative to the current one; None when one is elsewhere."""
    here, found = Path.cwd(), list[str]()
    for place in filter(None, map(str.strip, places.split(","))):
        if Path(place).is_absolute():
            if not Path(place).is_relative_to(here):
                return None
            place = f"./{Path(place).relative_to(here)}"  # noqa: PLW2901
        found.append(place)
    return ",".join(found)


def _table(registry: Registry, saga: SagaRow, version: int | None) -> Saga:
    try:
        return registry.get(saga.definition, version or saga.definition_version)
    except UnknownSagaError:
        if version is not None:
            raise MalformedError(f"version: this release has no {saga.definition} v{version}") from None
    try:
        return registry.latest(saga.definition)
    except UnknownSagaError:
        raise ConflictError(f"this release has no table {saga.definition}, so the saga cannot be replayed") from None


def _recorded(registry: Registry, table: Saga, saga: SagaRow, *, redact: bool, reach: Reach) -> Recording:
    if saga.status == Status.PENDING:
        raise ConflictError("the saga has not started, so there is nothing to replay")
    try:
        tree = _journalled(registry, table, saga, reach)
        found = tree_recording(redacted_tree(tree) if redact else tree, _started(registry, table))
    except (ValueError, UnknownSagaError) as error:
        raise ConflictError(f"it cannot be replayed: {error}") from None
    if _under_way(saga) and not found.requests:
        raise ConflictError("no call of the saga has been answered yet, so there is nothing to replay")
    return found


def _journalled(registry: Registry, table: Saga, saga: SagaRow, reach: Reach) -> Journalled:
    """Return a saga with its journal, and those of its children, without secrets."""
    row, moves = shown(registry, saga, queries.journal(saga.id))
    if not moves:
        raise ConflictError("the saga has not started, so there is nothing to replay")
    data, rows = without_secrets(table, row.data, moves)
    known = queries.children(saga.id, reach) if any(step.starts is not None for step in table.steps) else ()
    if len(known) > _MOST_CHILDREN:
        raise ConflictError(
            f"the saga has {len(known)} children, and a replay has at most {_MOST_CHILDREN} of one saga"
        )
    rows_of = queries.sagas([child.id for child in known])

    def below(child: SagaRow) -> Journalled:
        of_child = registry.get(child.definition, child.definition_version)
        return _journalled(registry, of_child, child, reach)

    return Journalled(
        definition=table, data=data, journal=rows, state=saga.state, under_way=_under_way(saga),
        step=saga.parent_step or "", number=saga.child_number or 0,
        children=[below(child) for child in rows_of.values()],
    )  # fmt: skip


def _under_way(saga: SagaRow) -> bool:
    return saga.status not in (*FINISHED, Status.STUCK, Status.WAITING)


def _started(registry: Registry, table: Saga) -> list[Saga]:
    """Return the tables of the sagas that the steps of a table start, and those that these start."""
    found: list[Saga] = []
    for place in places(table.steps):
        if place.step.starts is not None:
            child = registry.latest(place.step.starts)
            found += [child, *_started(registry, child)]
    return list(dict.fromkeys(found))


def _changed(recorded: Recording, what_if: str) -> Recording:
    try:
        return changed(recorded, what_if)
    except UnknownChangeError as error:
        raise MalformedError(f"what_if: {error}") from None


def _way(played: Played) -> Way:
    run = played.run
    return Way(
        calls=[str(call) for call in run.calls], status=str(run.status), state=str(run.state), error=run.error,
        effects=effects(run), drawing=str(run),
    )  # fmt: skip


def _what_if(change: str, before: Played, after: Played) -> WhatIf:
    then, now = before.run.calls, after.run.calls
    longest = max(len(then), len(now))
    at = next((number for number in range(longest) if then[number : number + 1] != now[number : number + 1]), None)
    return WhatIf(
        change=change, way=_way(after), differs_at=at, assumed=after.assumed,
        unused=[" ".join([act.method, *map(str, act.arguments[:1])]) for act in after.unused],
        not_reached=not_reached(after, change),
    )  # fmt: skip
