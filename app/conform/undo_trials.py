"""The trials of the undo and of refusals of a step."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from app.conform.bench import Bench, Seen
from app.conform.effects import change, counts, in_words, left_over, taken_from_others
from app.conform.expecting import (
    do_well,
    done_saga,
    expect_no_change,
    expect_no_error,
    expect_refused,
    expect_too_late,
    expect_undone,
)
from app.conform.lines import HarmError, NotKeptError, NotTriedError
from app.conform.trial import DONE, Trial
from machines.outcomes import Outcome

#: When the undo is sent, as a part of the time that one call takes.
_PARTS = (0.0, 0.25, 0.5, 0.75)
_ROUNDS, _AT_ONCE = 3, 4
#: Most effects of other sagas that are named.
_MOST_NAMED = 3
_NO_REFUSAL = "give --refused field=value: data that the participant refuses"


def undo(bench: Bench) -> None:
    for latest in (True, False):  # an undo that takes the effect of another saga may take the newest or the oldest one
        first, second = bench.saga(), bench.saga()
        looks = [bench.look()]
        for each in (first, second):
            do_well(each)
            looks.append(bench.look())
        saga, other = (second, first) if latest else (first, second)
        found = bench.finds(other)
        undone = saga.undo()
        expect_undone(undone, "the undo")
        expect_no_error(undone, bench.subject.undo, "the undo")
        if bench.subject.look:
            _expect_only_own_undone(bench, [*looks, bench.look()], latest=latest)
        if found and not bench.finds(other):
            raise HarmError("the undo takes back what another saga has done, as the probe says")
        bench.clean_up()


def _expect_only_own_undone(bench: Bench, looks: Sequence[Any], *, latest: bool) -> None:
    """Raise an error when the undo of one of two sagas has done more or less than that.

    looks: before the calls, after the first one, after the second one, and after the undo. latest: of the second one.
    """
    earlier, between, done, after = looks
    if after == done:
        raise NotKeptError("the undo is answered as done, but --look still shows the effect")
    own = (between, done) if latest else (earlier, between)
    if taken := taken_from_others(earlier, own, (done, after)):
        raise HarmError(
            f"the undo takes back what another saga has done, as --look shows: {'; '.join(taken[:_MOST_NAMED])}"
        )
    if not latest:
        return
    bench.undone_effect = change(counts(between), counts(after))
    bench.undo_effect = change(counts(done), counts(after))
    if left := left_over(counts(between), counts(done), counts(after)):
        raise NotKeptError(
            f"the undo takes back only a part, as --look shows: {', '.join(left)}; "
            "a number that only ever grows does not belong in the look"
        )


def undo_twice(bench: Bench) -> None:
    saga = done_saga(bench)
    first, before = saga.undo(), bench.look()
    again = saga.undo()
    expect_undone(again, "the repeated undo")
    bodies = first.reply.body, again.reply.body
    if first.reply.status == again.reply.status and all(bodies) and bodies[0] != bodies[1]:
        raise NotKeptError("the repeated undo gets another answer")
    expect_no_change(bench, before, "the repeated undo has an effect, as --look shows")


def undos_at_once(bench: Bench) -> None:
    for _ in range(_ROUNDS):
        saga = done_saga(bench)
        before = bench.look()
        made = saga.undo_at_once(_AT_ONCE)
        last = saga.undo_until_known()
        expect_undone(last, "the undo after them")
        for each in made:
            if each.outcome is Outcome.REFUSED:
                raise NotKeptError(f"one of them is refused ({each.reply.reason}), and the saga would be stuck")
            bodies = each.reply.body, last.reply.body
            if each.reply.status == last.reply.status and all(bodies) and bodies[0] != bodies[1]:
                raise NotKeptError("two of them get different answers")
        seen = bench.seen_change(before) if bench.subject.look else bench.undo_effect
        if seen != bench.undo_effect:
            raise NotKeptError(f"--look shows {in_words(seen, bench.undo_effect)}, and not that of one undo")
    if not bench.subject.look:
        raise NotTriedError(bench.no_evidence)


def late_do(bench: Bench) -> None:
    saga = done_saga(bench)
    saga.undo()
    expect_too_late(bench, saga)


def undo_unknown(bench: Bench) -> None:
    if bench.subject.undo_needs_reply:
        raise NotTriedError("the undo needs the reply of its call, so it cannot come for something unknown")
    if bench.subject.look:
        done_saga(bench)  # the effect of somebody else, which must stay
    saga, before = bench.saga(), bench.look()
    expect_undone(saga.undo(), "the undo")
    if bench.look() != before:
        raise HarmError("the undo of something unknown has an effect, as --look shows")


def undo_before_do(bench: Bench) -> None:
    if bench.subject.undo_needs_reply:
        raise NotTriedError("the undo needs the reply of its call, so it cannot come first")
    saga = bench.saga()
    saga.undo()
    expect_too_late(bench, saga)


def undo_at_once(bench: Bench) -> None:
    if bench.subject.undo_needs_reply:
        raise NotTriedError("the undo needs the reply of its call, so it cannot come while the call is at work")
    if not bench.sees:
        raise NotTriedError("only a look or a probe shows that nothing is left; give --look")
    for part in _PARTS:
        saga = bench.saga()
        before = bench.see(saga)
        with ThreadPoolExecutor(1) as thread:
            sent = thread.submit(saga.do)
            time.sleep(part * bench.usual_s)
            undone = saga.undo_until_known()
            sent.result()
        expect_undone(undone, "the undo of a call that is at work")
        now = bench.see(saga)
        seen = change(counts(before.shown), counts(now.shown))
        if now.found or seen not in ([], bench.undone_effect):
            shows = "the probe" if now.found else "--look"
            raise NotKeptError(
                f"the call and its undo came at the same moment, and something is left, as {shows} shows"
            )


def refused_again(bench: Bench) -> None:
    saga = _refusing(bench)
    before = bench.see(saga)
    first = saga.do()
    expect_no_error(first, bench.subject.step.call, "the call")
    if first.outcome in DONE:
        _expect_something_done(bench, saga, before)
        raise NotTriedError(f"the participant does not refuse the data of --refused: {first.reply.reason}")
    expect_refused(first, "the call")
    if first.outcome is Outcome.REFUSED:
        bench.expect_no_effect(saga, before, "the call")
    between = bench.see(saga)
    expect_refused(saga.do(), "the repeated call")
    bench.expect_no_effect(saga, between, "the repeated call")
    if not bench.sees:
        raise NotTriedError(
            "it is refused both times, but only a look or a probe shows that nothing is done; give --look"
        )


def _expect_something_done(bench: Bench, saga: Trial, before: Seen) -> None:
    """Raise NotKeptError when a call that was answered as done has done nothing."""
    now = bench.see(saga)
    unchanged = bench.one_effect is not None and not change(counts(before.shown), counts(now.shown))
    denied = bench.subject.step.probe is not None and not now.found
    if unchanged or denied:
        shows = "--look" if unchanged else "the probe"
        raise NotKeptError(
            f"the data of --refused are answered as done, but nothing is done, as {shows} shows; answer a refusal with "
            "4xx, or name in means= the field of the reply that says it"
        )


def undo_refused(bench: Bench) -> None:
    saga = _refusing(bench)
    if bench.subject.undo_needs_reply:
        raise NotTriedError("the undo needs the reply of its call")
    if saga.do().outcome in DONE:
        raise NotTriedError("the participant does not refuse the data of --refused")
    before = bench.look()
    expect_undone(saga.undo(), "the undo")
    expect_no_change(bench, before, "the undo of a refused call has an effect, as --look shows")


def _refusing(bench: Bench) -> Trial:
    if bench.subject.refused_data is None:
        raise NotTriedError(_NO_REFUSAL)
    return bench.saga(bench.subject.refused_data)


#: Name of a line → its trial. They need an undo, except that of the refusal.
TRIALS: dict[str, Callable[[Bench], None]] = {
    "undo": undo, "undo-twice": undo_twice, "late-do": late_do, "undo-unknown": undo_unknown,
    "undo-before-do": undo_before_do, "undo-at-once": undo_at_once, "undos-at-once": undos_at_once,
    "refused-again": refused_again, "undo-refused": undo_refused,
}  # fmt: skip
