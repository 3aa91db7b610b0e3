"""The calls that an action will send: those of the saga, and those of the sagas that its steps start or have started.

A step that starts other sagas sends no call itself. Its children send their calls, and on the way back their undos.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Row

from app.store import queries
from app.store.loading import is_in_doubt, table_of
from app.store.models import SagaRow
from app.views.masking import shown
from diagrams.descriptions import named
from machines.accepting import NotAcceptedError
from machines.branches import started_names
from machines.call import Call
from machines.children import INDEX
from machines.conditions import Condition
from machines.families import to_start
from machines.groups import NewChild, is_sent_back
from machines.history import replies, skipped_steps
from machines.preview import Known, Stop, preview, preview_start
from machines.progress import Walk, trigger_of
from machines.references import FillError, end_name, roots_of
from machines.registry import Registry, UnknownSagaError
from machines.saga import Saga
from machines.statuses import REPORTED, Status
from machines.step import Step
from machines.transitions import Direction

#: The most children whose calls are listed for one action. The others are counted.
MOST_CHILDREN = 20
#: Takes the place of the id of a child that is still to start, which nobody knows.
_NEW_ID = "{saga.id}"


@dataclass(frozen=True, kw_only=True)
class PlannedCall:
    """A call that an action will send."""

    call: Call
    #: The probe that is sent before `call`; None without one. When it finds that `call` took effect, `call` is not
    #: sent.
    probe: Call | None
    undoes: bool
    step: str
    #: Title of the step; "": its table gives none.
    title: str
    #: None while the path needs a reply that has not come yet.
    path: str | None
    #: None while the body needs a reply that has not come yet.
    body: Mapping[str, Any] | None
    #: Condition that a reply to come will decide; None: the call is certainly sent.
    only_when: Condition | None = None
    #: True: the call of `at_end=`, which is sent after the saga has ended, until it is delivered.
    after_end: bool = False
    #: The child that sends the call, with its title: `order.take`, or `new order.take, index 2`; "": the saga itself.
    child: str = ""
    #: Id of this child; None: it is still to start, or the saga itself sends the call.
    child_id: UUID | None = None


@dataclass(frozen=True, kw_only=True)
class Planned:
    """The calls of one action, in their order. Branches send their calls at the same time."""

    calls: tuple[PlannedCall, ...]
    #: Step, as people read it → number of its children whose calls are not listed.
    unlisted: Mapping[str, int]


class CallKey(NamedTuple):
    """The parts of a call's idempotency key."""

    saga_id: UUID | str
    step: str
    direction: str


def filled(call: Call, key: CallKey, data: Mapping[str, Any], results: Mapping[str, Any]) -> tuple[str | None, Any]:
    """Return the path and the body of a call. Either is None while it needs a reply that has not come yet."""
    roots = roots_of(str(key.saga_id), key.step, key.direction)
    try:
        path = call.filled_path(data, results, roots)
    except FillError:
        path = None
    try:
        return path, call.filled_body(data, results, roots)
    except FillError:
        return path, None


@dataclass(frozen=True, kw_only=True)
class Kin:
    """The children of sagas, and what is known of each. Each is read once."""

    registry: Registry
    _children: dict[UUID, Sequence[Row[Any]]] = field(default_factory=dict)
    _rows: dict[UUID, SagaRow] = field(default_factory=dict)
    _journals: dict[UUID, list[Any]] = field(default_factory=dict)

    def of(self, saga_id: UUID, step: str) -> list[Row[Any]]:
        """Return the children that a step of a saga has started, in the order of their numbers."""
        if saga_id not in self._children:
            self._children[saga_id] = queries.children(saga_id)
        return [child for child in self._children[saga_id] if child.parent_step == step]

    def read(self, children: Sequence[Row[Any]]) -> Iterator[tuple[SagaRow, Sequence[Any], Saga]]:
        """Yield the row, the journal and the table of these children. A child without a table is left out."""
        if new := [child.id for child in children if child.id not in self._rows]:
            self._rows.update(queries.sagas(new))
            self._journals.update(queries.journals(new))
        for child in children:
            if child.id not in self._rows:
                continue  # it was pruned in the meantime
            row, journal = shown(self.registry, self._rows[child.id], self._journals[child.id])
            if table := table_of(self.registry, row, journal):
                yield row, journal, table


@dataclass(frozen=True, kw_only=True)
class _Sender:
    """A saga whose calls are listed."""

    definition: Saga
    #: None for a child that is still to start.
    id: UUID | None
    known: Known
    child: str = ""

    @property
    def key_id(self) -> UUID | str:
        return self.id or _NEW_ID


def planned_calls(course: Sequence[Stop], definition: Saga, saga_id: UUID, known: Known, kin: Kin | None) -> Planned:
    """Return the calls in the states to come of a saga. kin: its children; None: their calls are left out."""
    planning = _Planning(kin=kin)
    calls = tuple(planning.calls(course, _Sender(definition=definition, id=saga_id, known=known)))
    return Planned(calls=calls, unlisted=planning.unlisted)


@dataclass(kw_only=True)
class _Planning:
    kin: Kin | None
    #: How many more children can be listed.
    room: int = MOST_CHILDREN
    unlisted: Counter[str] = field(default_factory=Counter)

    def calls(self, course: Sequence[Stop], sender: _Sender) -> Iterator[PlannedCall]:
        data, results = sender.known.data, sender.known.results
        new = partial(PlannedCall, child=sender.child, child_id=sender.id if sender.child else None)
        for stop in course:
            if (call := stop.state.at_end) is not None:
                name = end_name(REPORTED[stop.state.phase])
                path, body = filled(call, CallKey(sender.key_id, name, Direction.DO), data, results)
                yield new(
                    call=call, probe=None, undoes=False, step=name, title="", path=path, body=body, after_end=True
                )
            if stop.call and stop.state.step:
                step, undoes = stop.state.step.name, stop.state.undoes
                path, body = filled(stop.call, CallKey(sender.key_id, step, stop.state.direction), data, results)
                yield new(
                    call=stop.call, probe=stop.probe, undoes=undoes, step=step, title=stop.state.step.title, path=path,
                    body=body, only_when=stop.only_when,
                )  # fmt: skip
            if stop.state.awaits_child and self.kin is not None:
                of_children = self._undone if stop.state.undoes else self._done
                yield from of_children(self.kin, stop, sender)

    def _undone(self, kin: Kin, stop: Stop, sender: _Sender) -> Iterator[PlannedCall]:
        """Yield the calls of the children that are compensated in this state."""
        assert stop.state.step is not None
        known = kin.of(sender.id, stop.state.step.name) if sender.id else []
        sent_back = [child for child in known if is_sent_back(child.status, goes_back=child.goes_back)]
        for row, journal, table in kin.read(self._listed(sent_back, stop.state.step)):
            trigger = trigger_of("compensate", table, row.state)
            if trigger is None:
                continue  # it goes back already, or is stuck on its way back
            of_child = Known(data=row.data, results=replies(journal), skipped=skipped_steps(journal))
            in_doubt = is_in_doubt(row) and row.status != Status.PENDING
            course = preview(table, row.state, trigger, in_doubt=in_doubt, known=of_child).course
            child = _Sender(definition=table, id=row.id, known=of_child, child=named(table.title, table.name))
            yield from self.calls(course, child)

    def _done(self, kin: Kin, stop: Stop, sender: _Sender) -> Iterator[PlannedCall]:
        """Yield the calls of the children that are started in this state."""
        step = stop.state.step
        assert step is not None
        walk = Walk(sender.definition, stop.state.name)
        walk.data, walk.results = sender.known.data, sender.known.results
        known = kin.of(sender.id, step.name) if sender.id else []
        try:
            new = [_new_sender(child) for child in to_start(kin.registry, walk, str(sender.key_id), known)]
        except (FillError, NotAcceptedError, UnknownSagaError):
            new = [] if known else _without_data(kin.registry, sender.definition, step)
        for child in self._listed(new, step):
            yield from self.calls(preview_start(child.definition, child.known).course, child)

    def _listed(self, children: Sequence[Any], step: Step) -> Sequence[Any]:
        """Return the children that are listed, and count the others."""
        listed = children[: self.room]
        self.room -= len(listed)
        if len(children) > len(listed):
            self.unlisted[named(step.title, step.name)] += len(children) - len(listed)
        return listed


def _new_sender(child: NewChild) -> _Sender:
    place = f", index {child.data[INDEX]}" if child.definition.is_branch and INDEX in child.data else ""
    known = Known(data=child.data, results={})
    name = named(child.definition.title, child.definition.name)
    return _Sender(definition=child.definition, id=None, known=known, child=f"new {name}{place}")


def _without_data(registry: Registry, parent: Saga, step: Step) -> list[_Sender]:
    """Return a sender for each table that the step starts, when the data of the children are not known yet."""
    nothing = Known(data={}, results={})
    if step.group is None:
        name = str(step.starts)
        tables = [(registry.latest(name), name)] if name in registry.names else []
    else:
        names = started_names(parent.name, step)
        tables = [(registry.get(name, parent.version), name) for name in names]
    each = f" for each item of {step.group.over}" if step.group is not None and step.group.over else ""
    return [
        _Sender(definition=table, id=None, known=nothing, child=f"new {named(table.title, name)}{each}")
        for table, name in tables
    ]
