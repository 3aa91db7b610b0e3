"""The trials of the probe of a step."""

import time
from collections.abc import Callable, Mapping

from app.conform.bench import Bench
from app.conform.expecting import do_well, done_saga, expect_no_error, expect_undone
from app.conform.lines import Exchange, NotKeptError, NotTriedError
from app.conform.trial import DONE, PAUSE_S, Trial
from machines.outcomes import Outcome


def probe(bench: Bench) -> None:
    if bench.subject.step.probe is None:
        raise NotTriedError("the step has no probe")
    saga = bench.saga()
    made = do_well(saga)
    found = _found(bench, saga)
    if found.outcome not in DONE:
        raise NotKeptError(f"the probe does not find what was done: {found.reply.reason}")
    _expect_same_fields(bench, made, found)
    unknown = bench.saga().probe()
    expect_no_error(unknown, bench.subject.step.probe, "the probe of something unknown")
    if unknown.outcome in DONE:
        raise NotKeptError("the probe finds something that was never done")
    if unknown.outcome is not Outcome.REFUSED:
        raise NotKeptError(f"the probe cannot say that nothing was done: {unknown.reply.reason}")


def probe_undone(bench: Bench) -> None:
    if bench.subject.step.probe is None:
        raise NotTriedError("the step has no probe")
    saga = done_saga(bench)
    _found(bench, saga)
    expect_undone(saga.undo(), "the undo")
    if saga.probe().outcome in DONE:
        raise NotKeptError("after the undo the probe still finds the call")


def _found(bench: Bench, saga: Trial) -> Exchange:
    """Return the answer of the probe, for an accepted call when it is done."""
    end = time.monotonic() + bench.patience_s
    while (found := saga.probe()).outcome is Outcome.IN_DOUBT and bench.subject.step.later and time.monotonic() < end:
        time.sleep(PAUSE_S)
    return found


def _expect_same_fields(bench: Bench, made: Exchange, found: Exchange) -> None:
    """Raise NotKeptError when the probe gives a kept field, such as an id, another value than the call."""
    step = bench.subject.step
    assert step.call is not None
    if made.outcome is not Outcome.SUCCEEDED or not isinstance(made.taken, Mapping):
        return
    if not isinstance(found.taken, Mapping):
        return
    for name in step.call.keeps:
        if name in made.taken and name in found.taken and made.taken[name] != found.taken[name]:
            raise NotKeptError(f"the probe gives another {name} than the call, and the saga would go on with it")


#: Name of a line → its trial.
TRIALS: dict[str, Callable[[Bench], None]] = {"probe": probe, "probe-undone": probe_undone}
