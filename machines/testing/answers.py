"""The answers of participants in a test: what a participant does with a call, and what its caller learns."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from machines.outcomes import Outcome

_LOWEST, _REFUSED, _FAILED, _HIGHEST = 100, 400, 500, 599


class ProcessDiedError(BaseException):
    """Ends the run of a process that dies. No code of the process may go on, so it is no Exception."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What happens to one request."""

    #: Name of the answer, for the path and for the names of tests.
    name: str
    #: Status of the reply; None: the caller gets no reply.
    status: int | None = None
    #: Body of the reply; None: the body that the table needs.
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    #: True: the participant does what the call asks for.
    acts: bool = False
    #: False: the call does not leave the process.
    sent: bool = True
    #: True: the process dies after it has sent the call, so no reply is read.
    dies: bool = False
    #: Seconds that the participant asks to wait; None: it does not ask.
    retry_after_s: float | None = None
    #: Seconds until the caller learns of it.
    takes_s: float = 0.0
    #: True: the process stops after the answer, so that the test can act before the next call: cancel, let time pass.
    rests: bool = False
    #: Reason why there is no reply.
    error: str = ""

    def __post_init__(self) -> None:
        """Raise ValueError for a value that no reply has."""
        if problem := next(_problems(self), None):
            raise ValueError(f"the answer {self.name}: {problem}")

    def __call__(self, body: Any = None, **changes: Any) -> "Answer":
        """Return the answer with another body or other columns: `ok({"seat": "12A"})`."""
        if unknown := next((name for name in changes if name not in CHANGES), None):
            hint = f"a field of the body is written {self.name}({{{unknown!r}: …}})"
            raise TypeError(f"the answer {self.name} has no {unknown}=; it has {', '.join(CHANGES)}; {hint}")
        return replace(self, body=self.body if body is None else body, **changes)

    def __str__(self) -> str:
        return self.name


#: Columns that a call of an answer can change.
CHANGES = ("headers", "acts", "retry_after_s", "takes_s", "rests", "status")


def _problems(answer: Answer) -> Iterator[str]:
    status = answer.status
    if status is not None and not (isinstance(status, int) and _LOWEST <= status <= _HIGHEST):
        yield f"status is {status!r}, no number from {_LOWEST} to {_HIGHEST}"
    for name in ("takes_s", "retry_after_s"):
        value = getattr(answer, name)
        if value is not None and not (isinstance(value, int | float) and value >= 0):
            yield f"{name} is {value!r}, no number of seconds from 0 on"
    for name in ("acts", "rests"):
        if not isinstance(getattr(answer, name), bool):
            yield f"{name} is {getattr(answer, name)!r}, neither True nor False"
    headers = answer.headers
    if not (isinstance(headers, Mapping) and all(isinstance(each, str) for pair in headers.items() for each in pair)):
        yield f"headers are {headers!r}; write texts by name, such as {{'Location': '/seats/7'}}"
    if wrong := next(_not_json(answer.body), None):
        yield f"its body has {wrong[0]!r}, which no JSON has"


def _not_json(value: Any) -> Iterator[tuple[Any]]:
    """Yield each part of a value that is no JSON, in a tuple."""
    if isinstance(value, Mapping):
        yield from ((name,) for name in value if not isinstance(name, str))
        yield from (wrong for each in value.values() for wrong in _not_json(each))
    elif isinstance(value, (list, tuple)):
        yield from (wrong for each in value for wrong in _not_json(each))
    elif value is not None and not isinstance(value, (str, bool, int, float, Decimal)):
        yield (value,)


def check_body(value: Any, where: str) -> None:
    """Raise ValueError for a body that is no JSON. where: what the body belongs to."""
    if value is None or any(_not_json(value)):
        raise ValueError(f"{where}: {shown(value)} is no body; write JSON, such as {{'id': 'R7'}}")


#: The participant does it. Its reply has the fields that the table needs; a body of the test is taken as it stands.
ok = Answer(name="ok", status=200, acts=True)
#: The participant does it, and its reply is lost.
lost = Answer(name="lost", acts=True, error="the connection was lost before the answer")
#: The request is lost on its way: nothing is done, and no reply comes.
unheard = Answer(name="unheard", error="the connection was lost before the answer")
#: No connection can be made, so the call is not sent.
down = Answer(name="down", sent=False, error="no connection could be made")
#: The participant answers 500 and has done nothing.
failed = Answer(name="failed", status=500, body={"detail": "an error"})
#: The participant does it, and the process dies before it knows. Another process takes the saga over.
died = Answer(name="died", acts=True, dies=True, error="the process died")
#: The process dies just before the call leaves it. Another process takes the saga over.
died_before = Answer(name="died_before", dies=True, error="the process died")
#: The participant accepts the call with a 202; its answer comes later.
accepted = Answer(name="accepted", status=202)

#: The participant has no answer yet to a poll.
pending = Answer(name="pending", status=202)


def refused(detail: str = "no", status: int = 409, body: Mapping[str, Any] | None = None) -> Answer:
    """Return the answer of a participant that refuses the call. detail: its reason. status: from 400 to 499."""
    if not isinstance(detail, str):
        raise TypeError(f"refused({detail!r}): its reason comes first, as a text: refused('NO_MONEY', 404)")
    if not (isinstance(status, int) and _REFUSED <= status < _FAILED):
        raise ValueError(f"refused({detail!r}, {status!r}): a refusal is 400 to 499; write replies({status!r}, …)")
    if not isinstance(body, Mapping | None):
        raise TypeError(f"refused({detail!r}): its body is {body!r}; write a dict, or replies({status}, body)")
    return Answer(name=f"refused({detail!r})", status=status, body={"detail": detail, **(body or {})})


def busy(retry_after_s: float = 5.0) -> Answer:
    """Return the answer 503 with Retry-After: the participant asks to wait, and has done nothing."""
    if not isinstance(retry_after_s, int | float):
        raise TypeError(f"busy({retry_after_s!r}): write the seconds to wait, such as busy(5)")
    body = {"detail": "busy"}
    return Answer(name=f"busy({retry_after_s:g})", status=503, body=body, retry_after_s=retry_after_s)


def replies(
    status: int, body: Any = None, headers: Mapping[str, str] | None = None, *, acts: bool | None = None
) -> Answer:
    """Return a reply of any status. acts: the participant did it; by default after a 2xx other than 202.

    body: default: the body that the table needs when the participant did it, else an empty object.
    """
    if not isinstance(status, int):
        raise TypeError(f"replies({status!r}): its status comes first, as a number: replies(404, body)")
    done = 200 <= status < 300 and status != 202 if acts is None else acts  # noqa: PLR2004
    shown = {} if body is None and not done else body
    return Answer(name=f"replies({status})", status=status, body=shown, headers=headers or {}, acts=done)


@dataclass(frozen=True)
class Always:
    """The same answer to every request from now on."""

    answer: Answer

    def __str__(self) -> str:
        return f"always({self.answer})"


def always(answer: Answer) -> Always:
    """Return an answer that does not end: `always(lost)`. Without it, each answer is used once, and then `ok`."""
    if not isinstance(answer, Answer):
        raise TypeError(f"always({shown(answer)}): {_no_answer(answer)}")
    return Always(answer)


@dataclass(frozen=True)
class Items:
    """The answers to a step within each(), item by item."""

    of_item: tuple[Any, ...]

    def __str__(self) -> str:
        return f"items({', '.join(map(str, self.of_item))})"


def items(*answers: Any) -> Items:
    """Return answers to a step within each(): the first for the first item, and so on. Further items succeed.

    Each one is an answer, a list of answers, or the scenario of a child.
    """
    return Items(tuple(answers))


#: The answers to the requests of one call, in their order.
Answers = Answer | Always | Items | list[Answer | Always] | list[Answer]


@dataclass(kw_only=True)
class Queue:
    """The answers to the requests of one call that are left."""

    answers: tuple[Answer | Always, ...] = ()
    #: What it belongs to, see `machines.testing.unused`.
    key: tuple[str, str, int] | None = None
    #: How many of the answers were used.
    used: int = 0
    #: How many times the answer of `always` was given.
    repeated: int = 0

    def next(self) -> Answer:
        """Return the answer to the next request: each once, the answer of `always` without an end, and then `ok`."""
        if not self.answers:
            return ok
        first = self.answers[0]
        self.used += self.repeated == 0
        if isinstance(first, Always):
            self.repeated += 1
            return first.answer
        self.answers = self.answers[1:]
        return first


def listed(answers: Any, where: str = "") -> tuple[Answer | Always, ...]:
    """Return answers as a tuple. Raise TypeError for what is no answer. where: the call that they belong to."""
    each = tuple(answers) if isinstance(answers, (list, tuple)) else (answers,)
    for number, answer in enumerate(each, 1):
        if not isinstance(answer, (Answer, Always)):
            raise TypeError(f"{where}{shown(answer)}: {_no_answer(answer)}")
        if isinstance(answer, Always) and number < len(each):
            raise ValueError(f"{where}{answer} comes last; what is behind it is never used")
    return each


def shown(value: Any) -> str:
    """Return what a test has written in the place of an answer, for an error."""
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(shown, value))}]"
    if isinstance(value, (Answer, Always)):
        return str(value)
    return str(getattr(value, "__name__", repr(value)))


def _no_answer(value: Any) -> str:
    """Return why a value is no answer, and what to write instead."""
    if callable(value):
        return f"write it with parentheses, such as {shown(value)}({'' if value is refused else '…'})"
    return f"no answer; use one of {', '.join(WORDS)}"


#: Outcome of a call → an answer that has this outcome.
OF_OUTCOME: Mapping[Outcome, Answer] = {
    Outcome.SUCCEEDED: ok, Outcome.REFUSED: refused(), Outcome.IN_DOUBT: lost, Outcome.NOT_SENT: down,
    Outcome.ACCEPTED: accepted,
}  # fmt: skip
#: The words of the answers, as an error lists them.
WORDS = (
    "ok", "ok({…})", "refused(…)", "lost", "unheard", "failed", "busy(…)", "down", "died", "died_before", "accepted",
    "pending", "replies(…)", "always(…)",
)  # fmt: skip
