"""Answers and values as Python source, for the tests that other modules write in the words of `machines.testing`."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from machines.testing.answers import (
    CHANGES,
    Always,
    Answer,
    accepted,
    busy,
    died,
    died_before,
    down,
    failed,
    lost,
    ok,
    pending,
    replies,
    unheard,
)

#: Longest line, and the indentation of a block, in characters.
WIDTH = 116
INDENT = "    "
#: Columns of an answer that a call of it can change, apart from its body and its status.
_COLUMNS = tuple(name for name in CHANGES if name != "status")
_NAMED: Mapping[str, Answer] = {
    each.name: each for each in (ok, lost, unheard, down, failed, died, died_before, accepted, pending)
}  # fmt: skip


def answer_source(answer: Answer | Always) -> str:
    """Return an answer as Python source."""
    if isinstance(answer, Always):
        return f"always({answer_source(answer.answer)})"
    kind, arguments, plain = _plain(answer)
    changes = [
        f"{name}={literal(value)}" for name in _COLUMNS if (value := getattr(answer, name)) != getattr(plain, name)
    ]
    if kind in _NAMED and answer.status != plain.status:
        changes.append(f"status={answer.status}")
    if not arguments and not changes:
        return kind if kind in _NAMED else f"{kind}()"
    separate = (
        ")(" if changes and kind not in _NAMED else ", " if arguments and changes else ""
    )  # refused("no")(rests=True)
    return f"{kind}({', '.join(arguments)}{separate}{', '.join(changes)})"


def _plain(answer: Answer) -> tuple[str, list[str], Answer]:
    """Return the word of an answer, its arguments, and the answer that the word with these arguments gives."""
    if answer.name in _NAMED:
        plain = _NAMED[answer.name]
        return answer.name, [literal(answer.body)] if answer.body != plain.body else [], plain
    word = answer.name.partition("(")[0]
    if word == "busy":
        return word, [], busy()
    if word == "refused":
        detail, rest = answer.body["detail"], {name: each for name, each in answer.body.items() if name != "detail"}
        arguments = [literal(detail), str(answer.status), *([literal(rest)] if rest else [])]
        return word, arguments, Answer(name=answer.name, status=answer.status, body=answer.body)
    status = answer.status or 0
    bodiless = replies(status, acts=answer.acts)
    arguments = [str(status), *([literal(answer.body)] if answer.headers or answer.body != bodiless.body else [])]
    arguments += [literal(dict(answer.headers))] if answer.headers else []
    plain = replies(status, answer.body, answer.headers)
    if answer.acts != plain.acts:
        arguments.append(f"acts={answer.acts}")
    return word, arguments, replies(status, answer.body, answer.headers, acts=answer.acts)


def words_of(answer: Answer | Always) -> set[str]:
    """Return the words of `machines.testing` that the source of an answer uses."""
    if isinstance(answer, Always):
        return {"always", *words_of(answer.answer)}
    return {answer.name.partition("(")[0]}


def literal(value: Any, depth: int = 0) -> str:
    """Return a value as Python source, on several lines when it is long. depth: indentation of these lines."""
    short = _short(value)
    if len(short) + len(INDENT) * depth < WIDTH - 40 or not isinstance(value, (Mapping, list, tuple)):
        return short
    inner = INDENT * (depth + 1)
    if isinstance(value, Mapping):
        parts = [f"{_short(name)}: {literal(each, depth + 1)}" for name, each in value.items()]
        return "{\n" + "".join(f"{inner}{part},\n" for part in parts) + INDENT * depth + "}"
    return "[\n" + "".join(f"{inner}{literal(each, depth + 1)},\n" for each in value) + INDENT * depth + "]"


def _short(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_short(name)}: {_short(each)}" for name, each in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_short, value)) + "]"
    if isinstance(value, Decimal):
        return f'Decimal("{value}")'
    return _text(str(value)) if isinstance(value, str) else repr(value)


def _text(value: str) -> str:
    """Return a text in double quotes, as this project writes texts."""
    text = repr(value)
    return f'"{text[1:-1]}"' if text[0] == "'" and '"' not in text else text
