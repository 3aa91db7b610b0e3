"""Answers the requests of a saga in memory: as the test says, else with a success."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from machines.call import Call
from machines.outcomes import Outcome
from machines.replies import Reply, outcome_of
from machines.running import RunningSaga
from machines.saga import Saga
from machines.step import Step
from machines.testing.answers import Answer, ProcessDiedError, Queue, accepted, ok
from machines.testing.memory import Clock, Request
from machines.testing.participants import Participants
from machines.testing.sent import Logged
from machines.testing.successes import acceptance, headers

#: Most requests of one run. A saga that needs more does not come to rest.
_MOST_REQUESTS = 20_000
#: After this many equal answers of `always` the participant asks to wait until the deadline, so that a long deadline
#: costs no more requests.
_MOST_REPEATED = 200
_REFUSALS = (Outcome.REFUSED, Outcome.REFUSED_UNDO)


@dataclass(kw_only=True)
class Log:
    """What the sagas of one tree have sent."""

    clock: Clock
    #: Every request that left its process, in order, with the id of its saga.
    calls: list[tuple[UUID, Logged]] = field(default_factory=list)
    #: (purpose, label) of every request that was answered, whether it left the process or not, with the id of its saga.
    requests: list[tuple[UUID, tuple[str, str]]] = field(default_factory=list)
    #: True: the sagas rest after the last answer.
    rests: bool = False


class Answering:
    """The participants of one saga, with the answers of the test."""

    def __init__(
        self, definition: Saga, bodies: Mapping[str, Any], log: Log, label: Callable[[str], str],
        script: Callable[[str, str], Queue],
    ) -> None:  # fmt: skip
        """label: returns the name of a step in the tree. script: returns the answers to a purpose and step."""
        self._definition, self._log, self._label, self._script = definition, log, label, script
        self.participants = Participants(definition=definition, bodies=dict(bodies))
        #: Step → how many of its calls were lost on their way, and may arrive late.
        self.on_way: Counter[str] = Counter()

    def __call__(self, saga: RunningSaga, request: Request) -> Reply:
        """Return the reply to a request. Raise ProcessDiedError when its process dies."""
        log, label = self._log, self._label(request.step)
        log.requests.append((saga.id, (request.purpose, label)))
        if len(log.requests) > _MOST_REQUESTS:
            raise AssertionError(
                f"{self._definition} does not come to rest: no deadline ends its calls of {label}; "
                "let another answer come at last, as in [down] * 3"
            )
        step = saga.current.step
        assert step is not None
        left = self._script(request.purpose, request.step)
        answer = left.next()
        if left.repeated > _MOST_REPEATED:
            answer = replace(answer, retry_after_s=self._definition.deadline_s)
        log.clock.time += answer.takes_s
        log.rests = answer.rests
        if answer.sent and not (answer.dies and not answer.acts):
            log.calls.append((saga.id, Logged(request=request, answer=answer.name, label=label)))
        if request.purpose == "do" and answer.sent and answer.status is None and not answer.acts:
            self.on_way[request.step] += 1
        status, body = self.reply(step, request.purpose, answer)
        if answer.dies:
            raise ProcessDiedError
        if answer.status is None:
            return Reply(error=answer.error, sent=answer.sent, retry_after_s=answer.retry_after_s)
        call = step.poll if request.purpose == "poll" else step.call
        reply_headers = headers_of(step, answer, call)
        return Reply(status=status, body=body, headers=reply_headers, retry_after_s=answer.retry_after_s)

    def reply(self, step: Step, purpose: str, answer: Answer) -> tuple[int, Any]:
        """Return status and body of the reply to a request, after its participant has done what the answer says."""
        status, body = self._made(step, purpose, answer)
        if answer.acts and answer.status not in (None, ok.status):
            status = answer.status
        return status, body

    def _act(self, step: Step, answer: Answer) -> tuple[int, Any]:
        """Let the participant do the step or not, as the answer says. Return status and body of its reply."""
        if answer.acts:
            return self.participants.do(step, answer.body)
        status, body = answer.status or 0, {} if answer.body is None else answer.body
        if answer.status is None or outcome_of(Reply(status=status, body=body), call=step.call) not in _REFUSALS:
            if answer.status == accepted.status and answer.body is None:
                body = acceptance(step)
            return status, body  # only a refusal is remembered
        return self.participants.refuse(step, status, answer.body)

    def _made(self, step: Step, purpose: str, answer: Answer) -> tuple[int, Any]:
        """Return what the participant replies to a request when it does what the answer says."""
        match purpose:
            case "do":
                return self._act(step, answer)
            case "poll" if answer.acts:
                return self.participants.finish(step, answer.body)
            case "poll":
                return self._act(step, answer)
            case "undo" if answer.acts:
                return self.participants.undo(step, answer.body)
            case "probe" if answer.acts and answer.body is None:
                return self.participants.probe(step)
        return answer.status or 0, answer.body


def headers_of(step: Step, answer: Answer, call: Call | None) -> Mapping[bytes, bytes]:
    """Return the headers of the reply to a call of a step: those of the answer, else those that the table keeps."""
    given = {name.lower().encode(): value.encode() for name, value in answer.headers.items()}
    brings = answer.acts or (answer.status == accepted.status and step.asks is not None)
    return given if given or not brings else headers(step, call)
