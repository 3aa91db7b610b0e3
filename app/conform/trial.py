"""One saga of a trial: sends the calls of its step, takes the later answers, and undoes what was done."""

import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from app.calls.client import Request, Sender
from app.conform.desk import Answer, Desk, reply_of
from app.conform.lines import Exchange, NotKeptError, NotTriedError, SetUpError
from machines.attempts import filled, understood
from machines.call import Call
from machines.outcomes import Outcome
from machines.references import FillError
from machines.running import RunningSaga
from machines.step import Step
from machines.transitions import Direction

if TYPE_CHECKING:
    from app.conform.bench import Bench

DONE = frozenset({Outcome.SUCCEEDED, Outcome.ACCEPTED})
#: Seconds between two attempts of a call in doubt.
PAUSE_S = 0.2
#: Where a participant could answer a step whose answers are not tried. Nothing listens there.
_REPLY_TO = "http://127.0.0.1:9/saga-conform"
_OWN_HEADERS = {"Saga-Epoch": "1"}
#: Replaced in the data by a text that is different for each saga.
_DIFFERENT = "${n}"
_AS_TABLE: Any = object()


class Trial:
    """One saga whose step is tried."""

    def __init__(self, bench: "Bench", data: Mapping[str, Any], number: str) -> None:
        self.id, self._number = str(uuid4()), number
        self.data: Mapping[str, Any] = _different(data, number)
        self.results: dict[str, Any] = {}
        self._bench, self._subject = bench, bench.subject
        self._prepared: list[Step] = []
        self._done: list[Any] = []  # each different reply to the step: more than one shows more than one effect
        self._in_doubt = False
        #: True: the call was accepted for later, and the participant may be at work.
        self._accepted = False
        #: Number of later answers that were shown.
        self._shown = 0

    def prepare(self) -> None:
        """Make the calls of the earlier steps whose replies are needed. Raise SetUpError when one is not done."""
        for step in self._subject.earlier_steps():
            if step.name in self._subject.replies:
                self.results[step.name] = self._subject.replies[step.name]
                continue
            assert step.call is not None, "the command refuses a step that waits"
            made = self._send(step.name, step, step.call, Direction.DO)
            if step.undo:
                self._prepared.append(step)
            if made.outcome not in DONE:
                raise SetUpError(f"the earlier step {step.name} is not done: {made.reply.reason}")

    def do(
        self, *, data: Mapping[str, Any] | None = None, body: Any = _AS_TABLE, client: Sender | None = None
    ) -> Exchange:
        """Send the call of the step. data, body, client: instead of those of the saga."""
        call = self._subject.step.call
        assert call is not None
        data = None if data is None else _different(data, self._number)
        made = self._send("call", self._subject.step, call, Direction.DO, data=data, body=body, client=client)
        self._note(made)
        return made

    def differs(self, data: Mapping[str, Any]) -> bool:
        """Return True when other data give the call another path, query, header or body, and it can be built."""
        step = self._subject.step
        assert step.call is not None
        try:
            own, other = (
                self._request(self._running(step, each, self.results), step, step.call, Direction.DO)
                for each in (self.data, _different(data, self._number))
            )
        except FillError:
            return False
        return own != other

    def body(self) -> Any:
        """Return the body of the call."""
        step = self._subject.step
        assert step.call is not None
        return self._request(self._running(step, self.data, self.results), step, step.call, Direction.DO).body

    def do_at_once(self, times: int) -> list[Exchange]:
        """Send the call several times at the same moment."""
        with ThreadPoolExecutor(times) as threads:
            return list(threads.map(lambda _: self.do(), range(times)))

    def do_until_known(self) -> Exchange:
        """Send the call until its outcome is known. Raise NotTriedError when that takes too long.

        Raise NotKeptError when the participant has ended.
        """
        return self._until_known(self.do)

    def _until_known(self, send: Callable[[], Exchange]) -> Exchange:
        patience_s = self._bench.patience_s
        end = time.monotonic() + patience_s
        while (made := send()).outcome in (Outcome.IN_DOUBT, Outcome.NOT_SENT):
            if time.monotonic() > end:
                if made.reply.status is None and not made.reply.sent:
                    raise NotKeptError(f"the participant answers no more: {made.reply.reason}")
                raise NotTriedError(
                    f"the {made.what} stays in doubt for the {patience_s:g} s of --patience: {made.reply.reason}"
                )
            time.sleep(PAUSE_S)
        return made

    def undo(self, result: Any = None) -> Exchange:
        """Send the undo. result: the reply of the step that the undo refers to; default: the last one."""
        undo = self._subject.undo
        assert undo is not None
        results = self.results if result is None else {**self.results, self._subject.step.name: result}
        made = self._send("undo", self._subject.step, undo, Direction.UNDO, results=results)
        if made.outcome in DONE:
            self._done, self._in_doubt, self._accepted = [], False, False
            if self._bench.desk is not None:
                self.desk().undone(self.id)
        return made

    def undo_at_once(self, times: int) -> list[Exchange]:
        """Send the undo several times at the same moment."""
        with ThreadPoolExecutor(times) as threads:
            return list(threads.map(lambda _: self.undo(), range(times)))

    def undo_until_known(self) -> Exchange:
        """Send the undo until its outcome is known. Raise as `do_until_known` does."""
        return self._until_known(self.undo)

    def probe(self) -> Exchange:
        probe = self._subject.step.probe
        assert probe is not None
        return self._send("probe", self._subject.step, probe, Direction.DO)

    def poll(self, result: Any = None) -> Exchange:
        """Ask for the answer to the accepted call. result: the reply that accepted it; default: the last one."""
        poll = self._subject.step.poll
        assert poll is not None
        results = self.results if result is None else {**self.results, self._subject.step.name: result}
        return self._send("poll", self._subject.step, poll, Direction.DO, results=results)

    def desk(self) -> Desk:
        """Return the desk, which expects an answer to the step."""
        desk = self._bench.desk
        assert desk is not None
        desk.url_of(self.id)
        return desk

    def answers(self) -> list[Answer]:
        """Return the later answers so far."""
        return self._seen(self.desk().answers(self.id))

    def wait_for_answer(self, timeout_s: float) -> list[Answer]:
        """Wait for another answer. Return all answers so far."""
        return self._seen(self.desk().wait(self.id, self._shown + 1, timeout_s))

    def _seen(self, answers: list[Answer]) -> list[Answer]:
        for each in answers[self._shown :]:
            outcome = each.outcome or Outcome.IN_DOUBT
            made = Exchange(what="answer", request=each.request, reply=reply_of(each), outcome=outcome)
            self._bench.exchanges.append(made)
            if each.outcome is Outcome.SUCCEEDED:
                self.results[self._subject.step.name] = each.kept
                self._done = [each.kept]
        self._shown = len(answers)
        return answers

    def settle(self) -> None:
        """Wait until the participant has decided about the accepted call, so that its effect can be seen."""
        end = time.monotonic() + (self._bench.later_s if self._bench.desk is None else self._bench.patience_s)
        if self._accepted and self._bench.desk is not None:
            while all(each.outcome is None for each in self.answers()) and time.monotonic() < end:
                self.wait_for_answer(end - time.monotonic())
            self._accepted = False
        while self._accepted and self.poll().outcome is Outcome.ACCEPTED and time.monotonic() < end:
            time.sleep(PAUSE_S)
        self._accepted = False

    def undo_all(self) -> bool:
        """Undo the step and the earlier steps. Return False when something may be left."""
        undone = [self._undo_step()]
        for step in reversed(self._prepared):
            assert step.undo is not None
            undone.append(self._send(step.name, step, step.undo, Direction.UNDO).outcome in DONE)
        return all(undone)

    def _undo_step(self) -> bool:
        if self._subject.undo_needs_reply and self._bench.desk is not None:
            self.settle()
        if not self._done and not self._in_doubt:
            return True
        if self._subject.undo is None or (self._subject.undo_needs_reply and not self._done):
            return False
        results = list(self._done) if self._subject.undo_needs_reply else [None]
        outcomes = [self.undo(result).outcome for result in results]
        return DONE.issuperset(outcomes)

    def _note(self, made: Exchange) -> None:
        answered = self._subject.step.poll is not None or self._bench.desk is not None
        self._accepted |= made.outcome is Outcome.ACCEPTED and answered
        if made.outcome in DONE or made.outcome is Outcome.REFUSED_UNDO:
            if made.taken not in self._done:
                self._done.append(made.taken)
        elif made.outcome is Outcome.IN_DOUBT:
            self._in_doubt = True

    def _send(
        self, what: str, step: Step, call: Call, direction: Direction, *, results: Mapping[str, Any] | None = None,
        data: Mapping[str, Any] | None = None, body: Any = _AS_TABLE, client: Sender | None = None,
    ) -> Exchange:  # fmt: skip
        data = self.data if data is None else data
        saga = self._running(step, data, self.results if results is None else results)
        try:
            request = self._request(saga, step, call, direction)
        except FillError as error:
            raise NotTriedError(f"{call} cannot be built: {error}") from None
        if body is not _AS_TABLE:
            request.body, request.form = body, False
        reply = (client or self._bench.client).send(request)
        kept, outcome = understood(saga, call, direction, reply)
        made = Exchange(
            what=what, request=request, reply=replace(reply, says=kept.says), outcome=outcome, taken=kept.body
        )
        self._bench.exchanges.append(made)
        if (
            direction is Direction.DO
            and what not in ("probe", "poll")
            and made.outcome in (*DONE, Outcome.REFUSED_UNDO)
        ):
            self.results[step.name] = made.taken
        return made

    def _running(self, step: Step, data: Mapping[str, Any], results: Mapping[str, Any]) -> RunningSaga:
        """Return the saga in a state in which the call of the step is in flight."""
        definition = self._subject.definition
        state = next(each.name for each in definition.states.values() if each.step is step and each.call is step.call)
        saga = RunningSaga(definition, UUID(self.id), data, state)
        saga.results = dict(results)
        return saga

    def _request(self, saga: RunningSaga, step: Step, call: Call, direction: Direction) -> Request:
        desk = self._bench.desk if call is self._subject.step.call else None
        reply_to = _REPLY_TO if desk is None else desk.url_of(self.id)
        path, headers, body = filled(saga, call, direction, _OWN_HEADERS, lambda _saga, _step: reply_to)
        return Request(
            participant=call.participant,
            method=call.method,
            url=self._subject.settings[call.participant].url + path,
            headers=headers,
            body=body,
            form=call.form,
            timeout_s=step.timeout_s,
        )


def _different(value: Any, number: str) -> Any:
    """Return the value with `number` instead of each ${n} in its texts."""
    if isinstance(value, str):
        return value.replace(_DIFFERENT, number)
    if isinstance(value, Mapping):
        return {name: _different(each, number) for name, each in value.items()}
    return [_different(each, number) for each in value] if isinstance(value, list) else value
