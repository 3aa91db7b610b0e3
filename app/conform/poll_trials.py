"""The trials of the poll of a step whose participant answers later."""

import time
from collections.abc import Callable, Mapping
from typing import Any

from app.conform.bench import Bench
from app.conform.lines import Exchange, NotKeptError, NotTriedError
from app.conform.trial import DONE, PAUSE_S, Trial
from machines.outcomes import Outcome

_ENDLESS = "the answer is still pending, and no poll brings it"


def poll(bench: Bench) -> None:
    saga = _accepted(bench)
    answer = _decided(bench, saga)
    if answer.outcome is Outcome.REFUSED:
        raise NotKeptError(f"the call is accepted and then refused: {answer.reply.reason}; give data that it accepts")
    again = saga.poll()
    if again.outcome is not Outcome.SUCCEEDED or again.taken != answer.taken:
        raise NotKeptError("a poll after the answer gets another answer")


def poll_unknown(bench: Bench) -> None:
    saga = _accepted(bench)
    asked = saga.poll(_other(saga.results.get(bench.subject.step.name)))
    if asked.request.url == saga.poll().request.url:
        asked = bench.saga().poll({})
    if asked.outcome in DONE:
        says = "done" if asked.outcome is Outcome.SUCCEEDED else "pending, so the saga would wait in vain"
        raise NotKeptError(f"the poll for something unknown is answered as {says}")


def poll_undone(bench: Bench) -> None:
    if bench.subject.undo is None:
        raise NotTriedError("the step has no undo; --undo names a call that undoes it")
    for wait in (_decided, None):
        saga = _accepted(bench)
        if wait is not None:
            wait(bench, saga)
        if (undone := saga.undo()).outcome not in DONE:
            raise NotTriedError(f"the undo is not done: {undone.reply.reason}")
        end = time.monotonic() + bench.later_s
        while (asked := saga.poll()).outcome is Outcome.ACCEPTED and time.monotonic() < end:
            time.sleep(PAUSE_S)
        if asked.outcome is Outcome.SUCCEEDED:
            when = "the answer" if wait is not None else "the 202"
            raise NotKeptError(f"after the undo the poll still says that it is done; the undo came after {when}")
        if asked.outcome is Outcome.ACCEPTED and isinstance(late := bench.no_answer(_ENDLESS), NotTriedError):
            raise late  # polls that are pending for all the time of the table do no harm after the undo


def _accepted(bench: Bench) -> Trial:
    """Return a saga whose call was accepted with a 202."""
    saga = bench.saga()
    made = saga.do()
    if made.outcome is not Outcome.ACCEPTED:
        raise NotTriedError(f"the call is not accepted for later: {made.reply.reason or made.reply.status}")
    return saga


def _decided(bench: Bench, saga: Trial) -> Exchange:
    """Ask until the answer is no longer pending."""
    end = time.monotonic() + bench.later_s
    while (asked := saga.poll()).outcome is Outcome.ACCEPTED:
        if time.monotonic() > end:
            raise bench.no_answer(_ENDLESS)
        time.sleep(PAUSE_S)
    if asked.outcome in (Outcome.IN_DOUBT, Outcome.NOT_SENT):
        raise NotKeptError(f"the poll after a 202 does not say if it is pending, done or refused: {asked.reply.reason}")
    return asked


def _other(value: Any) -> Any:
    """Return a reply with other ids, which the participant does not know."""
    if isinstance(value, Mapping):
        return {name: _other(each) for name, each in value.items()}
    return f"{value}-unknown" if isinstance(value, str) else value


#: Name of a line → its trial.
TRIALS: dict[str, Callable[[Bench], None]] = {
    "poll": poll, "poll-unknown": poll_unknown, "poll-undone": poll_undone,
}  # fmt: skip
