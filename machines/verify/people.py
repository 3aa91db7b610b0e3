"""What a person does to a saga: each action that the table offers, by a person who has looked first.

The person resolves only what was done by hand, and leaves a step alone whose effect nobody can take back.
"""

from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from machines.children import kept_type
from machines.loop import IncompleteReplyError
from machines.participant_kinds import ParticipantKind
from machines.progress import OPERATOR_ACTIONS, trigger_of
from machines.references import idempotency_key, split
from machines.statuses import FINISHED, Status
from machines.step import Step
from machines.transitions import Direction, Phase, State, Trigger
from machines.verify import participants
from machines.verify.disputes import stored_success
from machines.verify.distinct import distinct, put
from machines.verify.events import Edge, Event
from machines.verify.machinery import PERSON, SAGA_ID
from machines.verify.process import ModelLoop
from machines.verify.properties import Broken
from machines.verify.world import HELD, NEVER_DUE, Entry, Memory, Process, Row, Save, World

if TYPE_CHECKING:
    from machines.verify.moves import Moves


class People:
    """The persons who may act on the sagas of one table."""

    def __init__(self, moves: "Moves") -> None:
        self._moves = moves
        steps = moves.definition.steps
        untils = (split(each.waits.until) for each in steps if each.waits is not None and each.waits.until is not None)
        #: Step → the field of its reply that says how long a pause lasts; no call needs it.
        self._untils = {step: path for step, path in untils if step in moves.by_name}
        #: State → the step and the field without which the step is resolved there.
        self._accepted_without: dict[str, list[tuple[str, str]]] = {}

    def of(self, world: World, row: Row) -> Iterator[Edge]:
        """Yield every action that a person may take in a state."""
        definition = self._moves.definition
        if row.status == Status.PENDING:
            yield Edge(Event("person", what="execute"), self._executed(world, row), forever=False)
        for action in OPERATOR_ACTIONS:
            trigger = trigger_of(action, definition, row.state)
            if trigger is None:
                continue
            ledger = self._by_hand(world, row, action, trigger)
            if ledger is None:
                continue
            at = definition.states[row.state]
            event = Event("person", at.step.name if at.step else "", action)
            yield from self._requested(world._replace(ledger=ledger), row, event)
            if trigger is Trigger.RESOLVE:
                yield from self._incomplete(world, row)
            if trigger is Trigger.RESOLVE and not at.undoes and event.step in self._untils:
                event = event._replace(reply=f"its reply has no {self._untils[event.step]}")
                yield from self._requested(world._replace(ledger=ledger), row, event)

    def _requested(self, world: World, row: Row, event: Event) -> Iterator[Edge]:
        """Yield the request of an action; none when it is refused. event.reply: what a person does not give."""
        try:
            after = self._acted(world, row, event)
        except Exception as error:  # noqa: BLE001  whatever the engine raises is the finding
            why = f"{event.what} is offered in {row.state}, and it fails: {type(error).__name__}: {error}"
            after = Broken("allowed", why)
        if isinstance(after, Broken):
            yield Edge(event, world, after, forever=False)
        elif after is not None:
            yield Edge(event, after, forever=False)

    def _incomplete(self, world: World, row: Row) -> Iterator[Edge]:
        """Yield each resolve that is accepted without a field that later calls need."""
        if row.state not in self._accepted_without:
            self._accepted_without[row.state] = list(self._find_accepted_without(world, row))
        for step, name in self._accepted_without[row.state]:
            broken = Broken("no guess", f"{step} is resolved without {name}, which later calls need")
            yield Edge(Event("incomplete", step, name), world, broken, forever=False)

    def _find_accepted_without(self, world: World, row: Row) -> Iterator[tuple[str, str]]:
        at, machinery = self._moves.definition.states[row.state], self._moves.machinery
        if at.undoes or at.step is None or at.step.starts is not None:
            return
        for name in sorted(self._moves.definition.needed_fields[at.step.name]):
            saga = machinery.load(row, world.facts, world.seen, own_claims=0)
            loop = ModelLoop(machinery, Process(Memory(row.state)), world.seen)
            with suppress(IncompleteReplyError):
                loop.request_move(saga, Trigger.RESOLVE, PERSON, "looked", put(self._reply(at), name, None))
                yield at.step.name, name

    def _executed(self, world: World, row: Row) -> World:
        """Return the state after a request to start a pending saga."""
        machinery = self._moves.machinery
        saga = machinery.load(row, world.facts, world.seen, own_claims=0)
        loop = ModelLoop(machinery, Process(Memory(row.state)), world.seen)
        saga.start_pending()
        return self._moves.written(world, loop.save_of(saga, HELD, held=True))

    def _acted(self, world: World, row: Row, event: Event) -> World | Broken | None:
        """Return the state after the request of a person, or the property that it breaks.

        Return None when the request is refused, because of an arrival, a parent or a child.
        """
        world = self._moves.children.read(world)
        machinery = self._moves.machinery
        saga = machinery.load(row, world.facts, world.seen, own_claims=0)
        loop = ModelLoop(machinery, Process(Memory(row.state)), world.seen)
        if saga.pending:
            saga.start_pending()
        while saga.current.waits and saga.arrived and loop.take_arrival(saga):
            pass  # the request applies to the saga after what has arrived
        action = event.what
        trigger = trigger_of(action, saga.definition, saga.state)
        if trigger is None or loop.families.why_not(saga, trigger) is not None:
            return None
        reply = self._reply(saga.current) if trigger is Trigger.RESOLVE else None
        if reply is not None and event.reply:
            reply = put(reply, self._untils[event.step], None)
        try:
            loop.request_move(saga, trigger, PERSON, "looked", reply)
        except IncompleteReplyError:
            if not event.reply and (saga.current.step is None or saga.current.step.starts is None):
                raise
            return None  # nobody can write the replies of children
        runs = saga.current.runs
        save = loop.save_of(saga, HELD if runs else NEVER_DUE, held=runs)
        broken = (
            self._moves.kin_properties.of_commit(world, save)
            or self._moves.wait_ends.of_commit(world, save)
            or self._moves.guesses.of_way_back(world, save)
        )
        if broken is not None:
            return broken
        after = self._moves.written(world, save)
        in_vain = action == "retry" and self._retried_in_vain(world, after, row)
        return Broken("allowed", f"retry is offered in {row.state}, and {in_vain}") if in_vain else after

    def _retried_in_vain(self, world: World, after: World, row: Row) -> str:
        """Return what a retry has not done: send the call, or start a child again; "" when it has."""
        step = self._moves.definition.states[row.state].step
        assert step is not None
        point = None if after.process is None or step.starts else self._moves.turns.point(after.process)
        if isinstance(point, Save) and any(fact.trigger == Trigger.EXHAUSTED for fact in point.moves):
            return f"the call of {step.name} is not sent"
        kin = [each for each in world.kin if each.step == step.name]
        over = all(each.stage.status in FINISHED for each in kin)
        back = any(each.stage.status == Status.COMPENSATED for each in kin)
        forward = not self._moves.definition.states[row.state].undoes
        return f"no child of {step.name} starts again" if forward and over and back and after.kin == world.kin else ""

    def _reply(self, at: State) -> dict[str, Any]:
        """Return what a person gives who resolves: the stored form of the reply that the step would have got."""
        step = at.step
        assert step is not None
        if at.undoes:
            return {}
        if step.starts is not None:
            return self._of_children(step)
        return stored_success(self._moves.definition, step)

    def _of_children(self, step: Step) -> dict[str, Any]:
        """Return what a person gives for a step that starts children: an example of what the step keeps."""
        if step.group is None:
            return distinct(kept_type(step.keeps), step.name) if step.keeps else {}
        return {} if step.group.over is not None else distinct(step.group.result, step.name)

    def _by_hand(self, world: World, row: Row, action: str, trigger: Trigger) -> tuple[Entry, ...] | None:
        """Return what the participants have after the work that a person does before the action; None: no such action.

        A person who looks sees the effect of the step. One who cannot know what comes later does nothing yet.
        """
        at = self._moves.definition.states[row.state]
        step = at.step
        has_entry = step is not None and step.name in self._moves.index
        if step is None or not has_entry or row.status == Status.PENDING or at.phase is not Phase.STUCK:
            return world.ledger
        number = self._moves.index[step.name]
        entry, kind = world.ledger[number], self._moves.kinds[step.name]
        to_come = any(name == step.name for name, _ in world.flight) or entry.seen == "accepted"
        if at.undoes:
            if action != "resolve":
                return world.ledger
            waits = to_come and kind is not ParticipantKind.BARRIER
            return None if waits else _with(world, number, participants.undo(kind, entry)[0])
        may_act = bool(entry.effects) or to_come
        if action != "resolve":
            twice = action == "retry" and kind is ParticipantKind.NONE
            leaves = trigger is Trigger.COMPENSATE and step.undo is None  # an undo takes back what the step has done
            return None if may_act and (twice or leaves) else world.ledger
        if to_come:
            return None
        return world.ledger if entry.effects else _with(world, number, _made(entry, step))


def _made(entry: Entry, step: Step) -> Entry:
    """Return the entry after a person has made the effect of the step by hand."""
    made = participants.did(entry, idempotency_key(str(SAGA_ID), step.name, Direction.DO))
    return made._replace(times=1, too_late=False)


def _with(world: World, number: int, entry: Entry) -> tuple[Entry, ...]:
    return (*world.ledger[:number], entry, *world.ledger[number + 1 :])
