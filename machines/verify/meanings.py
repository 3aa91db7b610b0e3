"""What a status says of the action by the contract of docs/participants.md, and where a table's `means=` says more.

A table may know its participant better: `means={403: REFUSED}`. But a 500 may come before the action and after it, so
`means={500: REFUSED}` may be untrue. The search tries such a reply in both cases. Some meanings only the author can
know, such as `means={409: SUCCEEDED}` for what exists already; the search believes these.
"""

from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from typing import Any, NamedTuple

from machines.call import Call
from machines.fields import FieldKind
from machines.outcomes import Outcome
from machines.references import parts
from machines.replies import ERROR_FIELDS
from machines.saga import Saga
from machines.step import Kind, Step
from machines.testing.successes import another, type_of
from machines.verify.events import Event

#: Name of an untrue meaning among the properties.
UNTRUE = "untrue meaning"


class Truth(StrEnum):
    """What is true when a reply is sent."""

    #: The call has done what it asks for.
    DONE = "done"
    #: The participant has said no, and nothing happens later.
    REFUSED = "refused"
    #: The participant has said no, but left something behind that must be undone.
    LEFT = "left"
    #: The participant does it later, or refuses it later.
    ACCEPTED = "accepted"
    #: It was done before, and the participant answers that the key is in use: it may be busy with the first attempt.
    BUSY = "busy"
    #: It was done, and the probe does not find it yet.
    UNSEEN = "unseen"
    #: The call was done or not: the reply does not tell.
    UNKNOWN = "unknown"
    #: The call has not reached the part that acts on it.
    UNTOUCHED = "untouched"


TRUTHS: Mapping[Outcome, Truth] = {
    Outcome.SUCCEEDED: Truth.DONE, Outcome.REFUSED: Truth.REFUSED, Outcome.REFUSED_UNDO: Truth.LEFT,
    Outcome.ACCEPTED: Truth.ACCEPTED, Outcome.IN_DOUBT: Truth.UNKNOWN, Outcome.NOT_SENT: Truth.UNTOUCHED,
}  # fmt: skip
#: Statuses by what they say of the action. The first of each tuple stands for those with the same outcome.
BY_TRUTH: Mapping[Truth, tuple[int, ...]] = {
    Truth.REFUSED: (409, 400, 402, 404, 410, 412, 422, 423),
    Truth.UNKNOWN: (500, 408, 425, 300, 302, 303, 502, 503, 504, 202),
    Truth.UNTOUCHED: (429, 301, 307, 308, 401, 403, 405, 406, 407, 414, 415, 421, 431),
}
_BY_STATUS = {status: truth for truth, statuses in BY_TRUTH.items() for status in statuses}
#: Statuses that may say: it is so already, or it is accepted, and no answer follows. Only the author can know.
_ALREADY = (202, 404, 409, 410)
_TAKEN = {Truth.DONE: "a success", Truth.REFUSED: "a refusal", Truth.UNTOUCHED: "a call that was not sent"}
_REDIRECT = 300
#: What an action has left that was done.
_HAPPENED = (Truth.DONE, Truth.LEFT, Truth.BUSY, Truth.UNSEEN)


def by_contract(status: int) -> Truth:
    """Return what a status says by the contract."""
    usual = {2: Truth.DONE, 4: Truth.REFUSED}.get(status // 100, Truth.UNKNOWN)
    return _BY_STATUS.get(status, usual)


class Doubtful(NamedTuple):
    """A reply for which a table has a meaning that may be untrue."""

    #: Status, or path of a field, in `means=`.
    key: int | str
    #: Value of the field; None for a status.
    value: Any
    #: What the table takes as true, and everything that may be true.
    claimed: Truth
    tried: tuple[Truth, ...]

    @property
    def reply(self) -> str:
        """The name of the reply."""
        return str(self.key) if isinstance(self.key, int) else f"200 with {self.key} {self.value!r}"

    @property
    def sentence(self) -> str:
        """What the table says, and why it may be untrue."""
        taken = _TAKEN[self.claimed]
        if isinstance(self.key, str):
            said = f"{self.key} {self.value!r}"
            return f"means= does not name {said}, so a 200 with it counts as {taken}; it may not be done"
        if self.claimed is Truth.DONE:
            return f"means= takes {self.key} for {taken}; a participant may give this answer when it has not done it"
        return f"means= takes {self.key} for {taken}; a participant may give this answer after it has done it"

    def is_untrue(self, truth: Truth) -> bool:
        """Return True when the table takes something else as true than what is true."""
        return (truth not in _HAPPENED) if self.claimed is Truth.DONE else truth in (*_HAPPENED, Truth.ACCEPTED)


def doubtful(step: Step, call: Call) -> Iterator[Doubtful]:
    """Yield each reply to a call of a step for which the call's `means=` has a meaning that may be untrue.

    A read changes nothing, so it is left out: what its reply means, its author decides.
    """
    if step.kind is Kind.READ:
        return
    for key, meaning in call.means.items():
        if isinstance(key, int) and isinstance(meaning, str):
            claimed, usual = TRUTHS[Outcome(meaning)], by_contract(key)
            believed = key in _ALREADY and (call is step.call or call is step.undo)
            if _may_be_untrue(claimed, usual, believed=believed):
                yield Doubtful(key, None, claimed, (Truth.UNKNOWN,) if usual is Truth.UNKNOWN else (claimed, usual))
        elif isinstance(meaning, Mapping):
            for value in _unnamed(step, call, str(key), meaning):
                yield Doubtful(key, value, Truth.DONE, (Truth.UNKNOWN,))


def _may_be_untrue(claimed: Truth, usual: Truth, *, believed: bool) -> bool:
    if claimed is Truth.DONE:
        return usual is not Truth.DONE and not believed
    return claimed in (Truth.REFUSED, Truth.UNTOUCHED) and usual in (Truth.DONE, Truth.UNKNOWN)


def _unnamed(step: Step, call: Call, path: str, meaning: Mapping[Any, Any]) -> Iterator[Any]:
    """Yield values of a field of a success that `means=` does not name. A 200 with one of them is a success."""
    named = Outcome.SUCCEEDED in map(Outcome, meaning.values())
    field = type_of(step, call, path)
    if field is not None and field.kind is FieldKind.CHOICE:
        others = [value for value in field.choices if value not in meaning]
        yield from others if named or len(others) > 1 else ()  # a single one is the success
    elif named and any(isinstance(value, bool) for value in meaning):
        yield from (value for value in (True, False) if value not in meaning)
    elif (named and field is not None) or _has_further_values(call, path, meaning, named=named):
        yield from (value for value in (another(meaning),) if value is not None)


def _has_further_values(call: Call, path: str, meaning: Mapping[Any, Any], *, named: bool) -> bool:
    """Return True when a success may come with a value of a field that `means=` does not name.

    named: a value means a success. A field that only refuses, without a status of an error in `means=`, says the errors
    of a 2xx, and other ones as well: a 4xx is a refusal without such a field.
    """
    if named:
        return None in meaning or not _is_of_error(path)
    statuses = [key for key in call.means if isinstance(key, int)]
    only_refuses = all(Outcome(each) is Outcome.REFUSED for each in meaning.values())
    return _is_of_error(path) and only_refuses and max(statuses, default=0) < _REDIRECT


def _is_of_error(path: str) -> bool:
    """Return True for a field by whose name only an error has it: no success comes with a further value of it."""
    return not ERROR_FIELDS.isdisjoint(parts(path))


def subject_of(step: Step, call: Call, key: int | str) -> str:
    """Return the words by which an author accepts a meaning: `pay 500`, `undo pay 404`, `probe pay 200`."""
    purposes = {"undo": step.undo, "probe": step.probe, "poll": step.poll}
    purpose = next((f"{purpose} " for purpose, each in purposes.items() if each is not None and each is call), "")
    return f"{purpose}{step.name} {key}"


def untrue_in(definition: Saga, path: Iterable[Event]) -> tuple[Step, str, str] | None:
    """Return the first reply of a path that the table takes for something else than what is true; None: there is none.

    Return its step, the words by which an author accepts the meaning, and a sentence about it.
    """
    steps = {step.name: step for step in definition.steps}
    for event in path:
        step, (kind, _, purpose) = steps.get(event.step), event.kind.partition(":")
        if step is None or kind != "call":
            continue
        call = {"undo": step.undo, "probe": step.probe, "poll": step.poll}.get(purpose, step.call)
        assert isinstance(call, Call)
        for each in doubtful(step, call):
            if event.reply in (each.reply, f"{each.reply} with Retry-After") and each.is_untrue(Truth(event.what)):
                subject = subject_of(step, call, each.key)
                return step, subject, each.sentence
    return None
