"""The three kinds of participant of docs/participants.md, and the kind that a table expects of each step."""

from enum import StrEnum

from machines.step import Step


class ParticipantKind(StrEnum):
    """What a participant keeps about its calls."""

    #: The same key gets the same answer; an undo before its action is accepted, and the late action is refused.
    BARRIER = "barrier"
    #: The same key gets the same answer.
    KEY = "key"
    #: Nothing.
    NONE = "none"


def kind_of(step: Step) -> ParticipantKind:
    """Return the kind of participant that the table expects."""
    if step.retry.attempts == 1:
        return ParticipantKind.NONE
    assert step.call is not None
    by_id = step.repeatable or step.undo_needs_reply or step.call.method == "PUT"
    return ParticipantKind.KEY if by_id else ParticipantKind.BARRIER
