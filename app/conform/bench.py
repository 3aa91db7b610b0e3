"""Makes the sagas of the trials, looks at their effects, and undoes what was done."""

from collections.abc import Mapping
from itertools import count
from typing import Any
from uuid import uuid4

from app.calls.client import HttpClient, Request
from app.conform.desk import Desk
from app.conform.effects import Change, change, counts
from app.conform.lines import Exchange, SetUpError
from app.conform.subject import Subject
from app.conform.trial import PATIENCE_S, Trial
from machines.outcomes import Outcome
from machines.replies import outcome_of

_LOOK_TIMEOUT_S = 10.0
_NO_EVIDENCE = "equal replies do not show a second effect; give --look PATH, a GET that shows the effects"


class Bench:
    """Makes sagas that call the participant, and remembers every exchange."""

    def __init__(
        self, subject: Subject, client: HttpClient, desk: Desk | None = None, patience_s: float = PATIENCE_S
    ) -> None:
        """desk: takes the later answers of a step with `later=callback(…)`. patience_s: longest wait for one."""
        self.subject, self.client, self.desk, self.patience_s = subject, client, desk, patience_s
        self.exchanges: list[Exchange] = []
        #: The change that one action makes in what `look` shows; None: there is no look, or it shows nothing.
        self.one_effect: Change | None = None
        #: True when the replies to two keys differ, so that the replies show a second effect.
        self.replies_differ = False
        #: The sagas of which something may be left at the participant.
        self.left: list[str] = []
        #: Why a second effect would not be seen, when neither a look nor the replies show it.
        self.no_evidence = _NO_EVIDENCE
        #: How long one call takes, and how long a later answer takes, in seconds.
        self.usual_s = self.answer_s = 0.0
        self._sagas: list[Trial] = []
        self._numbers, self._run = count(1), uuid4().hex[:6]

    def saga(self, data: Mapping[str, Any] | None = None) -> Trial:
        """Return a new saga after its earlier steps. data: the saga's data; default: those of the subject."""
        saga = Trial(self, self.subject.data if data is None else data, f"{self._run}-{next(self._numbers)}")
        self._sagas.append(saga)
        saga.prepare()
        return saga

    def look(self) -> Any:
        """Return what the participant shows of its effects; None without a look."""
        if not self.subject.look:
            return None
        for saga in self._sagas:
            saga.settle()
        name = self.subject.step.call.participant  # type: ignore[union-attr]
        url = self.subject.settings[name].url + self.subject.look
        request = Request(participant=name, method="GET", url=url, headers={}, body=None, timeout_s=_LOOK_TIMEOUT_S)
        reply = self.client.send(request)
        self.exchanges.append(Exchange(what="look", request=request, reply=reply, outcome=outcome_of(reply)))
        if outcome_of(reply) is not Outcome.SUCCEEDED:
            raise SetUpError(f"--look {self.subject.look} shows nothing: {reply.reason}")
        return reply.body

    def stop_looking(self, why: str) -> None:
        """Try the other lines without the look. why: the look cannot show the effects of the call."""
        self.subject.look, self.no_evidence = "", why

    def seen_change(self, before: Any) -> Change:
        """Return how the look has changed since `before`."""
        return change(counts(before), counts(self.look()))

    def clean_up(self) -> None:
        """Undo what the sagas of this trial have done."""
        shown = len(self.exchanges)
        for saga in reversed(self._sagas):
            if not saga.undo_all():
                self.left.append(saga.id)
        self._sagas.clear()
        del self.exchanges[shown:]
