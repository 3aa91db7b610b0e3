"""The part of a table that must not change under a running saga: as canonical JSON, and as a digest of that JSON.

It contains everything that decides which calls are made and which states exist: the steps with their order, kinds and
states, and the calls, undos and probes. A column at its default is left out, so a release that adds a column does not
change the digest of a table that does not use it.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, fields, is_dataclass
from dataclasses import Field as Column
from decimal import Decimal
from typing import Any

from machines.call import Call
from machines.fields import Field
from machines.later import Later
from machines.step import Step
from machines.table import Table
from machines.templates import Function
from machines.waiting import Waiting

#: Columns that may change under a running saga, so the digest leaves them out. Of a table: the data a new saga starts
#: with and where a branch has it from, the fields people search by, the events published, the calls at its ends, the
#: deadline, and the titles. Of a step: its retries, its time limits, its title and its amount. Of a call: its retries,
#: and what a reply means. Of a wait: its end, its role, and what a signal means. Of `later=`: its end, and the waits
#: between polls. Of a kept value: its bounds. Of a computed() function: its code; the digest contains its name.
_MAY_CHANGE: Mapping[type, frozenset[str]] = {
    Table: frozenset(
        {
            "name",
            "version",
            "data",
            "participants",
            "client",
            "store",
            "order",
            "tags",
            "events",
            "at_end",
            "started_by",
            "deadline_s",
            "priority",
            "at_once",
            "title",
            "titles",
            "replies",
        }
    ),
    Step: frozenset({"retry", "timeout_s", "dwell_s", "title", "amount"}),
    Call: frozenset({"means", "retry"}),
    Field: frozenset({"low", "high", "default", "example", "secret", "personal"}),
    Function: frozenset({"own"}),
    Waiting: frozenset({"for_s", "until", "means", "role", "over"}),
    Later: frozenset({"for_s", "every_s", "slowest_s"}),
}
#: The code of a computed() function has no text that can be compared.
_NEVER_SHOWN = frozenset({"own"})
#: Length of a digest, in characters. A digest only has to distinguish the few tables of one name and version.
_LENGTH = 16
#: Largest number of differences that `change` describes, so that its text stays one line; it only counts the others.
_NAMED = 3

_Plain = Mapping[str, Any]


def content_of(table: Table) -> str:
    """Return the part of the table that must not change under a running saga, as canonical JSON."""
    return json.dumps(plain(table), sort_keys=True, separators=(",", ":"))


def digest_of(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest()[:_LENGTH]


def change(old: str, new: str) -> str:
    """Return in one line the differences between two tables, each as `content_of` returned it."""
    found = list(_changes(json.loads(old), json.loads(new)))
    more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    return "; ".join(found[:_NAMED]) + more


def plain(value: Any, *, whole: bool = False) -> Any:
    """Return a part of a table as JSON values. whole: with the columns that may change under a running saga."""
    if is_dataclass(value):
        kind = next((kind for kind in _MAY_CHANGE if isinstance(value, kind)), type(value))
        left_out = _NEVER_SHOWN if whole else _MAY_CHANGE.get(kind, ())
        return {
            column.name: plain(getattr(value, column.name), whole=whole)
            for column in fields(value)
            if column.name not in left_out and getattr(value, column.name) != _default(column)
        }
    if isinstance(value, Mapping):
        return {str(name): plain(each, whole=whole) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(each, whole=whole) for each in value]
    return str(value) if isinstance(value, Decimal) else value


def _default(column: Column[Any]) -> Any:
    factory: Callable[[], Any] | Any = column.default_factory
    return column.default if factory is MISSING else factory()


def _changes(old: _Plain, new: _Plain) -> Iterator[str]:
    yield from column_changes("", {**old, "steps": None}, {**new, "steps": None})
    before, after = ({step["name"]: step for step in content["steps"]} for content in (old, new))
    gone, added = ([name for name in one if name not in other] for one, other in ((before, after), (after, before)))
    for name in gone:
        place = list(before).index(name)
        instead = list(after)[place] if place < len(after) else None
        if len(before) == len(after) and instead in added:
            added.remove(instead)
            yield f"step {name!r} is now {instead!r}"
            yield from column_changes(f"step {instead!r}: ", before[name] | {"name": instead}, after[instead])
        else:
            yield f"step {name!r} is gone"
    yield from (f"step {name!r} is new" for name in added)
    common = [name for name in before if name in after]
    if (order := [name for name in after if name in before]) != common:
        yield f"the order of the steps was {', '.join(common)} and is {', '.join(order)}"
    for name in common:
        yield from column_changes(f"step {name!r}: ", before[name], after[name])


def column_changes(where: str, old: _Plain, new: _Plain) -> Iterator[str]:
    """Yield in words each difference between two objects that `plain` returned.

    where: the words before each difference.
    """
    for column in sorted(old.keys() | new.keys()):
        was, now = old.get(column), new.get(column)
        if was != now:
            said, says = _said(was), _said(now)
            if said == says and isinstance(was, Mapping) and isinstance(now, Mapping):  # calls of one method and path
                other = ", ".join(name for name in sorted(was.keys() | now.keys()) if was.get(name) != now.get(name))
                yield f"{where}{column} {says} has another {other}"
            else:
                yield f"{where}{column} was {said} and is {says}"


def _as_word(value: Any) -> str:
    """Return a condition, or a function of a value, as the table writes it."""
    if isinstance(value, Mapping) and "arguments" in value:
        name = value.get("test") or value.get("name")
        return f"{name}({', '.join(map(_as_word, value['arguments']))})"
    return json.dumps(value)


def _said(value: Any) -> str:
    if isinstance(value, Mapping) and "method" in value:
        return f"{value['method']} {value['participant']}{value['path']}"
    if isinstance(value, Mapping) and any(isinstance(each, Mapping) and "method" in each for each in value.values()):
        return ", ".join(f"{name}: {_said(each)}" for name, each in value.items())
    if isinstance(value, Mapping) and "arguments" in value:
        return _as_word(value)
    return "nothing" if value is None else str(value) if isinstance(value, str) else json.dumps(value)
