"""The trials of a step whose participant sends its answer later, to the URL of `Saga-Reply-To`."""

import time
from collections.abc import Callable

from app.conform.bench import Bench
from app.conform.desk import Answer
from app.conform.lines import NotKeptError, NotTriedError
from app.conform.trial import DONE, Trial
from machines.outcomes import Outcome

#: How long the trials watch for an answer that must not come, in seconds.
_WATCH_S = 1.0
#: An answer may have been on its way when the undo was done, this long, in seconds.
_IN_FLIGHT_S = 0.1
#: How many times an undo races with an answer, until the undo is first.
_TRIES = 10


def answer(bench: Bench) -> None:
    saga = _accepted(bench)
    first = _answered(bench, saga, 1)
    if first.outcome is Outcome.REFUSED:
        raise NotKeptError("the call is accepted and then refused; give data that the participant accepts: field=value")


def answer_again(bench: Bench) -> None:
    saga = bench.saga()
    saga.desk().turn_away(saga.id)
    _accept(saga)
    first, again = _answered(bench, saga, 1), _answered(bench, saga, 2, " again after it got 503")
    if not first.is_same(again):
        raise NotKeptError("the answer that is sent again is another answer")
    time.sleep(_WATCH_S)
    if len(saga.answers()) > 2:  # noqa: PLR2004  the first one got 503, the second one 200
        raise NotKeptError("the answer is sent again after it got 200")


def answer_once(bench: Bench) -> None:
    saga = _accepted(bench)
    first = _answered(bench, saga, 1)
    again = saga.do()
    if again.outcome not in DONE:
        raise NotKeptError(f"the repeated call is not answered as accepted or done: {again.reply.reason}")
    time.sleep(_WATCH_S)
    if any(not first.is_same(each) for each in saga.answers()):
        raise NotKeptError("after a repeated call it sends another answer, which gets 409")


def answer_undone(bench: Bench) -> None:
    if bench.subject.undo is None:
        raise NotTriedError("the step has no undo; --undo names a call that undoes it")
    saga, before = _undone_before_its_answer(bench)
    undone_at = time.monotonic()
    time.sleep(min(bench.answer_s * 2 + _WATCH_S, bench.patience_s))
    late = [each for each in saga.answers() if each.at > undone_at + _IN_FLIGHT_S]
    if any(each.outcome is Outcome.SUCCEEDED for each in late):
        raise NotKeptError("it does the call after its undo: its answer says that it is done")
    if len(late) > 1:
        raise NotKeptError("the answer is sent again after it got 410")
    if bench.subject.look and bench.look() != before:
        raise NotKeptError("the undo came before the answer, and --look still shows an effect")


def _undone_before_its_answer(bench: Bench) -> tuple[Trial, object]:
    """Return a saga whose undo was done before its answer came, and the look before its call."""
    for _ in range(_TRIES):
        saga, before = bench.saga(), bench.look()
        _accept(saga)
        if (undone := saga.undo()).outcome not in DONE:
            raise NotKeptError(f"the undo that comes before the answer is not done: {undone.reply.reason}")
        if not saga.answers():
            return saga, before
    raise NotTriedError(f"the answer came before the undo was done, {_TRIES} times")


def _accepted(bench: Bench) -> Trial:
    """Return a saga whose call was accepted with a 202."""
    saga = bench.saga()
    _accept(saga)
    return saga


def _accept(saga: Trial) -> None:
    made = saga.do()
    if made.outcome is not Outcome.ACCEPTED:
        raise NotTriedError(f"the call is not accepted for later: {made.reply.reason or made.reply.status}")


def _answered(bench: Bench, saga: Trial, number: int, words: str = "") -> Answer:
    """Wait for an answer that is understood, and return it. number: which one, from 1."""
    started = time.monotonic()
    while True:
        left_s = started + bench.later_s - time.monotonic()
        seen = saga.wait_for_answer(left_s)
        if wrong := next((each for each in seen if each.problem), None):
            raise NotKeptError(f"its answer is a mistake: {wrong.problem}")
        clear = [each for each in seen if each.outcome is not None]
        if len(clear) >= number:
            bench.answer_s = max(bench.answer_s, clear[number - 1].at - started)
            return clear[number - 1]
        if left_s <= 0:
            break
    raise bench.no_answer(f"no answer comes{words} to Saga-Reply-To")


#: Name of a line → its trial.
TRIALS: dict[str, Callable[[Bench], None]] = {
    "answer": answer, "answer-again": answer_again, "answer-once": answer_once, "answer-undone": answer_undone,
}  # fmt: skip
