"""The closed set of outcomes of a call. `app.calls.outcome` decides which one a reply has, `progress` what follows."""

from enum import StrEnum


class Outcome(StrEnum):
    """What the reply to a call means."""

    SUCCEEDED = "succeeded"
    #: The participant did not do it, and says so.
    REFUSED = "refused"
    #: The participant refused, but left something behind, so the step is undone as well.
    REFUSED_UNDO = "refused_undo"
    #: The participant may have done it. Metrics, log lines and the API have always called it "unknown".
    IN_DOUBT = "unknown"
    #: The participant did not act on the call; no attempt is counted.
    NOT_SENT = "not_sent"

    @classmethod
    def _missing_(cls, value: object) -> "Outcome | None":
        return cls.IN_DOUBT if value == "in_doubt" else None


#: The words of `means=` and of `retry=` in a table.
SUCCEEDED, REFUSED, REFUSED_UNDO = Outcome.SUCCEEDED, Outcome.REFUSED, Outcome.REFUSED_UNDO
IN_DOUBT, NOT_SENT = Outcome.IN_DOUBT, Outcome.NOT_SENT
