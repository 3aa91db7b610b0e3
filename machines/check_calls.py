"""The checks of one call alone: the types and bounds of its columns. `check_references` checks its references later."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from machines.call import Call, Mixed
from machines.check_fields import FIELD_NAME, type_problems
from machines.check_templates import template_problems
from machines.check_types import column_of, misused, no_text, out_of, shown
from machines.children import Start
from machines.fields import Field, FieldKind
from machines.keeps import Kept, kept_of
from machines.outcomes import IN_DOUBT, NOT_SENT, Outcome
from machines.references import legal_in_header
from machines.retry import Retry
from machines.templates import Function, constants, references
from machines.words import Misused

#: Header with the idempotency key. A table may set it to a value derived from `saga.key`, such as a shorter key.
KEY_HEADER = "Idempotency-Key"
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
MOST_ATTEMPTS = 1_000_000  # largest Retry.attempts; a larger number is a typing error
LARGEST_FACTOR = 100  # largest Retry.factor; a larger number is a typing error
#: Longest wait or deadline, in seconds: ten years. A longer one is a typing error, and may end after the year 9999,
#: which no date can hold.
LONGEST_WAIT_S = 10 * 366 * 86_400
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
#: Headers that a table cannot set, in lower case: the service or its HTTP connection decides them.
OUR_HEADERS = frozenset({
    "host", "content-length", "transfer-encoding", "connection", "accept-encoding", "traceparent",
    "saga-id", "saga-step", "saga-epoch", "saga-reply-to", "expect", "upgrade", "te", "trailer",
})  # fmt: skip
#: Legal types of a value that is kept from a header. All of them are texts, because a header is a text.
_OF_HEADER = frozenset({
    FieldKind.TEXT, FieldKind.UUID, FieldKind.DATE, FieldKind.DATETIME, FieldKind.CHOICE, FieldKind.DECIMAL,
})  # fmt: skip
_LOWEST_STATUS, _HIGHEST_STATUS = 200, 599
#: Type of a field → the types of its values in a reply. Other types are not listed: their values are texts or numbers.
_MEANT = {
    FieldKind.BOOLEAN: (bool,), FieldKind.TEXT: (str,), FieldKind.CHOICE: (str,), FieldKind.UUID: (str,),
    FieldKind.INTEGER: (int,), FieldKind.DATE: (str,), FieldKind.DATETIME: (str,),
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
        yield from (problem for name in call.headers for problem in _header_problems(call, name))
    yield from _means_problems(call)
    yield from _keeps_problems(call)
    yield from call_retry_problems(call)


def start_problems(start: Start) -> Iterator[str]:
    """Yield each problem of the start of a child saga that can be found without the rest of the table."""
    yield from no_text("saga=", start.participant)
    if not isinstance(data := column_of(start, "body"), Mapping | None):
        yield f"data= is {shown(data)}, no dict; write data={{'field': 'reference'}}"
    elif data is not None:
        yield from template_problems("data=", data)
    yield from _keeps_problems(start)
    if isinstance(start.keeps, Mapping):
        for name, declared in start.keeps.items():
            if isinstance(declared, Kept) and declared.header:
                yield f"keeps= of {name!r} is a header, and a saga answers with none; write at('step.field', text())"


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
    elif isinstance(body, str) or not (body is None or isinstance(body, (Mapping, list, tuple, Function, Misused))):
        example = "write post('participant', '/path', name='field'), or body={'name': 'field'}"
        yield f"its body is {shown(body)}, no dict; {example}"
    elif body is not None:
        yield from template_problems("its body", body)


def _named_values(call: Call, column: str) -> Iterator[str]:
    values = column_of(call, column)
    if not isinstance(values, Mapping):
        mended = f"write {column}={{'name': 'field'}}, or body={{{column!r}: …}} for a field of the body"
        yield f"{column}= is {shown(values)}, no dict; {mended}"
        return
    for name, value in values.items():
        yield from template_problems(f"{column}= {name!r}" if isinstance(name, str) else f"{column}=", {name: value})


def _header_problems(call: Call, name: object) -> Iterator[str]:
    if not isinstance(name, str) or not _HEADER.fullmatch(name):
        yield f"headers= names {shown(name)}, which no header may be called"
    elif name.lower() in OUR_HEADERS:
        yield f"the header {name} is set by the service itself; take it out"
    elif wrong := [text for text in constants(call.headers[name]) if not legal_in_header(text)]:
        yield f"the header {name} has {shown(wrong[0])}, and a header has printable ASCII characters alone"
    elif name.lower() == KEY_HEADER.lower():
        if name != KEY_HEADER:
            yield f"the header {name} is set by the service as {KEY_HEADER}; write it so, or take it out"
        elif not list(template_problems("", value := call.headers[name])) and "saga.key" not in references(value):
            yield f"the header {name} does not follow from saga.key; write computed(function, 'saga.key')"


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
        elif not isinstance(key, str) or "" in key.split("."):
            yield f"means= names {shown(key)}; give a status, or the path of a field of the reply in quotes"
        elif key.isdecimal() and not isinstance(meaning, Mapping):
            yield f"means= names the status {key!r} as a text; write the number {key}, without quotes"
        elif not isinstance(meaning, Mapping) or not meaning:
            yield f"means= {key!r} is {shown(meaning)}; write {{{key!r}: {{'declined': REFUSED}}}}"
        else:
            yield from _unmatched_problems(call, key, meaning)
            for value, outcome in meaning.items():
                if not (value is None or isinstance(value, (str, int))):
                    yield f"means= {key!r} names the value {shown(value)}; give a text, a number, true, false or None"
                yield from _outcome_problems(f"means= {key!r} {shown(value)}", outcome)


def _unmatched_problems(call: Call, path: str, meaning: Mapping[Any, Any]) -> Iterator[str]:
    """Yield a problem for each value of `means=` that the field at this path cannot have. keeps= gives its type."""
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
        words = "SUCCEEDED, REFUSED, REFUSED_UNDO, IN_DOUBT, NOT_SENT or ACCEPTED"
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
    if not isinstance(column_of(kept, "source"), str) or ("" in kept.source.split(".") and not kept.header):
        yield f"it comes from {shown(kept.source)}; write a path such as 'booking.id', or the name of a header"
    elif kept.header and not _HEADER.fullmatch(kept.source):
        yield f"{kept.source!r} is no name of a header"
    if not isinstance(otherwise := column_of(kept, "otherwise"), str) or (otherwise and "" in otherwise.split(".")):
        yield f"otherwise= is {shown(otherwise)}; write a path in the body, such as 'existing.id'"
    if kept.header and field.kind not in _OF_HEADER:
        yield f"a header is a text, no {field.kind}; use text(), decimal(), date() or choice()"


def call_retry_problems(call: Call) -> Iterator[str]:
    retry = column_of(call, "retry")
    if isinstance(retry, Misused):
        yield from misused("retry", retry)
    elif isinstance(retry, Retry):
        yield from retry_problems(retry)
    elif isinstance(retry, Mapping):
        for outcome, each in retry.items():
            if outcome not in (IN_DOUBT, "in_doubt", NOT_SENT):
                yield f"retry= names {shown(outcome)}; only IN_DOUBT and NOT_SENT are sent again"
            if isinstance(each, Misused):
                yield from misused("retry", each)
            elif isinstance(each, Retry):
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
