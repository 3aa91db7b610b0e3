"""What a trial expects of a participant. Each function raises NotKeptError when the participant does something else."""

from collections.abc import Hashable, Mapping
from contextlib import suppress
from typing import Any

from app.conform.bench import Bench
from app.conform.effects import in_words
from app.conform.lines import Exchange, NotKeptError, NotTriedError, OtherAnswerError
from app.conform.trial import DONE, Trial
from machines.call import Call
from machines.keeps import kept_of
from machines.outcomes import Outcome
from machines.references import parts, within
from machines.replies import ERROR_FIELDS, as_json

_SUCCESS = 2
_ALSO_OF_SUCCESSES = frozenset({"detail", "reason"})


def done_saga(bench: Bench) -> Trial:
    """Return a saga whose call is done. Raise NotTriedError when it is not."""
    saga = bench.saga()
    do_well(saga)
    return saga


def do_well(saga: Trial) -> Exchange:
    """Make the call of a saga. Raise NotTriedError when it is not done."""
    made = saga.do()
    if made.outcome not in DONE:
        raise NotTriedError(f"the call before is not done: {made.reply.reason}")
    return made


def expect_done(made: Exchange, which: str) -> None:
    expect_reached(made)
    if made.outcome not in DONE:
        raise NotKeptError(f"{which} is not answered as done: {made.reply.reason}")


def expect_reached(made: Exchange) -> None:
    """Raise NotKeptError when the participant has ended: it was there when the trial began."""
    if made.reply.status is None and not made.reply.sent:
        raise NotKeptError(f"the participant answers no more: {made.reply.reason}")


def expect_no_error(made: Exchange, call: Call | None, which: str) -> None:
    """Raise NotKeptError when a 2xx that counts as done has a field of errors that the table does not speak of."""
    if made.outcome in DONE and call is not None and (found := _error_in(made, call)):
        name, value = found
        raise NotKeptError(
            f"{which} is answered with {made.reply.status} and {name} {as_json(value)}, which counts as done; "
            f"if it is an error, write means={{{name!r}: {{…}}}} in the table, or keep {name} if it is none"
        )


def _error_in(made: Exchange, call: Call) -> tuple[str, Any] | None:
    """Return the first field of errors in a 2xx, and its value; None without any.

    A success may well have a `detail` or a `reason`. They count when the table knows them as fields of errors.
    """
    if made.reply.status is None or made.reply.status // 100 != _SUCCESS:
        return None
    meant = [path for path in call.means if isinstance(path, str) and not ERROR_FIELDS.isdisjoint(parts(path))]
    kept = {parts(kept_of(name, each).source)[0] for name, each in call.keeps.items()}
    for path in (*meant, *sorted(ERROR_FIELDS - _ALSO_OF_SUCCESSES - kept - {parts(path)[0] for path in meant})):
        with suppress(LookupError, TypeError):
            value = within(made.reply.body, parts(path))
            meanings = call.means.get(path, {})
            if value and not (isinstance(meanings, Mapping) and isinstance(value, Hashable) and value in meanings):
                return path, value
    return None


def expect_same(first: Exchange, again: Exchange, words: str = "the repeated call gets another answer") -> None:
    if first.taken != again.taken:
        raise OtherAnswerError(words)


def expect_one_effect(bench: Bench, before: object, words: str = "") -> None:
    if bench.one_effect is None:
        return
    if (seen := bench.seen_change(before)) != bench.one_effect:
        raise NotKeptError(words or f"--look shows {in_words(seen, bench.one_effect)} where one effect was expected")


def expect_no_change(bench: Bench, before: object, words: str) -> None:
    if bench.look() != before:
        raise NotKeptError(words)


def expect_evidence(bench: Bench) -> None:
    """Raise NotTriedError when neither replies nor a look would show a second effect."""
    if bench.one_effect is None and not bench.replies_differ:
        raise NotTriedError(bench.no_evidence)


def expect_undone(made: Exchange, which: str) -> None:
    if made.outcome not in DONE:
        raise NotKeptError(f"{which} is not answered as done, so the saga would be stuck: {made.reply.reason}")


def expect_refused(made: Exchange, which: str) -> None:
    if made.outcome in DONE:
        raise NotKeptError(f"{which} is answered as done")
    if made.outcome not in (Outcome.REFUSED, Outcome.REFUSED_UNDO):
        raise NotKeptError(f"{which} is not answered as refused: {made.reply.reason}")


def expect_too_late(bench: Bench, saga: Trial) -> None:
    before = bench.see(saga)
    made = saga.do()
    if made.outcome in DONE and bench.look() != before.shown:
        raise NotKeptError("the late call has an effect, as --look shows")
    expect_refused(made, "the late call")
    bench.expect_no_effect(saga, before, "the late call")
