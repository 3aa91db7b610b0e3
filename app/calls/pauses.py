"""Holds back the calls to participants that a person has paused. Such a call is not sent, and counts as no attempt."""

from collections.abc import Callable

from app.calls.client import Request, Sender
from machines.replies import Reply

#: Seconds until a saga tries again. When the pause ends, the sagas that wait become due at once.
WAIT_S = 30.0


def pause_reason(participant: str) -> str:
    """Return the reason of a call that a pause has held back."""
    return f"{participant} is paused"


class PausingSender:
    """Sends each request, unless its participant is paused. is_paused: returns True for a paused participant.

    A call that an operator sends now is held back, too: the pause is a person's decision.
    """

    def __init__(self, sender: Sender, is_paused: Callable[[str], bool]) -> None:
        self._sender, self._is_paused = sender, is_paused

    def send(self, request: Request) -> Reply:
        if self._is_paused(request.participant):
            return Reply(error=pause_reason(request.participant), sent=False, withheld=True, retry_after_s=WAIT_S)
        return self._sender.send(request)
