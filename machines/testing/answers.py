"""The answers of participants in a test: what a participant does with a call, and what its caller learns."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from machines.outcomes import Outcome


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

    def __call__(self, body: Any = None, **changes: Any) -> "Answer":
        """Return the answer with another body or other columns: `ok({"seat": "12A"})`."""
        return replace(self, body=self.body if body is None else body, **changes)

    def __str__(self) -> str:
        return self.name


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
    """Return the answer of a participant that refuses the call. detail: its reason."""
    return Answer(name=f"refused({detail!r})", status=status, body={"detail": detail, **(body or {})})


def busy(retry_after_s: float = 5.0) -> Answer:
    """Return the answer 503 with Retry-After: the participant asks to wait, and has done nothing."""
    body = {"detail": "busy"}
    return Answer(name=f"busy({retry_after_s:g})", status=503, body=body, retry_after_s=retry_after_s)


def replies(
    status: int, body: Any = None, headers: Mapping[str, str] | None = None, *, acts: bool | None = None
) -> Answer:
    """Return a reply of any status. acts: the participant did it; by default after a 2xx other than 202.

    body: default: the body that the table needs when the participant did it, else an empty object.
    """
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
    #: How many times the answer of `always` was given.
    repeated: int = 0

    def next(self) -> Answer:
        """Return the answer to the next request: each once, the answer of `always` without an end, and then `ok`."""
        if not self.answers:
            return ok
        first = self.answers[0]
        if isinstance(first, Always):
            self.repeated += 1
            return first.answer
        self.answers = self.answers[1:]
        return first


def listed(answers: Any) -> tuple[Answer | Always, ...]:
    """Return answers as a tuple. Raise TypeError for what is no answer."""
    each = tuple(answers) if isinstance(answers, (list, tuple)) else (answers,)
    for answer in each:
        if not isinstance(answer, (Answer, Always)):
            hint = "write it with parentheses, such as refused()" if callable(answer) else "use ok, lost, refused(…), …"
            raise TypeError(f"{answer!r} is no answer; {hint}")
    return each


#: Outcome of a call → an answer that has this outcome.
OF_OUTCOME: Mapping[Outcome, Answer] = {
    Outcome.SUCCEEDED: ok, Outcome.REFUSED: refused(), Outcome.IN_DOUBT: lost, Outcome.NOT_SENT: down,
    Outcome.ACCEPTED: accepted,
}  # fmt: skip
