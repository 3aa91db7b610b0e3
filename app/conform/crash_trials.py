"""The trials of a crash: right after a reply, and while a call or an undo is at work."""

import subprocess
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from app.conform.bench import Bench
from app.conform.expecting import (
    do_well,
    done_saga,
    expect_done,
    expect_evidence,
    expect_no_change,
    expect_one_effect,
    expect_same,
    expect_too_late,
    expect_undone,
)
from app.conform.lines import Exchange, NotKeptError, NotTriedError
from app.conform.trial import DONE, Trial

#: Seconds between the sending of a call or an undo and the command that crashes the participant, one crash for each.
_AFTER_S = (0.0, 0.02, 0.1)
_LONGEST_COMMAND_S = 120


def crash(bench: Bench) -> None:
    _expect_hook(bench)
    saga, before = bench.saga(), bench.look()
    first = saga.do()
    _crash(bench)
    _expect_once_after_crash(bench, saga, first, before)
    for after_s in _AFTER_S:
        saga, before = bench.saga(), bench.look()
        with ThreadPoolExecutor(1) as thread:
            sent = thread.submit(saga.do)
            time.sleep(after_s)
            _crash(bench)
            first = sent.result()
        _expect_once_after_crash(bench, saga, first, before)
    expect_evidence(bench)


def crash_undo(bench: Bench) -> None:
    _expect_hook(bench)
    late, again = done_saga(bench), done_saga(bench)
    for saga in (again, late):  # the late call is that of the last undo, after which nothing else was written
        expect_undone(saga.undo(), "the undo before the crash")
    before = bench.look()
    _crash(bench)
    expect_too_late(bench, late)
    expect_undone(again.undo_until_known(), "the undo that is repeated after the crash")
    expect_no_change(bench, before, "the undo that is repeated after the crash has an effect, as --look shows")
    for after_s in _AFTER_S:
        saga, before = bench.saga(), bench.look()
        do_well(saga)
        with ThreadPoolExecutor(1) as thread:
            sent = thread.submit(saga.undo)
            time.sleep(after_s)
            _crash(bench)
            sent.result()
        expect_undone(saga.undo_until_known(), "the undo that is repeated after a crash")
        if bench.seen_change(before) not in ([], bench.undone_effect):
            raise NotKeptError("a crash during the undo has left an effect, as --look shows")
        expect_too_late(bench, saga)


def _expect_hook(bench: Bench) -> None:
    if not bench.subject.crash:
        raise NotTriedError("give --crash COMMAND, which kills the participant and starts it again")


def _expect_once_after_crash(bench: Bench, saga: Trial, first: Exchange, before: object) -> None:
    again = saga.do_until_known()
    expect_done(again, "the call that is repeated after the crash")
    if first.outcome in DONE:
        expect_same(first, again)
    expect_one_effect(bench, before)


def _crash(bench: Bench) -> None:
    """Crash the participant. Raise NotKeptError when it does not come back."""
    _run(bench.subject.crash)
    if not bench.answers(bench.patience_s):
        raise NotKeptError(
            "the participant did not come back after the hook: it does not answer for the "
            f"{bench.patience_s:g} s of --patience"
        )


def _run(command: str) -> None:
    """Run a command of the shell. Raise NotTriedError when it fails."""
    with tempfile.TemporaryFile() as output:  # no pipe, because the participant that it starts would hold it open
        try:
            code = subprocess.run(  # noqa: S602  the author's own command line
                command, shell=True, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                timeout=_LONGEST_COMMAND_S, check=False,
            ).returncode  # fmt: skip
        except subprocess.TimeoutExpired:
            raise NotTriedError(f"the command of --crash took more than {_LONGEST_COMMAND_S} s") from None
        if code:
            output.seek(0)
            lines = output.read().decode(errors="replace").split("\n")
            said = next((line for line in reversed(lines) if line), "")
            raise NotTriedError(f"the command of --crash ended with {code}: {said}")


#: Name of a line → its trial.
TRIALS: dict[str, Callable[[Bench], None]] = {"crash": crash, "crash-undo": crash_undo}
