"""One round of a call: the call, its probe when an attempt is in doubt, and the recovery of a lost reply.

This module decides which requests a round sends, and what their replies mean together. `app.engine.calls` sends them
over HTTP; `machines.testing` answers them in memory.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any
from uuid import UUID

from machines.call import Call
from machines.history import AFTER_DOUBT, NO_ATTEMPT_LEFT, NOTHING_FOUND, PROBED, STILL_UNKNOWN, polled
from machines.lines import one_line
from machines.outcomes import DEFINITE, Outcome
from machines.references import NO_ROOTS, FillError, call_headers, roots_of
from machines.replies import NOTHING, Reply, explained, outcome_of, outcome_of_poll
from machines.running import RunningSaga
from machines.saga import Saga
from machines.step import Step
from machines.transitions import Direction

_CONFLICT = 409
_TO_EXPLAIN = (Outcome.IN_DOUBT, Outcome.NOT_SENT)
_PLAIN = (Outcome.SUCCEEDED, Outcome.ACCEPTED)
#: Outcomes of replies whose fields later calls may need.
_NEEDED_LATER = (*_PLAIN, Outcome.REFUSED_UNDO)
#: Largest reply with another outcome that is stored, in bytes. Only people read such a reply.
LARGEST_UNNEEDED = 64 * 1024


class Attempts(ABC):
    """Makes the calls of sagas."""

    @abstractmethod
    def _send(self, saga: Any, call: Call, direction: Direction | None = None) -> tuple[Reply, Outcome]:
        """Send one request, and return its reply and outcome as `understood` does.

        direction: that of the request; None: that of the saga's state.
        """

    def make(self, saga: RunningSaga) -> tuple[Reply, Outcome]:
        """Send the call and return its reply and outcome.

        If an attempt is in doubt, send the step's probe first. If an undo needs a lost reply of its step, get that
        reply again first.
        """
        unrecovered = self._recover(saga) if _lost_reply(saga) else None
        return unrecovered or self._make(saga)

    def _make(self, saga: RunningSaga) -> tuple[Reply, Outcome]:
        at, probe = saga.current, saga.probe
        assert at.call is not None
        probed = self.ask(saga, probe) if probe else None
        if probed and probed[1] is Outcome.SUCCEEDED:
            return probed
        if saga.must_not_send or (probed and saga.failed_attempts >= at.retry.attempts):
            return _not_again(probed, _last_error(saga))
        reply, outcome = self._send(saga, at.call)
        if outcome is Outcome.IN_DOUBT:
            saga.last_error = at.name, reply.reason
        if probed and probed[1] is Outcome.IN_DOUBT and not reply.sent and outcome is Outcome.NOT_SENT:
            # The probe failed and opened the participant's circuit breaker, so the call was not sent. Count an attempt,
            # because otherwise each probe could open the breaker, and the attempts would never end.
            return probed
        if outcome is Outcome.REFUSED and saga.in_doubt and at.doubts_refusals and not saga.was_refused:
            return self._doubted(saga, reply, probe)
        return reply, outcome

    def probe_late(self, saga: RunningSaga) -> tuple[Reply, Outcome]:
        """Ask the probe of a step whose answer has not come in time. The step's call is not sent again."""
        step = saga.current.step
        assert step is not None
        assert step.probe is not None
        probed = self.ask(saga, step.probe)
        return probed if probed[1] is Outcome.SUCCEEDED else _not_again(probed)

    def poll(self, saga: RunningSaga) -> tuple[Reply, Outcome]:
        """Ask for the answer to the accepted call of a waiting saga. The call itself is not sent again."""
        poll = saga.current.poll
        assert poll is not None
        reply, outcome = self._send(saga, poll)
        return replace(reply, says=polled(saga.deferrals + 1, reply.reason)), outcome

    def longest_s(self, saga: RunningSaga) -> float:
        """Return the longest duration of `make`, in seconds, with the probe and the recovery."""
        at = saga.current
        if at.step is None:
            return 0.0
        if at.waits:
            asks = (at.awaits_answer and at.step.probe is not None) + (at.poll is not None)
            return at.step.timeout_s * asks
        if saga.probe is None:
            return at.step.timeout_s * (1 + _lost_reply(saga))
        return at.step.timeout_s * (2 + at.doubts_refusals)

    def _recover(self, saga: RunningSaga) -> tuple[Reply, Outcome] | None:
        """Get the lost reply of a step again, because the undo refers to this reply.

        Return None when the undo can be sent. Otherwise the undo is not sent. Return a reply and an outcome in its
        place: succeeded when there is nothing to undo.
        """
        step = saga.current.step
        assert step is not None
        call = step.recovery
        assert call is not None
        reply, outcome = self._send(saga, call, Direction.DO)
        if outcome in (Outcome.SUCCEEDED, Outcome.REFUSED_UNDO, Outcome.ACCEPTED) and reply.body is not None:
            saga.results[step.name] = reply.body
            return None
        # A 409 to a repeated key may mean that the participant is still busy with the first attempt.
        conflict = call is step.call and reply.status == _CONFLICT and _CONFLICT not in call.means
        if outcome is Outcome.REFUSED and not (reply.impossible or conflict):
            # A repeated key that is refused stays refused. A probe sees no call that is still on its way.
            nothing = f"nothing to undo, {step.name} was never done: " if call is step.call else NOTHING_FOUND
            says = f"{nothing}{reply.reason}"
            return replace(reply, says=says, body={}), Outcome.SUCCEEDED
        if outcome is not Outcome.NOT_SENT and not reply.impossible:
            outcome = Outcome.IN_DOUBT
        return replace(
            reply, says=f"the reply of {step.name} is lost, and {call} did not recover it: {reply.reason}"
        ), outcome

    def _doubted(self, saga: RunningSaga, refused: Reply, probe: Call | None) -> tuple[Reply, Outcome]:
        """Return the reply and outcome for a call that was refused after an attempt in doubt.

        Send the probe first, if the step has one.
        """
        says = f"{refused.reason}{AFTER_DOUBT}"
        if probe is None:
            return replace(refused, says=says), Outcome.REFUSED
        reply, outcome = self.ask(saga, probe)
        if outcome is Outcome.SUCCEEDED:
            return reply, outcome
        says = f"{says}; its {reply.reason}"
        if outcome is Outcome.REFUSED:
            return replace(refused, says=says), outcome
        return replace(reply, says=says), outcome

    def ask(self, saga: RunningSaga, probe: Call) -> tuple[Reply, Outcome]:
        """Send the probe. The reason of the returned reply says that the probe got the reply, and not the call."""
        reply, outcome = self._send(saga, probe)
        return replace(reply, says=f"{PROBED}{reply.reason}"), outcome


def understood(
    saga: RunningSaga, call: Call, direction: Direction, reply: Reply,
    url_of: Callable[[Call, str], str] = lambda _call, path: path,
) -> tuple[Reply, Outcome]:  # fmt: skip
    """Return the reply with the fields that the saga keeps and without its secrets, and the outcome of the reply.

    url_of: returns the URL of a call with this path; raises FillError for a URL that must not be called.
    """
    at = saga.current
    assert at.step is not None
    taken, lacking = reply.body, NOTHING
    if direction is Direction.DO and reply.status is not None and (taken is not None or call.means):
        taken, lacking = _taken(saga, call, reply)
    if call is at.step.poll:
        outcome = outcome_of_poll(reply, lacking, call)
    else:
        later = call is at.step.call and at.step.later is not None
        outcome = outcome_of(reply, lacking, call, later=later)
    if outcome in _TO_EXPLAIN or (call.means and outcome not in _PLAIN):
        reply = explained(reply, lacking, call)
    if outcome is Outcome.ACCEPTED and call is at.step.call:
        reply, outcome = _accepted(saga, reply, taken, url_of)
    elif taken is not reply.body:
        kept = outcome is Outcome.SUCCEEDED or (outcome is Outcome.REFUSED_UNDO and not lacking)
        reply = replace(reply, says=reply.reason, body=taken if kept else None)
    if reply.size > LARGEST_UNNEEDED and outcome not in _NEEDED_LATER and reply.body is not None:
        left_out = f"a reply of {reply.size} bytes; at most {LARGEST_UNNEEDED} bytes are stored of a call that failed"
        reply = replace(reply, says=reply.reason, body={"left_out": left_out})
    if saga.definition.secrets is not None:
        known = {**saga.results, at.step.name: taken} if direction is Direction.DO else saga.results
        reply = replace(reply, says=saga.definition.without_secrets(reply.reason, saga.data, known))
    return reply, outcome


def _taken(saga: RunningSaga, call: Call, reply: Reply) -> tuple[Any, Mapping[str, str]]:
    """Return the stored part of a reply to the action, the probe or the poll of a step, and what it lacks."""
    step, headers = saga.current.step, reply.headers or {}
    assert step is not None
    if call is step.poll:
        return saga.definition.answered(step, reply.body, headers, saga.results.get(step.name))
    return saga.definition.taken(step.name, call, reply.body, headers)


def _accepted(saga: RunningSaga, reply: Reply, taken: Any, url_of: Callable[[Call, str], str]) -> tuple[Reply, Outcome]:
    """Return the reply that accepts a call, with what is kept of it. taken: its stored part.

    The answer contains every field to keep. Until it comes, only the undo and the poll need fields of this reply. When
    the poll cannot be built from it, no answer can come, so the call is in doubt.
    """
    step = saga.current.step
    assert step is not None
    if step.asks is None or saga.current.undoes:
        return replace(reply, says=reply.reason, body=taken if step.undo_can_use(taken) else None), Outcome.ACCEPTED
    roots = roots_of(saga.id_text, step.name, Direction.DO)
    try:
        url_of(step.asks, step.asks.filled_path(saga.data, {**saga.results, step.name: taken}, roots))
    except FillError as error:
        says = one_line(f"{reply.reason}, but the answer cannot be asked for: {error}")
        return replace(reply, says=says, body=None), Outcome.IN_DOUBT
    return replace(reply, says=reply.reason, body=taken), Outcome.ACCEPTED


def later_answer(definition: Saga, step: Step, reply: Reply) -> tuple[Mapping[str, Any] | None, Mapping[str, str]]:
    """Return the answer to an accepted call as it is stored; None when it leaves the step in doubt.

    Also return the fields that a success lacks, each with the reason; then there is no answer to store. The answer has
    the outcome that the same reply to the call would have.
    """
    assert step.call is not None
    taken, lacking = definition.taken(step.name, step.call, reply.body, reply.headers or {})
    outcome = outcome_of(reply, lacking, step.call)
    if lacking and outcome is Outcome.IN_DOUBT and outcome_of(reply, call=step.call) is Outcome.SUCCEEDED:
        return None, lacking
    if outcome not in DEFINITE:
        return None, NOTHING
    if outcome is not Outcome.SUCCEEDED:
        reply = explained(reply, lacking, step.call)
    kept = outcome is Outcome.SUCCEEDED or taken is reply.body or (outcome is Outcome.REFUSED_UNDO and not lacking)
    body = {"outcome": outcome, "status": reply.status, "reply": taken if kept else None, "reason": reply.reason}
    return body, NOTHING


def filled(
    saga: RunningSaga, call: Call, direction: Direction, own: Mapping[str, str], reply_to: Callable[[UUID, str], str]
) -> tuple[str, dict[str, str], Any]:
    """Return the path, the headers and the body of a request. Raise FillError when a value is not known.

    own: headers that the sender adds. reply_to: returns the URL at which the participant answers a step later.
    """
    at, saga_id = saga.current, saga.id_text
    assert at.step is not None
    name = at.step.name
    headers = {**call_headers(saga_id, name, direction), **own}
    roots = roots_of(saga_id, name, direction) if call.uses_saga else NO_ROOTS
    if at.step.later is not None and at.step.asks is None and call is at.step.call:
        url = headers["Saga-Reply-To"] = reply_to(saga.id, name)
        roots = roots_of(saga_id, name, direction, url)
    if call.headers:
        headers |= call.filled_headers(saga.data, saga.results, roots)
    path = call.filled_path(saga.data, saga.results, roots)
    return path, headers, call.filled_body(saga.data, saga.results, roots) if call.method != "GET" else None


def _not_again(probed: tuple[Reply, Outcome] | None, last: str = "") -> tuple[Reply, Outcome]:
    """Return the reply and outcome of a call that must not be sent again.

    probed: the result of its probe, if any. last: how the last attempt of the call ended; "": not known.
    """
    before = f"; the last attempt: {last}" if last else ""
    if probed is None:
        once = f"it may have been sent before, and it is sent only once{before}"
        return Reply(error=one_line(once)), Outcome.IN_DOUBT
    reply, outcome = probed
    if outcome is Outcome.NOT_SENT or reply.asks_to_wait:
        return probed
    # An attempt may still arrive after the probe has said that nothing was done, so the outcome stays in doubt.
    denied = outcome is Outcome.REFUSED and not reply.impossible
    says = NO_ATTEMPT_LEFT if denied else STILL_UNKNOWN
    says = one_line(f"{says}{reply.reason.removeprefix(PROBED)}{before}")
    return replace(reply, says=says, status=None), Outcome.IN_DOUBT


def _last_error(saga: RunningSaga) -> str:
    """Return how the last attempt of the call in flight ended; "": not known."""
    return saga.last_error[1] if saga.last_error and saga.last_error[0] == saga.state else ""


def _lost_reply(saga: RunningSaga) -> bool:
    """Return True when the call is an undo that refers to its step's reply, and this process lacks that reply."""
    step = saga.current.step
    if step is None or not (saga.current.undoes and step.undo_needs_reply):
        return False
    if step.name not in saga.results:
        return True
    # The reply that accepted a polled step may lack what its undo needs.
    return step.asks is not None and not step.undo_can_use(saga.results[step.name])
