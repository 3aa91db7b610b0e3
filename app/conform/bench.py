"""Makes the sagas of the trials, looks at their effects, and undoes what was done."""

import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from typing import Any
from uuid import uuid4

from app.calls.client import HttpClient, Request
from app.conform.desk import Desk
from app.conform.effects import Change, change, counts
from app.conform.lines import Exchange, NotKeptError, NotTriedError, SetUpError
from app.conform.subject import Subject
from app.conform.trial import DONE, PAUSE_S, Trial
from machines.outcomes import Outcome
from machines.replies import outcome_of

#: The longest wait for a later answer, for a call in doubt, and for the participant after a crash, in seconds.
PATIENCE_S = 60.0
_LOOK_TIMEOUT_S = 10.0
#: Timeout of a request that only finds out if the participant answers, in seconds.
_ANSWER_S = 5.0
_NO_EVIDENCE = "equal replies do not show a second effect; give --look PATH, a GET that shows the effects"


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What is known of the effects of a saga."""

    #: What the look shows; None: there is no look.
    shown: Any
    #: True: the probe finds the call.
    found: bool


class Bench:
    """Makes sagas that call the participant, and remembers every exchange."""

    def __init__(
        self, subject: Subject, client: HttpClient, desk: Desk | None = None, patience_s: float = PATIENCE_S
    ) -> None:
        """desk: takes the later answers of a step with `later=callback(…)`. patience_s: see PATIENCE_S."""
        self.subject, self.client, self.desk, self.patience_s = subject, client, desk, patience_s
        self.exchanges: list[Exchange] = []
        #: The change that one action makes in what `look` shows; None: there is no look, or it shows nothing.
        self.one_effect: Change | None = None
        #: The change that an action and its undo leave together, such as a refund beside its debit.
        self.undone_effect: Change = []
        #: The change that an undo makes.
        self.undo_effect: Change = []
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

    @property
    def later_s(self) -> float:
        """The longest wait for a later answer, in seconds: the patience, but not longer than the table allows."""
        later = self.subject.step.later
        return self.patience_s if later is None else min(self.patience_s, later.for_s)

    def no_answer(self, what: str) -> NotKeptError | NotTriedError:
        """Return the error for an answer that did not come within `later_s`. what: what happened instead."""
        later = self.subject.step.later
        assert later is not None
        if self.later_s < later.for_s:
            limit = f"the table allows {later.for_s:g} s; give --patience {later.for_s:g}"
            return NotTriedError(f"{what} within {self.later_s:g} s, and {limit}")
        return NotKeptError(f"{what} within the {later.for_s:g} s of the table")

    def answers(self, within_s: float) -> bool:
        """Return True when the participant answers within this time. The request is no part of a trial."""
        name = self.subject.step.call.participant  # type: ignore[union-attr]
        url = self.subject.settings[name].url + (self.subject.look or "/")
        end = time.monotonic() + within_s
        while True:
            request = Request(participant=name, method="GET", url=url, headers={}, body=None, timeout_s=_ANSWER_S)
            if self.client.send(request).status is not None:
                return True
            if time.monotonic() > end:
                return False
            time.sleep(PAUSE_S)

    def expect_no_effect(self, saga: Trial, before: Seen, which: str) -> None:
        """Raise NotKeptError when a refused call has an effect, as the look or the probe says. before: see `see`."""
        now = self.see(saga)
        if now.shown != before.shown:
            raise NotKeptError(f"{which} is refused, but has an effect, as --look shows")
        if now.found and not before.found:
            raise NotKeptError(f"{which} is refused, but has an effect, as the probe says")

    def see(self, saga: Trial) -> Seen:
        """Return what the look shows, and if the probe finds the saga's call."""
        return Seen(shown=self.look(), found=self.finds(saga))

    def finds(self, saga: Trial) -> bool:
        """Return True when the probe finds the saga's call."""
        if self.subject.step.probe is not None:
            with suppress(NotTriedError):  # a probe that needs the reply of the call
                return saga.probe().outcome in DONE
        return False

    @property
    def sees(self) -> bool:
        """True when a look or a probe shows whether a call has had an effect."""
        return bool(self.subject.look) or self.subject.step.probe is not None

    def clean_up(self) -> None:
        """Undo what the sagas of this trial have done."""
        shown = len(self.exchanges)
        for saga in reversed(self._sagas):
            if not saga.undo_all():
                self.left.append(saga.id)
        self._sagas.clear()
        del self.exchanges[shown:]
