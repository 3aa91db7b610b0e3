"""What the search keeps of a journal: the facts that something reads later.

When a call has succeeded, its earlier attempts are history. When an undo has succeeded, those of its action are. Of all
moves that leave a call in doubt, one is kept. Which moves do, `machines.history` decides.
"""

from machines.history import any_in_doubt, outcome_of_move, replies
from machines.outcomes import Outcome
from machines.step import EFFECTFUL, Kind
from machines.transitions import DONE, Direction, Trigger
from machines.verify.machinery import Machinery
from machines.verify.world import Fact

_DOUBTS = (Trigger.RETRY, Trigger.EXHAUSTED, Trigger.REFUSED_IN_DOUBT, Trigger.QUARANTINE)


class Journals:
    """The journals of the sagas of one table."""

    def __init__(self, machinery: Machinery) -> None:
        self._machinery = machinery
        self._effectful = {step.name: step for step in machinery.definition.steps if step.kind in EFFECTFUL}
        self._starts_others = {step.name for step in machinery.definition.steps if step.starts is not None}
        self._known: dict[tuple[frozenset[Fact], tuple[Fact, ...]], frozenset[Fact]] = {}
        #: Trigger of the fact that stands for all moves which leave a call in doubt.
        self._doubt = next((each for each in _DOUBTS if self._doubts(Fact(each, step="any"))), Trigger.RETRY)

    def after(self, facts: frozenset[Fact], moves: tuple[Fact, ...]) -> frozenset[Fact]:
        """Return the facts after a commit of these moves."""
        known = (facts, moves)
        if known not in self._known:
            for move in moves:
                facts = self._after(facts, move)
            self._known[known] = facts
        return self._known[known]

    def _after(self, facts: frozenset[Fact], move: Fact) -> frozenset[Fact]:
        acts = move.direction == Direction.DO
        if not move.step or (move.trigger == Trigger.SKIP and not acts):
            return facts
        kept = Fact(
            move.trigger, "", move.step, move.direction, move.status_code, move.body, move.doubted, move.not_found
        )
        if move.trigger in DONE:
            by_hand = move.by_hand and move.step in self._starts_others  # then the children need not be completed
            kept = self._as_reply(kept._replace(doubted=False, by_hand=by_hand))
            return frozenset(each for each in facts if not _is_history(each, kept)) | {kept}
        if move.trigger in (Trigger.SKIP, Trigger.ACCEPTED) or move.branch:
            return facts | {kept._replace(branch=move.branch)}
        if move.step not in self._effectful:
            return facts
        of_call = {each for each in facts if (each.step, each.direction) == (kept.step, kept.direction)}
        failed = {each for each in of_call if each.trigger not in (*DONE, Trigger.ACCEPTED)}
        if self._doubts(kept):
            return (facts - failed) | {Fact(self._doubt, "", kept.step, kept.direction)}
        refused = outcome_of_move(move.trigger, move.status_code) is Outcome.REFUSED
        step = self._effectful[move.step]
        read = not acts or step.later is not None or step.kind is Kind.RETRIABLE
        return facts | {kept} if refused and read and not failed else facts

    def _as_reply(self, done: Fact) -> Fact:
        """Return a step that is done by hand as one that its participant has done, where the journal is read alike."""
        other = done._replace(trigger=Trigger.SUCCEEDED)
        one, two = (replies(self._machinery.journal(frozenset({each}))) for each in (done, other))  # type: ignore[arg-type]
        return other if one == two else done

    def _doubts(self, fact: Fact) -> bool:
        return any_in_doubt(self._machinery.journal(frozenset({fact})))


def _is_history(earlier: Fact, done: Fact) -> bool:
    """Return True for a fact that nothing reads after a call has succeeded."""
    if earlier.step != done.step:
        return False
    return earlier.direction == done.direction or (done.direction == Direction.UNDO and earlier.trigger not in DONE)
