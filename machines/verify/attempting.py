"""How often a call is sent: as often as its table allows, and not given up before.

The search counts the attempts again, move by move, so an engine that counts wrongly is found.
"""

from collections.abc import Collection
from typing import TYPE_CHECKING

from machines.outcomes import Outcome
from machines.transitions import Trigger
from machines.verify.machinery import MAX_CLAIMS
from machines.verify.meanings import Truth
from machines.verify.process import Send
from machines.verify.properties import Broken
from machines.verify.replying import ASKS_TO_WAIT, FINAL, NO_CONNECTION
from machines.verify.world import Process, Save, World, with_sources
from machines.waiting import Waiting

if TYPE_CHECKING:
    from machines.verify.moves import Moves

_PROPERTY = "as often"
#: Moves after which the saga waits before it sends the same call again.
_WAITS = (Trigger.RETRY, Trigger.DEFER)
_GIVES_UP = (Trigger.EXHAUSTED, Trigger.REFUSED, Trigger.REFUSED_IN_DOUBT)


class Attempting:
    """The check of the attempts of one table."""

    def __init__(self, moves: "Moves") -> None:
        self._moves = moves

    def of_send(self, world: World, send: Send) -> Broken | None:
        """Return a broken property when a process sends a call too often."""
        if send.purpose in ("do", "undo", "read") and send.left < 0:
            return Broken(_PROPERTY, f"{send.step} is sent once more after its last attempt")
        return self._unstored(world)

    def of_reply(self, send: Send, reply: tuple[Truth, str, Outcome], before: Process, after: World) -> Broken | None:
        """Return a broken property when the saga gives a call up before its last attempt.

        reply: what it says, its name and its outcome. before: the process that gets it. after: the state in which it
        knows the reply.
        """
        _, name, outcome = reply
        point = self._moves.turns.point(after.process) if after.process is not None else None
        if after.process is None or isinstance(point, Broken):
            return None
        moves = point.moves if isinstance(point, Save) else after.process.memory.moves
        triggers = frozenset(fact.trigger for fact in moves if fact.step in ("", send.step))
        is_first = not any(isinstance(each, str) and each != "written" for each in before.log)
        why = ""
        if outcome is Outcome.REFUSED and not before.memory.in_doubt and send.purpose in ("do", "poll"):
            why = _doubts(send, triggers)
        elif send.purpose == "probe" and send.acts_next and is_first:
            sent = isinstance(point, Send) and point.purpose == "do"
            if not (sent or outcome is Outcome.SUCCEEDED or name == FINAL):
                why = f"the probe of {send.step} does not find it, and {send.step} is not sent again"
        elif not after.late and _waits(send, name, outcome, is_first=is_first):
            if Trigger.DEFER not in triggers:
                why = f"{send.step} is not sent again, although its {send.purpose} has got: {name}"
        elif _may_be_sent_again(send, reply, is_first=is_first) and not triggers.isdisjoint(_GIVES_UP):
            why = f"{send.step} is given up before its last attempt"
        return Broken(_PROPERTY, why) if why else None

    def of_commit(self, world: World, save: Save) -> Broken | None:
        """Return a broken property when a commit stores another number of attempts than there were."""
        at = self._moves.definition.states[save.row.state]
        if broken := self._quarantined(world, save):
            return broken
        count, again = world.row.attempt if world.row is not None else 0, False
        for source, fact in with_sources(world, save):
            again = fact.dest == source
            count = count + (fact.trigger == Trigger.RETRY) if again else 0
        # After a reply that another attempt would get, too, only the probe may still be sent.
        final = again and save.row.attempt == at.retry.attempts
        if save.row.attempt != count and not final:
            return Broken(
                _PROPERTY, f"{count} attempts of {at.name} have failed, and the saga counts {save.row.attempt}"
            )
        if count and count >= at.retry.attempts + (at.probe is not None):
            return Broken(_PROPERTY, f"the last attempt of {at.name} has failed, and the saga makes one more")
        return self._unstored(world)

    def _quarantined(self, world: World, save: Save) -> Broken | None:
        """Return a broken property when a commit gives a saga up of which too few processes have died."""
        for source, fact in with_sources(world, save):
            if fact.trigger != Trigger.QUARANTINE or world.row is None or world.row.claims > MAX_CLAIMS:
                continue
            waits = self._moves.definition.states[source].waits
            if not (isinstance(waits, Waiting) and waits.until is not None):  # its moment may not be known
                why = f"{fact.step} is given up after {world.row.claims} claims, and {MAX_CLAIMS} are allowed"
                return Broken(_PROPERTY, why)
        return None

    def _unstored(self, world: World) -> Broken | None:
        """Return a broken property when the saga has waited for its next attempt without a commit."""
        moves = world.process.memory.moves if world.process is not None else ()
        fact = next((fact for fact in moves if fact.trigger in _WAITS), None)
        if fact is None:
            return None
        return Broken(_PROPERTY, f"an attempt of {fact.step} has failed, and a crash during the wait forgets it")


def _doubts(send: Send, triggers: Collection[str]) -> str:
    """Return how a saga doubts a refusal before which no attempt may have worked; "" when it believes it."""
    if Trigger.REFUSED_IN_DOUBT in triggers:
        return f"{send.step} is refused at once, and the saga is stuck as if it may have worked"
    return f"{send.step} is refused at once, and is undone" if Trigger.COMPENSATE_INCLUDING in triggers else ""


def _waits(send: Send, name: str, outcome: Outcome, *, is_first: bool) -> bool:
    """Return True for a reply after which the same call is sent later, and no attempt is counted."""
    if send.purpose == "poll":
        return False
    if outcome is Outcome.NOT_SENT:  # a call without a connection counts when its probe before has failed
        return send.purpose != "do" or is_first or name != NO_CONNECTION
    return outcome is Outcome.IN_DOUBT and name == ASKS_TO_WAIT


def _may_be_sent_again(send: Send, reply: tuple[Truth, str, Outcome], *, is_first: bool) -> bool:
    """Return True for a reply after which the table allows a further attempt. reply: see `Attempting.of_reply`."""
    truth, name, outcome = reply
    if name == FINAL or send.purpose == "poll":
        return False
    if send.purpose == "probe":  # after a refusal; after the last attempt, only the probe is sent again
        return not is_first and outcome is Outcome.IN_DOUBT and send.acts_next
    return send.left > 0 and (outcome is Outcome.IN_DOUBT or (send.purpose == "again" and truth is Truth.BUSY))
