"""Tries every line of the contract, one after the other."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from app.conform import callback_trials, crash_trials, poll_trials, probe_trials, trials, undo_trials
from app.conform.bench import Bench
from app.conform.lines import (
    LINES,
    Exchange,
    Finding,
    HarmError,
    NotKeptError,
    NotTriedError,
    OtherAnswerError,
    SetUpError,
    Verdict,
)
from machines.participant_kinds import ParticipantKind

_TRIALS = {
    **trials.TRIALS, **undo_trials.TRIALS, **probe_trials.TRIALS, **crash_trials.TRIALS, **poll_trials.TRIALS,
    **callback_trials.TRIALS,
}  # fmt: skip
#: Line → the lines without which its trial proves nothing.
_NEEDS: Mapping[str, tuple[str, ...]] = {
    "other-body": ("same-key",), "at-once": ("same-key", "other-key"), "crash": ("same-key", "other-key"),
    "lost-reply": ("same-key", "at-once"),
    "undo-twice": ("undo",), "late-do": ("undo",), "undo-before-do": ("undo-unknown",),
    "undo-at-once": ("undo", "undo-unknown", "undo-before-do", "at-once", "probe-undone"),
    "undo": ("other-key",), "undos-at-once": ("other-key", "undo", "undo-twice"), "probe-undone": ("probe", "undo"),
    "crash-undo": ("crash", "undo-twice", "late-do"),
    "undo-refused": ("undo-unknown", "refused-again"), "poll-unknown": ("poll",), "poll-undone": ("poll", "undo"),
    "answer-again": ("answer",), "answer-once": ("answer",), "answer-undone": ("answer", "undo"),
}  # fmt: skip
_UNDO = frozenset({
    "undo", "undo-twice", "undos-at-once", "probe-undone", "late-do", "undo-unknown", "undo-before-do", "undo-at-once",
    "undo-refused", "crash-undo",
})  # fmt: skip
#: Largest number of requests that are shown for a line: its last ones.
_MOST_SHOWN = 6
#: A participant that left a request without an answer has this time to come back, in seconds.
_COME_BACK_S = 10.0


class _Tried(NamedTuple):
    """What a trial has shown, as in `Finding`."""

    verdict: Verdict
    why: str = ""
    exchanges: tuple[Exchange, ...] = ()
    harms: bool = False
    other_answer: bool = False


def findings(bench: Bench, kind: ParticipantKind) -> Iterator[Finding]:
    """Try each line and yield its finding. Raise SetUpError when nothing can be tried."""
    broken, gone = set[str](), ""
    for name, line in LINES.items():
        if name in poll_trials.TRIALS and bench.subject.step.poll is None:
            continue
        if name in callback_trials.TRIALS and bench.desk is None:
            continue
        tried = _Tried(Verdict.NOT_TRIED, gone) if gone else _tried(bench, name, broken)
        if tried.verdict is Verdict.NOT_KEPT:
            broken.add(name)
        if not gone and _may_be_gone(bench, name) and not bench.answers(_COME_BACK_S):
            gone = f"the participant does not answer any more, since the line {name}"
        yield Finding(line=line, required=tried.harms or kind in line.kinds, **tried._asdict())


def _may_be_gone(bench: Bench, name: str) -> bool:
    """Return True when the participant was asked to end, or has left a request without an answer."""
    return name == "crash" or any(each.reply.status is None for each in bench.exchanges)


def _tried(bench: Bench, name: str, broken: set[str]) -> _Tried:
    if missing := next((each for each in ("done", *_NEEDS.get(name, ())) if each in broken), None):
        return _Tried(Verdict.NOT_TRIED, f"it proves nothing while the line {missing} is not kept")
    if name in _UNDO and bench.subject.undo is None:
        return _Tried(Verdict.NOT_TRIED, "the step has no undo; --undo names a call that undoes it")
    bench.exchanges.clear()
    try:
        _TRIALS[name](bench)
    except NotKeptError as error:
        shown = tuple(bench.exchanges[-_MOST_SHOWN:])
        return _Tried(
            Verdict.NOT_KEPT,
            str(error),
            shown,
            harms=isinstance(error, HarmError),
            other_answer=isinstance(error, OtherAnswerError),
        )
    except NotTriedError as error:
        return _Tried(Verdict.NOT_TRIED, str(error))
    except SetUpError as error:
        if name == "done":
            raise
        return _Tried(Verdict.NOT_TRIED, str(error))
    finally:
        bench.clean_up()
    return _Tried(Verdict.KEPT)
