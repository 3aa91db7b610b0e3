"""The trials of the calls of a step: repeated, at once, interrupted, and with odd bodies."""

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

from app.calls.client import HttpClient
from app.conform.bench import Bench
from app.conform.bodies import HUGE, ODD, odd, other_data
from app.conform.expecting import (
    expect_done,
    expect_evidence,
    expect_no_change,
    expect_no_error,
    expect_one_effect,
    expect_reached,
    expect_same,
)
from app.conform.lines import Exchange, NotKeptError, NotTriedError, SetUpError
from app.conform.network import HangUpDialer, SlowDialer
from app.conform.trial import DONE
from app.dialing import Dialer
from machines.outcomes import Outcome

_ROUNDS, _AT_ONCE = 3, 4
#: Longest time that a call beside a slow client may take, in seconds. A busy machine alone does not reach it.
_PATIENCE_S = 3.0
_SUCCESS, _REDIRECT, _REFUSED, _FAILED = 200, 300, 400, 500


def done(bench: Bench) -> None:
    before = bench.look()
    if before != bench.look():
        raise SetUpError("what --look shows changes by itself; try a participant that nobody else uses")
    saga, before = bench.saga(), bench.look()
    made = saga.do()
    if made.outcome is Outcome.NOT_SENT:
        raise SetUpError(f"{made.request.method} {made.request.url}: {made.reply.reason}")
    if made.outcome is Outcome.REFUSED:
        raise NotKeptError(f"it is refused: {made.reply.reason}; give data that the participant accepts: field=value")
    if made.outcome not in DONE:
        raise NotKeptError(f"its outcome is in doubt: {made.reply.reason}")
    expect_no_error(made, bench.subject.step.call, "the call")
    bench.usual_s = made.reply.duration_ms / 1000
    if bench.subject.look:
        shown = bench.look()
        bench.one_effect = bench.seen_change(before) or None
        if bench.one_effect is None and (mixed := bench.subject.earlier_steps_of_look()):
            bench.stop_looking(
                f"--look {bench.subject.look} shows the effects of the earlier step {mixed[0].name}, which is at the "
                "same participant, and no effect of this call that can be counted; give a GET that shows this effect"
            )
        elif shown == before:
            raise NotKeptError("the call is answered as done, but --look shows no effect")


def other_key(bench: Bench) -> None:
    first = bench.saga().do()
    other, before = bench.saga(), bench.look()
    second = other.do()
    expect_done(second, "a call with another key")
    expect_one_effect(bench, before, "the call with another key is answered as done, but has no effect of its own")
    bench.replies_differ = first.taken != second.taken
    expect_evidence(bench)


def same_key(bench: Bench) -> None:
    saga, before = bench.saga(), bench.look()
    first, again = saga.do(), saga.do()
    expect_done(again, "the repeated call")
    expect_one_effect(bench, before)
    expect_same(first, again)
    expect_evidence(bench)


def other_body(bench: Bench) -> None:
    for data in other_data(bench.subject):
        saga = bench.saga()
        if saga.differs(data) and _accepts(bench, data):
            break
    else:
        raise NotTriedError("no other data are known that the participant accepts; give --other field=value")
    first, before = saga.do(), bench.look()
    other = saga.do(data=data)
    if other.outcome in DONE:
        same = other.taken == first.taken
        raise NotKeptError(
            "it gets the first answer, so a mistake stays hidden" if same else "it is done, under a key that is used"
        )
    if other.outcome is not Outcome.REFUSED:
        raise NotKeptError(f"its outcome is in doubt: {other.reply.reason}")
    expect_no_change(bench, before, "it is refused, but has an effect")


def _accepts(bench: Bench, data: Mapping[str, Any]) -> bool:
    """Return True when the participants accept these data, those of the earlier steps included."""
    try:
        return bench.saga(data).do().outcome in DONE
    except SetUpError:
        return False


def at_once(bench: Bench) -> None:
    for _ in range(_ROUNDS):
        saga, before = bench.saga(), bench.look()
        made = saga.do_at_once(_AT_ONCE)
        last = saga.do_until_known()
        expect_done(last, "the call after them")
        for each in made:
            if each.outcome is Outcome.REFUSED:
                raise NotKeptError(
                    f"one of them is refused ({each.reply.reason}), and the saga would believe that nothing was done; "
                    f"answer 5xx, or write means={{{each.reply.status}: IN_DOUBT}} in the table"
                )
            if each.outcome in DONE:
                expect_same(last, each, "two of them get different answers")
        expect_one_effect(bench, before)
    expect_evidence(bench)


def lost_reply(bench: Bench) -> None:
    saga, before = bench.saga(), bench.look()
    if bench.exchanges and any(each.request.url.startswith("https:") for each in bench.exchanges):
        raise NotTriedError("the client cannot hang up early over TLS")
    hasty = saga.do(client=_client(bench, HangUpDialer))
    first = saga.do_until_known()
    expect_done(first, "the call that is repeated after the hang-up")
    if hasty.outcome in DONE:
        expect_same(hasty, first)
    expect_same(first, saga.do())
    expect_one_effect(bench, before)
    if bench.one_effect is None:
        raise NotTriedError(bench.no_evidence)


def odd_body(bench: Bench) -> None:
    call = bench.subject.step.call
    if call is None or call.method == "GET" or call.body is None:
        raise NotTriedError("the call has no body")
    for name, content in ODD.items():
        saga = bench.saga()
        before = bench.see(saga)
        made = saga.do(body=odd(content), client=_client(bench))
        if not _refused_or_done(made):
            raise NotKeptError(f"{name}: {made.reply.reason or 'no answer'}")
        if made.outcome in DONE and call.references:
            raise NotKeptError(f"{name} is answered as done")
        if made.outcome not in DONE:
            bench.expect_no_effect(saga, before, name)
    expect_done(bench.saga().do(), "a good call after them")


def huge_body(bench: Bench) -> None:
    call = bench.subject.step.call
    if call is None or call.method == "GET" or not isinstance(call.body, dict):
        raise NotTriedError("the call has no body to which a member can be added")
    saga = bench.saga()
    before = bench.see(saga)
    made = saga.do(body={**saga.body(), "saga_conform": "x" * HUGE}, client=_client(bench))
    expect_reached(made)
    if not _refused_or_done(made):
        raise NotKeptError(made.reply.reason)
    if made.outcome not in DONE:
        bench.expect_no_effect(saga, before, "a body of 2 MiB")
    expect_done(bench.saga().do(), "a good call after it")


def _refused_or_done(made: Exchange) -> bool:
    status = made.reply.status
    return status is not None and (_SUCCESS <= status < _REDIRECT or _REFUSED <= status < _FAILED)


def slow_client(bench: Bench) -> None:
    class Dialer(SlowDialer):
        go_on, waits = threading.Event(), threading.Event()

    slow, other = bench.saga(), bench.saga()
    patience_s = min(_PATIENCE_S, bench.subject.step.timeout_s / 2)
    if patience_s < 4 * bench.usual_s:
        raise NotTriedError(f"one call takes {bench.usual_s:.1f} s, too long for the timeout of the step")
    with ThreadPoolExecutor(2) as threads:
        answered = threads.submit(slow.do, client=_client(bench, Dialer))
        Dialer.waits.wait(patience_s)
        beside = threads.submit(other.do)
        held_up = not wait([beside], timeout=patience_s).done
        Dialer.go_on.set()
        expect_done(beside.result(), "a call beside the slow client")
        if held_up:
            raise NotKeptError("another call had to wait for the slow client")
        expect_done(answered.result(), "the call of the slow client")


def _client(bench: Bench, dialer: type[Dialer] = Dialer) -> HttpClient:
    """Return a client with a connection of its own: a participant may close it, and other calls are not lost."""
    return HttpClient(1, participants=bench.subject.settings, dialer=dialer)


#: Name of a line → its trial.
TRIALS: dict[str, Callable[[Bench], None]] = {
    "done": done, "other-key": other_key, "same-key": same_key, "other-body": other_body, "at-once": at_once,
    "lost-reply": lost_reply, "odd-body": odd_body, "huge-body": huge_body, "slow-client": slow_client,
}  # fmt: skip
