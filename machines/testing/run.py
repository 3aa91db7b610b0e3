"""One run of a saga in memory: what a test lets happen to it."""

import datetime as dt
from collections import deque
from collections.abc import Mapping
from typing import Any

from machines.attempts import later_answer
from machines.by_hand import with_known
from machines.later import arrival_name
from machines.loop import IncompleteReplyError
from machines.progress import trigger_of
from machines.replies import Reply
from machines.signals import can_still_wait, step_waiting_for
from machines.statuses import Status
from machines.testing.answering import headers_of
from machines.testing.answers import Answer, ok, shown
from machines.testing.family import Family
from machines.testing.member import Member
from machines.testing.memory import Arrived
from machines.testing.shown import Shown
from machines.testing.signals import NotAllowedError, signal_body

#: The last runs of this test, for the report of a failure; the pytest plug-in empties it before each test.
RECENT: deque["Run"] = deque(maxlen=3)
#: Statuses in which a saga can be cancelled, when its table allows it.
_CANCELLED = (Status.RUNNING, Status.WAITING)


class Run(Shown):
    """A saga with its participants, its clock and its stored journal."""

    def __init__(self, family: Family, member: Member) -> None:
        super().__init__(family, member)
        if member.parent is None:
            RECENT.append(self)

    def start(self) -> "Run":
        """Start the saga. `Scenario.run` has done this."""
        self._family.start(self._member)
        return self

    def after(self, *, days: float = 0, hours: float = 0, minutes: float = 0, seconds: float = 0) -> "Run":
        """Let time pass, and let the saga do what becomes due in it."""
        times = {"days": days, "hours": hours, "minutes": minutes, "seconds": seconds}
        if wrong := next(
            (name for name, each in times.items() if not (isinstance(each, int | float) and each >= 0)), None
        ):
            raise ValueError(f"after({wrong}={times[wrong]!r}): write a number from 0 on; time does not go back")
        if not self._family.root.answers.allows_unused and self._family.is_over:
            raise NotAllowedError(f"the saga has ended in {self.state}, where time changes nothing")
        target = self.seconds + dt.timedelta(**times).total_seconds()
        self._family.log.rests = False
        self._family.settle(target)
        self._family.log.clock.time = max(self.seconds, target)
        return self

    def signal(self, name: str, /, **body: Any) -> "Run":
        """Send a signal. Raise NotAllowedError when the API would refuse it."""
        step = step_waiting_for(self.definition, name)
        if step is None or step.waits is None:
            waiting = [
                each for each in self._family.tree(self._member) if step_waiting_for(each.memory.definition, name)
            ]
            hint = f"; its child waits for it: run.child({waiting[0].name!r}, …).signal({name!r})" if waiting else ""
            raise NotAllowedError(f"{self.definition} waits for no signal {name}{hint}")
        if self._memory.row and not can_still_wait(self.definition, self.state, step):
            raise NotAllowedError(f"the saga is in {self.state} and does not wait for the signal {name} any more")
        self._arrive(name, signal_body(step, body), "test")
        return self

    def answer(self, step: str, answer: Answer = ok) -> "Run":
        """Let the participant of an accepted call answer: `ok`, `refused(…)` or any `replies(…)`."""
        found = next((each for each in self.definition.steps if each.name == step and each.later), None)
        if found is None or found.call is None:
            raise NotAllowedError(f"{self.definition} has no step {step} that is answered later")
        if found.asks is not None:
            raise NotAllowedError(f"the saga asks for the answer to {step}: write when_polled({step}=…)")
        if not can_still_wait(self.definition, self.state, found):
            raise NotAllowedError(f"the saga is in {self.state} and takes no answer to {step} any more")
        if ("do", self.label(step)) not in self.requests:
            raise NotAllowedError(f"the saga is in {self.state}, and {step} has not been called yet")
        if not isinstance(answer, Answer):
            raise TypeError(f"the answer to {step} is {shown(answer)}; write one answer, such as ok or refused(…)")
        status, body = self._answering.reply(found, "do", answer)
        reply = Reply(status=status, body=body, headers=headers_of(found, answer, found.call))
        stored, lacking = later_answer(self.definition, found, reply)
        if lacking:
            raise NotAllowedError(f"the answer lacks what the table keeps: {', '.join(sorted(lacking))}")
        if stored is not None:
            self._arrive(arrival_name(step), stored, f"participant:{found.call.participant}")
        return self

    def arrives(self, step: str) -> "Run":
        """Let the call of a step that was lost on its way (`unheard`, `died_before`) arrive late, after everything."""
        found = next((each for each in self.definition.steps if each.name == step and each.call), None)
        if found is None:
            raise NotAllowedError(f"{self.definition} has no step {step} with a call")
        if not self._answering.on_way[step]:
            raise NotAllowedError(f"no call of {step} is on its way; one gets lost by unheard or died_before")
        self._answering.on_way[step] -= 1
        self.participants.do(found)
        return self

    def retry(self, reason: str = "test") -> "Run":
        """Let an operator retry a stuck saga. Raise NotAllowedError when the table has no such move."""
        return self._operate("retry", reason)

    def cancel(self, reason: str = "test") -> "Run":
        """Let an operator cancel the saga while it runs or waits. Raise NotAllowedError when nobody can."""
        if self.status not in _CANCELLED or "compensate" not in self.allowed():
            raise NotAllowedError(f"the saga is {self.status} in {self.state}, where nobody can cancel it")
        return self._operate("compensate", reason)

    def compensate(self, reason: str = "test") -> "Run":
        """Let an operator cancel or compensate the saga. Raise NotAllowedError when the table has no such move."""
        return self._operate("compensate", reason)

    def resolve(self, reason: str = "test", **reply: Any) -> "Run":
        """Let an operator continue a stuck saga whose step was done by hand. reply: what later calls need of it."""
        return self._operate("resolve", reason, reply)

    def _operate(self, name: str, reason: str, reply: Mapping[str, Any] | None = None) -> "Run":
        saga = self._memory.load()
        trigger = trigger_of(name, self.definition, saga.state)
        if trigger is None:
            allowed = ", ".join(self.allowed()) or "nothing"
            raise NotAllowedError(f"the saga is in {saga.state}, where an operator cannot {name}; allowed: {allowed}")
        if why_not := self._family.families.why_not(saga, trigger):
            raise NotAllowedError(why_not)
        loop = self._family.loop
        reply = with_known(reply or {}, self._family.families.known_results(saga, saga.id))
        try:
            loop.request_move(saga, trigger, "operator", reason, reply)
        except IncompleteReplyError as error:
            raise NotAllowedError(f"{saga.state}: later calls need more of the reply: {error}") from None
        loop.commit(saga)
        self._family.go_on(self._member, saga)
        return self

    def _arrive(self, name: str, body: Mapping[str, Any], sender: str) -> None:
        if name in self._memory.arrivals:
            raise NotAllowedError(f"{name} has arrived before; the first one counts")
        self._memory.arrivals[name] = Arrived(body=body, sender=sender)
        row = self._memory.row
        if row is not None:
            row.arrived += 1
            if row.status == Status.WAITING:
                self._family.go_on(self._member, self._memory.claim())
