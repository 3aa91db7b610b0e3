"""Answers the requests of a saga in memory: as the test says, else with a success."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from machines.call import Call
from machines.outcomes import Outcome
from machines.replies import Reply, outcome_of
from machines.running import RunningSaga
from machines.saga import Saga
from machines.step import Step
from machines.testing.answers import Always, Answer, ProcessDiedError, accepted, ok
from machines.testing.memory import Clock, Request
from machines.testing.participants import Participants
from machines.testing.sent import Sent
from machines.testing.successes import acceptance, headers

#: Most requests of one run. A saga that needs more does not come to rest.
_MOST_REQUESTS = 2_000
_REFUSALS = (Outcome.REFUSED, Outcome.REFUSED_UNDO)


class Answering:
    """The participants of one saga, with the answers of the test."""

    def __init__(
        self, definition: Saga, script: Mapping[tuple[str, str], Sequence[Answer | Always]], bodies: Mapping[str, Any],
        clock: Clock,
    ) -> None:  # fmt: skip
        self._definition, self._clock = definition, clock
        #: Every request that left the process, in order.
        self.calls: list[Sent] = []
        #: (purpose, step) of every request that was answered, whether it left the process or not.
        self.requests: list[tuple[str, str]] = []
        #: True: the saga rests after the last answer.
        self.rests = False
        self.participants = Participants(definition=definition, bodies=dict(bodies))
        self._script: dict[tuple[str, str], Iterator[Answer]] = {
            call: _endless(answers) for call, answers in script.items()
        }

    def __call__(self, saga: RunningSaga, request: Request) -> Reply:
        """Return the reply to a request. Raise ProcessDiedError when its process dies."""
        self.requests.append((request.purpose, request.step))
        if len(self.requests) > _MOST_REQUESTS:
            raise AssertionError(f"{self._definition} does not come to rest: it calls {request.step} for ever")
        step = saga.current.step
        assert step is not None
        answer = next(self._script.get((request.purpose, request.step), iter(())), ok)
        self._clock.time += answer.takes_s
        self.rests = answer.rests
        if answer.sent and not (answer.dies and not answer.acts):
            self.calls.append(Sent(request, answer.name))
        status, body = self._reply(step, request.purpose, answer)
        if answer.dies:
            raise ProcessDiedError
        if answer.status is None:
            return Reply(error=answer.error, sent=answer.sent, retry_after_s=answer.retry_after_s)
        if answer.acts and answer.status != ok.status:
            status = answer.status
        call = step.poll if request.purpose == "poll" else step.call
        reply_headers = headers_of(step, answer, call)
        return Reply(status=status, body=body, headers=reply_headers, retry_after_s=answer.retry_after_s)

    def act(self, step: Step, answer: Answer) -> tuple[int, Any]:
        """Let the participant do the step or not, as the answer says. Return status and body of its reply."""
        if answer.acts:
            return self.participants.do(step, answer.body)
        status, body = answer.status or 0, {} if answer.body is None else answer.body
        if answer.status is None or outcome_of(Reply(status=status, body=body), call=step.call) not in _REFUSALS:
            if answer.status == accepted.status and answer.body is None:
                body = acceptance(step)
            return status, body  # only a refusal is remembered
        return self.participants.refuse(step, status, answer.body)

    def _reply(self, step: Step, purpose: str, answer: Answer) -> tuple[int, Any]:
        """Return status and body of the reply to a request, after its participant has done what the answer says."""
        match purpose:
            case "do":
                return self.act(step, answer)
            case "poll" if answer.acts:
                return self.participants.finish(step, answer.body)
            case "poll":
                return self.act(step, answer)
            case "undo" if answer.acts:
                return self.participants.undo(step)
        status, body = self.participants.probe(step) if purpose == "probe" else (0, {})
        return (status, body) if answer is ok else (answer.status or 0, answer.body)


def headers_of(step: Step, answer: Answer, call: Call | None) -> Mapping[bytes, bytes]:
    """Return the headers of the reply to a call of a step."""
    given = {name.lower().encode(): value.encode() for name, value in answer.headers.items()}
    brings = answer.acts or (answer.status == accepted.status and step.asks is not None)
    return headers(step, call) | given if brings else given


def _endless(answers: Sequence[Answer | Always]) -> Iterator[Answer]:
    for answer in answers:
        if isinstance(answer, Always):
            while True:
                yield answer.answer
        yield answer
