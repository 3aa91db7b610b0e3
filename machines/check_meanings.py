"""The check of `means=` as a whole: at least one reply of each call means that the call is done."""

from collections.abc import Iterator, Mapping

from machines.call import Call
from machines.children import Start
from machines.fields import Field, every_value
from machines.keeps import kept_of
from machines.outcomes import SUCCEEDED
from machines.step import Step

_OK = 200
_NEVER = {
    "call": "the step is never done", "undo": "the step is never undone",
    "probe": "the probe never finds what was done", "poll": "only its time ends the wait",
}  # fmt: skip


def meaning_problems(step: Step) -> Iterator[str]:
    """Yield a problem for each call of a step whose `means=` lets no reply be a success."""
    calls = {"call": step.call, "undo": step.undo, "probe": step.probe, "poll": step.poll}
    for column, call in calls.items():
        if call is None or isinstance(call, Start) or (column == "call" and step.asks is not None):
            continue  # an accepted call is done when its poll says so
        kept = [kept_of(name, each) for of in (step.call, call) if of for name, each in of.keeps.items()]
        what = f"the means= of its {column}"
        if path := _without_success(call, {each.source: each.field for each in kept if not each.header}):
            yield f"{what}: no value of {path!r} means SUCCEEDED, so {_NEVER[column]}; leave one out"
        elif column == "poll" and call.means.get(_OK, SUCCEEDED) != SUCCEEDED and SUCCEEDED not in call.named_outcomes:
            yield f"{what}: 200 means {call.means[_OK]}, so {_NEVER[column]}; leave 200 out"


def _without_success(call: Call, types: Mapping[str, Field]) -> str:
    """Return the first field that decides about every reply and never means a success; "" for none."""
    for path, meanings in call.means.items():
        if not isinstance(path, str) or not isinstance(meanings, Mapping):
            continue
        if SUCCEEDED in meanings.values():
            return ""
        every = every_value(types[path]) if path in types else (True, False)
        if every and all(value in meanings for value in every):
            return path
    return ""
