"""What may become of a request that a process is about to send: what its participant does, and the reply to it."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from machines.outcomes import DEFINITE, Outcome
from machines.participant_kinds import ParticipantKind
from machines.step import Step
from machines.transitions import Trigger
from machines.verify import participants
from machines.verify.events import Edge, Event
from machines.verify.meanings import Truth
from machines.verify.process import Send
from machines.verify.properties import Broken
from machines.verify.replying import ASKS_TO_WAIT, UNFIT, WITHOUT_FIELDS
from machines.verify.world import Entry, Save, World

if TYPE_CHECKING:
    from machines.verify.moves import Moves


class Requests:
    """The requests of the sagas of one table."""

    def __init__(self, moves: "Moves") -> None:
        self._moves = moves

    def events(self, world: World, send: Send) -> Iterator[Edge]:
        """Yield everything that may become of a request that a process is about to send."""
        if send.unfit:
            event = Event("not built", send.step, send.purpose)
            yield Edge(event, world._replace(process=None), Broken("can be sent", send.unfit))
            return
        broken = None
        if send.purpose == "do" and world.row is not None and world.row.goes_back:
            broken = Broken("nothing forward", f"{send.step} is sent, and the parent has asked the saga to compensate")
        elif send.purpose == "do" and world.went_back:
            broken = Broken("nothing forward", f"{send.step} is sent, and the saga goes back")
        elif world.process is not None and world.process.overdue:
            broken = Broken("in time", f"{send.step} is sent, and the deadline was over before")
        elif send.purpose == "do" and not self._moves.decisions.truth(send.step, world.facts):
            broken = Broken("as its condition says", f"{send.step} is sent, and its condition does not hold")
        broken = broken or self._moves.sending.of(world, send) or self._moves.attempting.of_send(world, send)
        if send.purpose == "undo" and any(
            each.trigger == Trigger.SKIP and each.step == send.step for each in world.facts
        ):
            broken = Broken("as its condition says", f"{send.step} is undone, and it was skipped")
        for edge in self._fates(world, send):
            yield edge._replace(broken=broken or edge.broken)
        yield Edge(Event("dies before its call", send.step, send.purpose), world._replace(process=None))

    def _fates(self, world: World, send: Send) -> Iterator[Edge]:
        """Yield everything that may become of a request."""
        for after, truth in self._answered(world, send):
            for truthful in (truth, Truth.UNKNOWN):
                for name, outcome in send.replies[truthful]:
                    yield self._reply(after, send, (truthful, name, outcome), truth)
        for name, outcome in send.replies[Truth.UNTOUCHED]:
            yield self._reply(world, send, (Truth.UNTOUCHED, name, outcome), Truth.UNTOUCHED)
        if send.purpose == "undo":  # when it arrives late, it does what its next attempt does
            for name, outcome in send.replies[Truth.UNKNOWN]:
                yield self._reply(world, send, (Truth.UNKNOWN, name, outcome), Truth.UNTOUCHED)
        acts = send.purpose in ("do", "again")
        if acts or send.acts_next:
            sent = self._moves.network.without_flight(world._replace(flight=world.flight | {(send.step, send.key)}))
            for name, outcome in send.replies[Truth.UNKNOWN] if acts else ():
                if name == "no answer":
                    yield self._reply(sent, send, (Truth.UNKNOWN, name, outcome), Truth.UNTOUCHED)
            yield Edge(Event("dies after its call", send.step, send.purpose), sent._replace(process=None))

    def _reply(
        self, world: World, send: Send, reply: tuple[Truth, str, Outcome], done: Truth
    ) -> Edge:  # fmt: skip
        truth, name, outcome = reply
        waits = outcome is Outcome.NOT_SENT or name == ASKS_TO_WAIT
        event = Event(f"call:{send.purpose}", send.step, done, name)
        after = self._moves.learned(world, f"{truth}: {name}")
        assert world.process is not None
        broken = self._moves.attempting.of_reply(send, reply, world.process, after)
        if send.purpose == "poll" and outcome in DEFINITE:
            point = after.process and self._moves.turns.point(after.process)
            if isinstance(point, Save) and not point.moves:
                broken = Broken("no lost signal", f"the poll of {send.step} is answered, and the saga still waits")
        if (
            send.purpose == "again"
            and truth is done in (Truth.DONE, Truth.LEFT)
            and not name.endswith((WITHOUT_FIELDS, UNFIT))
        ):
            point = after.process and self._moves.turns.point(after.process)
            if not isinstance(point, Send):
                why = f"the undo of {send.step} cannot be sent, although its participant answers: {name}"
                broken = Broken("undo knows its id", why)
        return Edge(event, after, broken, forever=not waits or send.can_expire)

    def _answered(self, world: World, send: Send) -> Iterator[tuple[World, Truth]]:
        """Yield what the participant does with a request that arrives now, and what is then true."""
        step = self._moves.by_name[send.step]
        if send.purpose == "read":
            yield world, Truth.DONE
            yield world, Truth.REFUSED
            return
        number = self._moves.index[send.step]
        entry, kind = world.ledger[number], self._moves.kinds[send.step]
        if send.purpose in ("probe", "poll"):
            for truth in participants.found(entry):
                answer = {"accepted": Truth.ACCEPTED, "left": Truth.LEFT} if send.purpose == "poll" else {}
                yield world, answer.get(entry.seen, truth)
            return
        for after, truth in self._acts(step, kind, entry, send):
            yield self._moves.network.with_entry(world, number, after), truth

    def _acts(self, step: Step, kind: ParticipantKind, entry: Entry, send: Send) -> Iterator[tuple[Entry, Truth]]:
        if send.purpose == "undo":
            yield participants.undo(kind, entry)
            yield entry, Truth.REFUSED
            return
        yield from self._moves.network.acts(step, kind, entry, send.key)
