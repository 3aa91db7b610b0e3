"""The outcomes of a call. `machines.replies` finds the outcome of a reply, `machines.progress` acts on it."""

from enum import StrEnum


class Outcome(StrEnum):
    """What the reply to a call means."""

    SUCCEEDED = "succeeded"
    #: The participant replied that it did not do what the call asks for.
    REFUSED = "refused"
    #: The participant refused, but left something behind, so the step itself is undone, too.
    REFUSED_UNDO = "refused_undo"
    #: The participant answers later; only a step with `later=` has this outcome.
    ACCEPTED = "accepted"
    #: The participant may have done what the call asks for. The API, metrics and log lines call this "unknown".
    IN_DOUBT = "unknown"
    #: The participant did not act on the call; no attempt is counted.
    NOT_SENT = "not_sent"

    @classmethod
    def _missing_(cls, value: object) -> "Outcome | None":
        return cls.IN_DOUBT if value == "in_doubt" else None


#: Outcomes that answer a step. After every other outcome the step stays in doubt.
DEFINITE = (Outcome.SUCCEEDED, Outcome.REFUSED, Outcome.REFUSED_UNDO)
#: The words of `means=` and of `retry=` in a table.
SUCCEEDED, REFUSED, REFUSED_UNDO = Outcome.SUCCEEDED, Outcome.REFUSED, Outcome.REFUSED_UNDO
IN_DOUBT, NOT_SENT, ACCEPTED = Outcome.IN_DOUBT, Outcome.NOT_SENT, Outcome.ACCEPTED
