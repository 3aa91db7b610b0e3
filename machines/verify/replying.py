"""Every reply that a participant or the network may give to a call, sorted by what the participant has then done.

A status means what the contract of docs/participants.md says, unless the call's `means=` says otherwise: then the
author knows the participant better, and where he may be wrong (`machines.verify.meanings`), both are tried. The outcome
of a reply is not written here, but found by `machines.attempts`.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any

from machines.call import Call
from machines.keeps import kept_of
from machines.outcomes import Outcome
from machines.references import parts, within
from machines.replies import NO_ROUTE, SCALAR, Reply, outcome_of
from machines.saga import Saga
from machines.step import Step
from machines.testing.successes import acceptance, another, fields, meaningless, success, type_of
from machines.verify.distinct import distinct_body, distinct_headers, other_form, put, put_exactly
from machines.verify.fitting import otherwise, unfit
from machines.verify.meanings import BY_TRUTH, TRUTHS, Truth, doubtful, subject_of
from machines.verify.truth import is_legal, near_misses

#: End of the name of a success that lacks the fields of the table.
WITHOUT_FIELDS = " without the fields"
#: End of the name of a success with a value that its type does not accept.
UNFIT = ", which its type refuses"
#: Name of a reply that another attempt would get, too, so this attempt is the last.
FINAL = "a reply that is too large"
#: Names of a reply that says when to send the call again, and of a call that has left no process.
ASKS_TO_WAIT, NO_CONNECTION = "503 with Retry-After", "no connection"
_LONGEST_SHOWN = 30
#: Statuses that say of a poll only that its address is wrong, unknown yet or no longer known.
_ABOUT_THE_ADDRESS = (400, 404, 410)
_DETAIL: Mapping[str, Any] = {"detail": "no"}
_NO_ANSWER = "the connection was lost before the answer"


def replies_to(
    definition: Saga, step: Step, call: Call, *, undoes: bool, accepted: Collection[str] = ()
) -> Mapping[Truth, list[tuple[str, Reply]]]:
    """Return the replies to a call by their truth, each with a name that a person reads.

    accepted: the meanings that the author vouches for, as `subject_of` names them.
    """
    found: dict[Truth, list[tuple[str, Reply]]] = {truth: [] for truth in Truth}
    body = meaningless(step, call, distinct_body(step, call, fields(definition, step, call)))
    accepting = distinct_body(step, call, acceptance(step, body)) if call is step.call and not undoes else body
    kept = distinct_headers(step, call)
    by_field = any(isinstance(meaning, Mapping) and None in meaning for meaning in call.means.values())
    for name, reply in _plain(step, call, body):
        found[Truth.DONE].append((name, reply))
    found[Truth.UNKNOWN].append(("no answer", Reply(error=_NO_ANSWER)))
    for truth, statuses in BY_TRUTH.items():
        for status in statuses:
            if status in call.means or (status == 202 and by_field):  # noqa: PLR2004  a missing field may say no
                continue
            accepts = status == 202 and (call is step.call or call is step.poll) and step.later is not None  # noqa: PLR2004
            gone = call.method == "DELETE" and status in (404, 410)
            means = Truth.ACCEPTED if accepts else Truth.DONE if gone else truth
            if call is step.poll and status in _ABOUT_THE_ADDRESS:
                means = Truth.UNKNOWN
            found[means].append((str(status), _reply(status, accepting, kept) if accepts else _reply(status, _DETAIL)))
            if accepts and call is step.call:  # what the poll asks by, and no more
                found[means].append((f"{status}{WITHOUT_FIELDS}", _reply(status, acceptance(step), kept)))
    found[Truth.UNKNOWN].append((ASKS_TO_WAIT, _reply(503, _DETAIL, retry_after_s=1.0)))
    said = TRUTHS[Outcome(call.means[200])] if 200 in call.means else Truth.UNKNOWN  # type: ignore[arg-type]  # noqa: PLR2004
    found[said].append(("a body that is no JSON", Reply(status=200, unreadable="no JSON")))
    found[said].append((FINAL, Reply(status=200, unreadable="too large", final=True)))
    found[Truth.UNTOUCHED].append((NO_CONNECTION, Reply(error="no connection could be made", sent=False)))
    found[Truth.BUSY].append(("409", _reply(409, _DETAIL)))
    if 404 not in call.means:  # noqa: PLR2004
        found[Truth.UNTOUCHED] += _of_a_gateway()
    for truth, name, reply in _declared(step, call, (body, accepting), accepted):
        found[truth].insert(0, (name, reply))
    found[Truth.DONE] += _named_without_fields(call)
    found[Truth.DONE] += _of_other_values(step, call, _plain(step, call, body), undoes=undoes)
    if call is step.probe:
        found[Truth.UNSEEN] = list(found[Truth.REFUSED])
    return found


def _of_a_gateway() -> Iterator[tuple[str, Reply]]:
    """Yield each 404 that a proxy, a gateway or a framework has sent instead of the participant."""
    yield "404 without JSON", Reply(status=404)
    yield "404 without a body", Reply(status=404, body={}, blank=True)
    yield "404 with a text", Reply(status=404, body={SCALAR: "no"}, scalar=True)
    yield "404 of Kong without a route", _reply(404, {"message": NO_ROUTE})


def _plain(step: Step, call: Call, body: Any) -> Iterator[tuple[str, Reply]]:
    """Yield the replies of a success: 200 and 201, with every field that the table needs, and then without."""
    good = success(step, call, body)
    kept = distinct_headers(step, call)
    for status in (200, 201):
        if status not in call.means or Outcome(call.means[status]) is Outcome.SUCCEEDED:  # type: ignore[arg-type]
            yield str(status), Reply(status=status, body=good, headers=kept)
    other = other_form(step, call, good, kept)
    if other != (good, kept) and 200 not in call.means:  # noqa: PLR2004
        yield "200 in another form", Reply(status=200, body=other[0], headers=other[1])
    if call is step.poll and 200 not in call.means:  # noqa: PLR2004  what accepted the call has other ones
        answered = success(step, call, distinct_body(step, call, body, f"{step.name} answered"))
        yield "200 with other values", Reply(status=200, body=answered, headers=kept)
    if not any(isinstance(key, str) for key in call.means):  # there a missing field may say something else
        yield f"200{WITHOUT_FIELDS}", Reply(status=200, body={})


def _of_other_values(
    step: Step, call: Call, plain: Iterator[tuple[str, Reply]], *, undoes: bool
) -> Iterator[tuple[str, Reply]]:
    """Yield a success with each kept value in another form, and with values that its type does not accept.

    plain: the replies of a success; the first one is changed. Nothing is kept of the reply to an undo.
    """
    status, reply = next(plain, ("", Reply()))
    if undoes or not status.isdecimal():
        return
    for name, declared in (call.keeps or step.keeps).items():
        kept = kept_of(name, declared)
        try:
            value = within(reply.body, parts(kept.source))
        except (LookupError, TypeError):
            continue
        if kept.header or kept.source in call.means:
            continue
        if (other := otherwise(kept.field, value)) is not None:
            yield f"{status} with {kept.source} {other!r}", replace(reply, body=put(reply.body, kept.source, other))
        for each in unfit(kept.field):
            shown = f"{status} with {kept.source} {_shown(each)}{UNFIT}"
            yield shown, replace(reply, body=put_exactly(reply.body, kept.source, each))


def _shown(value: Any) -> str:
    return repr(value) if len(repr(value)) <= _LONGEST_SHOWN else f"of {len(value)} characters"


def _declared(
    step: Step, call: Call, bodies: tuple[Any, Any], accepted: Collection[str]
) -> Iterator[tuple[Truth, str, Reply]]:
    """Yield the replies that the call's `means=` names.

    bodies: of a success, and of a reply that accepts the call. accepted: see `replies_to`.
    """
    body, accepting = bodies
    done, kept = success(step, call, body), distinct_headers(step, call)
    named = [key for key in call.means if isinstance(key, int)]
    unsure = {each.reply: each for each in doubtful(step, call) if subject_of(step, call, each.key) not in accepted}
    for key, meaning in call.means.items():
        if isinstance(key, int):
            claimed = TRUTHS[Outcome(meaning)]  # type: ignore[arg-type]
            good = accepting if claimed is Truth.ACCEPTED else done if claimed in (Truth.DONE, Truth.LEFT) else _DETAIL
            good = _undecided(call, good) if key // 100 == 2 else good  # noqa: PLR2004
            for truth in unsure[str(key)].tried if str(key) in unsure else (claimed,):
                yield truth, str(key), _reply(key, good, kept)
            continue
        assert isinstance(meaning, Mapping)
        for value, outcome in meaning.items():
            truth = TRUTHS[Outcome(outcome)]
            only_200 = value is None or truth in (Truth.DONE, Truth.LEFT, Truth.ACCEPTED)
            statuses = (200,) if only_200 else dict.fromkeys((200, 409, *named))  # the field decides first
            good = accepting if truth is Truth.ACCEPTED else done if truth is Truth.DONE else body
            for status in statuses:
                yield truth, f"{status} with {key} {value!r}", _reply(status, put(good, key, value), kept)
    yield from _near(step, call, body, kept)
    for each in unsure.values():
        if isinstance(each.key, str):
            yield Truth.UNKNOWN, each.reply, _reply(200, put(body, each.key, each.value), kept)


def _near(step: Step, call: Call, body: Any, kept: Mapping[bytes, bytes]) -> Iterator[tuple[Truth, str, Reply]]:
    """Yield replies with a near miss of a value that `means=` names, which the engine takes for this value."""
    said = Outcome(call.means.get(200, Outcome.SUCCEEDED))  # type: ignore[arg-type]
    for key, meaning in call.means.items():
        if not isinstance(key, str) or not isinstance(meaning, Mapping):
            continue
        for value in near_misses([each for each in meaning if each is not None]):
            is_named = any(type(each) is type(value) and each == value for each in meaning)
            reply = _reply(200, put(body, key, value), kept)
            legal = not is_named and is_legal(type_of(step, call, key), value)
            if legal and outcome_of(reply, call=call) is not said:
                yield TRUTHS[said], f"200 with {key} {value!r}", reply


def _named_without_fields(call: Call) -> Iterator[tuple[str, Reply]]:
    """Yield each success that `means=` names, with no other field."""
    bare = _undecided(call, {})
    for key, meaning in call.means.items():
        if isinstance(key, int):
            if meaning == Outcome.SUCCEEDED:
                yield f"{key}{WITHOUT_FIELDS}", _reply(key, bare)
            continue
        assert isinstance(meaning, Mapping)
        for value in (each for each, outcome in meaning.items() if Outcome(outcome) is Outcome.SUCCEEDED):
            yield f"200 with {key} {value!r}{WITHOUT_FIELDS}", _reply(200, put(bare, key, value))


def _undecided(call: Call, body: Any) -> Any:
    """Return the body of a 2xx in which no field that is missing has a meaning, so that the status decides."""
    for key, meaning in call.means.items():
        if isinstance(key, str) and isinstance(meaning, Mapping) and None in meaning:
            body = put(body, key, another(meaning))
    return body


def _reply(
    status: int, body: Any, kept: Mapping[bytes, bytes] | None = None, retry_after_s: float | None = None
) -> Reply:
    return Reply(status=status, body=body, headers=kept or {}, retry_after_s=retry_after_s)
