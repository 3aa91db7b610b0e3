"""The checks of one call alone: the types and bounds of its columns. `check_references` checks its references later."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from machines.call import Call, Mixed
from machines.check_fields import FIELD_NAME, type_problems
from machines.check_types import column_of, no_text, out_of, shown, unstorable
from machines.fields import Field, FieldKind
from machines.keeps import Kept, kept_of
from machines.outcomes import IN_DOUBT, NOT_SENT, Outcome
from machines.retry import Retry
from machines.templates import Function, references

#: Header with the idempotency key. A table may send another key that follows from this one, such as a shorter one.
KEY_HEADER = "Idempotency-Key"
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
MOST_ATTEMPTS = 1_000_000  # largest Retry.attempts; a larger number is a typing error
LARGEST_FACTOR = 100  # largest Retry.factor; a larger number is a typing error
#: Longest wait or deadline, in seconds: ten years. A longer one is a typing error, and may end after the year 9999,
#: which no date can hold.
LONGEST_WAIT_S = 10 * 366 * 86_400
_DEEPEST = 20  # largest number of dicts and lists in a value, one inside the other; the checks recurse into them
_SMALLEST_CONSTANT, _LARGEST_CONSTANT = -(2**63), 2**64 - 1  # a larger integer is written number(const("…"))
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
#: Headers that a table cannot set, in lower case: the service or its HTTP connection decides them.
OUR_HEADERS = frozenset({
    "host", "content-length", "transfer-encoding", "connection", "accept-encoding", "traceparent",
    "saga-id", "saga-step", "saga-epoch", "expect", "upgrade", "te", "trailer",
})  # fmt: skip
#: Legal types of a value that is kept from a header. All of them are texts, because a header is a text.
_OF_HEADER = frozenset({
    FieldKind.TEXT, FieldKind.UUID, FieldKind.DATE, FieldKind.DATETIME, FieldKind.CHOICE, FieldKind.DECIMAL,
})  # fmt: skip
_LOWEST_STATUS, _HIGHEST_STATUS = 200, 599
#: Type of a field → the types of the values that it has in a reply. The other types have texts and numbers.
_MEANT = {
    FieldKind.BOOLEAN: (bool,), FieldKind.TEXT: (str,), FieldKind.CHOICE: (str,), FieldKind.UUID: (str,),
    FieldKind.INTEGER: (int,), FieldKind.DATE: (str,), FieldKind.DATETIME: (str,),
}  # fmt: skip
#: Function → the number of its arguments. join() and computed() are absent, because they take any number.
_ARGUMENTS = {
    "const": 1, "maybe": 1, "fallback": 2, "cents": 1, "number_of": 1, "text_of": 1, "total": 1, "upper": 1, "lower": 1,
    "each_item": 2,
}  # fmt: skip


def shape_problems(call: Call) -> Iterator[str]:
    """Yield each problem of a call that can be found without the rest of the table."""
    if call.method not in _METHODS:
        yield f"its method {shown(call.method)} is none of {', '.join(_METHODS)}; use get() or post()"
    yield from no_text("its participant", call.participant)
    yield from no_text("its path", call.path)
    yield from _body_problems(call)
    yield from _named_values(call, "query")
    yield from _named_values(call, "headers")
    if isinstance(call.headers, Mapping):
        yield from (problem for name, value in call.headers.items() for problem in _header_problems(name, value))
    yield from _means_problems(call)
    yield from _keeps_problems(call)
    yield from call_retry_problems(call)


def _body_problems(call: Call) -> Iterator[str]:
    body = column_of(call, "body")
    if isinstance(body, Mixed) and call.method == "GET":
        name = min(body.fields)
        yield f"a GET has no body, so {name}= would be ignored; write query={{{name!r}: …}}, or use post()"
        return
    if isinstance(body, Mixed):
        ways = [*(["body="] if body.body else []), *(["form="] if body.form else []), *map(repr, body.fields)]
        yield f"its body is written as {' and as '.join(ways)}; write one of body=, form= and fields"
        return
    if body and call.method == "GET":
        yield "a GET is sent without its body; put the value into the path as {field}, or use post()"
    if call.form and not isinstance(body, Mapping):
        yield f"its form is {shown(body)}, no dict; write form={{'field': 'reference'}}"
    elif isinstance(body, str) or not (body is None or isinstance(body, (Mapping, list, tuple, Function))):
        example = "write post('participant', '/path', name='field'), or body={'name': 'field'}"
        yield f"its body is {shown(body)}, no dict; {example}"
    else:
        yield from template_problems("its body", body)


def _named_values(call: Call, column: str) -> Iterator[str]:
    values = column_of(call, column)
    if not isinstance(values, Mapping):
        mended = f"write {column}={{'name': 'field'}}, or body={{{column!r}: …}} for a field of the body"
        yield f"{column}= is {shown(values)}, no dict; {mended}"
        return
    for name, value in values.items():
        yield from template_problems(f"{column}= {name!r}" if isinstance(name, str) else f"{column}=", {name: value})


def _header_problems(name: object, value: Any) -> Iterator[str]:
    if not isinstance(name, str) or not _HEADER.fullmatch(name):
        yield f"headers= names {shown(name)}, which no header may be called"
    elif name.lower() in OUR_HEADERS:
        yield f"the header {name} is set by the service itself; take it out"
    elif name.lower() == KEY_HEADER.lower():
        if name != KEY_HEADER:
            yield f"the header {name} is set by the service as {KEY_HEADER}; write it so, or take it out"
        elif "saga.key" not in references(value):
            yield f"the header {name} does not follow from saga.key; write computed(function, 'saga.key')"


def template_problems(what: str, value: Any, depth: int = _DEEPEST) -> Iterator[str]:
    """Yield a problem for each part of a value that is no reference, no function, and no dict or list of them.

    what: the words for the value in the problem. depth: how many levels of dicts and lists the value can have.
    """
    if depth == 0:
        yield f"{what} is nested deeper than {_DEEPEST}; make it flatter"
    elif isinstance(value, str):
        yield from unstorable(f"{what} is", value)
    elif isinstance(value, Mapping):
        yield from _member_problems(what, value, depth)
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from template_problems(what, each, depth - 1)
    elif isinstance(value, Function):
        yield from _function_problems(what, value, depth)
    elif value is not None:
        yield f"{what} is {shown(value)}, no reference; write {_instead('name', value)}"


def _member_problems(what: str, value: Mapping[Any, Any], depth: int) -> Iterator[str]:
    for name, each in value.items():
        if not isinstance(name, str):
            yield f"{what} names {shown(name)}; write a text"
            continue
        yield from unstorable(f"{what} names", name)
        if each is None or isinstance(each, (bool, int, float)):
            yield f"{what}'s {name!r} is {shown(each)}, no reference; write {_instead(name, each)}"
        else:
            yield from template_problems(f"{what}'s {name!r}", each, depth - 1)


def _instead(name: str, value: Any) -> str:
    flat = f"{name}='field' for one of data, or {name}='step.field' for one of an earlier reply"
    return f"const({shown(value)}) for a constant, {flat}" if _is_json(value) else flat


def _function_problems(what: str, function: Function, depth: int) -> Iterator[str]:
    name, arguments = column_of(function, "name"), column_of(function, "arguments")
    if not (isinstance(name, str) and isinstance(arguments, tuple)):
        yield f"{what} is a Function that was made by hand; use a function of machines.templates"
        return
    expected = _ARGUMENTS.get(name)
    if function.own is None and name != "join" and expected is None:
        yield f"{what} has the function {name!r}, which is none; use one of machines.templates"
    elif expected is not None and len(arguments) != expected:
        yield f"{what}: {name}() takes {expected} argument{'s' if expected > 1 else ''}; use the function {name}()"
    elif name == "const":
        if not _is_json(arguments[0]):
            yield f"{what}: const({shown(arguments[0])}) is no JSON; give a text, a number, a dict or a list"
    elif name in ("maybe", "fallback", "total", "each_item") and not isinstance(arguments[0], str):
        yield f"{what}: {name}() takes a reference, not {shown(arguments[0])}; write {name}('field'…)"
    else:
        if function.own is not None and (not callable(function.own) or "<lambda>" in name or "<locals>" in name):
            yield f"{what}: computed() takes a function with a name, defined in a module; give it one"
        for argument in arguments:
            yield from template_problems(f"{what}: {name}()", argument, depth - 1)


def _is_json(value: Any) -> bool:
    if isinstance(value, Mapping):
        return all(isinstance(name, str) and _is_json(each) for name, each in value.items())
    if isinstance(value, (list, tuple)):
        return all(map(_is_json, value))
    if isinstance(value, str):
        return not list(unstorable("", value))
    if isinstance(value, int):
        return _SMALLEST_CONSTANT <= value <= _LARGEST_CONSTANT
    return value is None or (isinstance(value, float) and not list(out_of("", value, -1e300, 1e300)))


def _means_problems(call: Call) -> Iterator[str]:
    means = column_of(call, "means")
    if not isinstance(means, Mapping):
        yield f"means= is {shown(means)}, no dict; write means={{409: IN_DOUBT}}"
        return
    for key, meaning in means.items():
        if isinstance(key, int) and not isinstance(key, bool):
            if not _LOWEST_STATUS <= key <= _HIGHEST_STATUS:
                yield f"means= names the status {key}; give one from {_LOWEST_STATUS} to {_HIGHEST_STATUS}"
            yield from _outcome_problems(f"means= {key}", meaning)
        elif not isinstance(key, str) or not key:
            yield f"means= names {shown(key)}; give a status, or the path of a field of the reply in quotes"
        elif not isinstance(meaning, Mapping) or not meaning:
            yield f"means= {key!r} is {shown(meaning)}; write {{{key!r}: {{'declined': REFUSED}}}}"
        else:
            yield from _unmatched_problems(call, key, meaning)
            for value, outcome in meaning.items():
                if not (value is None or isinstance(value, (str, int))):
                    yield f"means= {key!r} names the value {shown(value)}; give a text, a number, true, false or None"
                yield from _outcome_problems(f"means= {key!r} {shown(value)}", outcome)


def _unmatched_problems(call: Call, path: str, meaning: Mapping[Any, Any]) -> Iterator[str]:
    """Yield a problem for each value that the field at this path never has, as far as keeps= says what it has."""
    if not isinstance(keeps := column_of(call, "keeps"), Mapping):
        return
    kept = {name: kept_of(name, each) for name, each in keeps.items() if isinstance(each, (Kept, Field))}
    sources = {each.source: each.field for each in kept.values() if isinstance(each.source, str) and not each.header}
    if path in kept and path not in sources and not kept[path].header:
        yield f"means= {path!r} is the name of what is kept, not its place in the reply; write {kept[path].source!r}"
    field = sources.get(path)
    if not isinstance(field, Field) or field.kind not in _MEANT or not isinstance(field.choices, tuple):
        return
    for value in meaning:
        fits = type(value) in _MEANT[field.kind] and (field.kind is not FieldKind.CHOICE or value in field.choices)
        if value is not None and not fits:
            yield f"means= {path!r} names the value {shown(value)}, which a field of type {field.kind} never has"


def _outcome_problems(what: str, outcome: object) -> Iterator[str]:
    try:
        Outcome(outcome)  # type: ignore[arg-type]  # an author may write any value
    except ValueError:
        words = "SUCCEEDED, REFUSED, REFUSED_UNDO, IN_DOUBT or NOT_SENT"
        yield f"{what} is {shown(outcome)}, no outcome; use {words}"


def _keeps_problems(call: Call) -> Iterator[str]:
    keeps = column_of(call, "keeps")
    if not isinstance(keeps, Mapping):
        yield f"keeps= is {shown(keeps)}, no dict; write keeps={{'booking.id': text()}}"
        return
    for name, kept in keeps.items():
        parts = name.split(".") if isinstance(name, str) else [""]
        if not all(FIELD_NAME.fullmatch(part) and part.isprintable() for part in parts):
            yield f"keeps= names {shown(name)}; write names with dots between them"
            continue
        if inner := [other for other in keeps if isinstance(other, str) and other.startswith(f"{name}.")]:
            yield f"keeps= has {name!r} and, within it, {inner[0]!r}; keep one of them"
        yield from (f"keeps= {name!r}: {problem}" for problem in _kept_problems(kept))


def _kept_problems(kept: object) -> Iterator[str]:
    field = kept.field if isinstance(kept, Kept) else kept
    yield from type_problems(field)
    if not isinstance(kept, Kept) or not isinstance(field, Field):
        return
    if not isinstance(column_of(kept, "source"), str) or not kept.source:
        yield f"it comes from {shown(kept.source)}; write a path such as 'booking.id', or the name of a header"
    elif kept.header and not _HEADER.fullmatch(kept.source):
        yield f"{kept.source!r} is no name of a header"
    if kept.header and field.kind not in _OF_HEADER:
        yield f"a header is a text, no {field.kind}; use text(), decimal(), date() or choice()"


def call_retry_problems(call: Call) -> Iterator[str]:
    retry = column_of(call, "retry")
    if isinstance(retry, Retry):
        yield from retry_problems(retry)
    elif isinstance(retry, Mapping):
        for outcome, each in retry.items():
            if outcome not in (IN_DOUBT, "in_doubt", NOT_SENT):
                yield f"retry= names {shown(outcome)}; only IN_DOUBT and NOT_SENT are sent again"
            if isinstance(each, Retry):
                yield from retry_problems(each)
            else:
                yield f"retry= {shown(outcome)} is {shown(each)}; write Retry(attempts=3)"
    elif retry is not None:
        yield f"retry= is {shown(retry)}; write Retry(attempts=3), or {{IN_DOUBT: Retry(attempts=3)}}"


def retry_problems(retry: Retry) -> Iterator[str]:
    yield from out_of("retry: attempts=", retry.attempts, 1, MOST_ATTEMPTS, whole=True)
    yield from out_of("retry: base_s=", retry.base_s, 0, LONGEST_WAIT_S)
    yield from out_of("retry: factor=", retry.factor, 1, LARGEST_FACTOR)
    yield from out_of("retry: cap_s=", retry.cap_s, 0, LONGEST_WAIT_S)
