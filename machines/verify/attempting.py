"""How often a call is sent: as often as its table allows, and not given up before.

The search counts the attempts again, move by move, so an engine that counts wrongly is found.
"""

from typing import TYPE_CHECKING

from machines.outcomes import Outcome
from machines.transitions import Trigger
from machines.verify.meanings import Truth
from machines.verify.process import Send
from machines.verify.properties import Broken
from machines.verify.replying import FINAL
from machines.verify.world import Process, Save, World, with_sources

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
        truth, name, outcome = reply
        if send.left <= 0 or name == FINAL or after.process is None:
            return None
        point = self._moves.turns.point(after.process)
        is_first = not any(isinstance(each, str) and each != "written" for each in before.log)
        if send.purpose == "probe" and send.acts_next and is_first and outcome is not Outcome.SUCCEEDED:
            sent = isinstance(point, Send) and point.purpose == "do"
            why = f"the probe of {send.step} does not find it, and {send.step} is not sent again"
            return None if sent else Broken(_PROPERTY, why)
        unknown = outcome is Outcome.IN_DOUBT or (send.purpose == "again" and truth is Truth.BUSY)
        if not unknown or send.purpose in ("probe", "poll") or not isinstance(point, Save):
            return None
        gives_up = any(fact.trigger in _GIVES_UP and fact.step == send.step for fact in point.moves)
        return Broken(_PROPERTY, f"{send.step} is given up before its last attempt") if gives_up else None

    def of_commit(self, world: World, save: Save) -> Broken | None:
        """Return a broken property when a commit stores another number of attempts than there were."""
        at = self._moves.definition.states[save.row.state]
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

    def _unstored(self, world: World) -> Broken | None:
        """Return a broken property when the saga has waited for its next attempt without a commit."""
        moves = world.process.memory.moves if world.process is not None else ()
        fact = next((fact for fact in moves if fact.trigger in _WAITS), None)
        if fact is None:
            return None
        return Broken(_PROPERTY, f"an attempt of {fact.step} has failed, and a crash during the wait forgets it")
