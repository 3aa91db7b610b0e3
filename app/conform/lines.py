"""The lines of a participant's contract, and the kinds of participant that must keep each line."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from app.calls.request import Request
from machines.outcomes import Outcome
from machines.participant_kinds import ParticipantKind as Kind
from machines.replies import Reply

_ALL = frozenset(Kind)
_KEYS = frozenset({Kind.BARRIER, Kind.KEY})
_BARRIER = frozenset({Kind.BARRIER})

#: What each kind means for a table.
ADVICE: Mapping[Kind, str] = {
    Kind.BARRIER: "It keeps the barrier: a table may use everything.",
    Kind.KEY: (
        "It keeps idempotency keys, but no barrier: let the undo use the id of the reply, with repeatable=True or a "
        "probe that finds a lost id."
    ),
    Kind.NONE: "It keeps no idempotency keys: use retry=NEVER, and a probe that finds out what an attempt has done.",
}


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of the contract."""

    name: str
    #: What the participant does when it keeps the line.
    says: str
    #: The kinds that must keep the line. For the others, the line is tried but does not fail.
    kinds: frozenset[Kind]


LINES: Mapping[str, Line] = {
    line.name: line
    for line in (
        Line(name="done", says="the call is done, and its reply is understood", kinds=_ALL),
        Line(name="other-key", says="another key is another action", kinds=_ALL),
        Line(name="same-key", says="the same key gets the same answer, and the effect happens once", kinds=_KEYS),
        Line(name="other-body", says="the same key with another body is refused", kinds=_BARRIER),
        Line(name="at-once", says="calls with one key at the same time have one effect", kinds=_KEYS),
        Line(name="lost-reply", says="a call whose client hangs up has one effect when it is repeated", kinds=_KEYS),
        Line(name="undo", says="the undo is done, and what others have done stays", kinds=_ALL),
        Line(name="undo-twice", says="a repeated undo is answered as done, and changes nothing more", kinds=_ALL),
        Line(name="undos-at-once", says="undos with one key at the same time have one effect", kinds=_KEYS),
        Line(name="probe", says="the probe distinguishes what was done from what was not", kinds=_ALL),
        Line(name="probe-undone", says="after the undo the probe does not find the call", kinds=_BARRIER),
        Line(name="late-do", says="a call that comes again after its undo is refused", kinds=_BARRIER),
        Line(name="undo-unknown", says="the undo of something unknown is accepted", kinds=_BARRIER),
        Line(name="undo-before-do", says="a call that comes after its undo is refused", kinds=_BARRIER),
        Line(name="undo-at-once", says="a call and its undo at the same moment leave nothing", kinds=_BARRIER),
        Line(name="poll", says="a poll is answered as pending, and then as done", kinds=_ALL),
        Line(name="poll-unknown", says="a poll for something unknown is not answered as done or pending", kinds=_ALL),
        Line(name="poll-undone", says="after the undo a poll is not answered as done", kinds=_BARRIER),
        Line(name="answer", says="an accepted call is answered at Saga-Reply-To, in time and in full", kinds=_ALL),
        Line(name="answer-again", says="the answer is sent again until it is taken, and not after that", kinds=_ALL),
        Line(name="answer-once", says="a repeated call brings no other answer", kinds=_KEYS),
        Line(name="answer-undone", says="an undo before the answer prevents the call, and 410 ends it", kinds=_BARRIER),
        Line(name="refused-again", says="a refusal changes nothing, and a repeated call is refused again", kinds=_KEYS),
        Line(name="undo-refused", says="the undo of a refused call is accepted", kinds=_BARRIER),
        Line(name="crash", says="a call that a crash interrupts has one effect when it is repeated", kinds=_KEYS),
        Line(name="crash-undo", says="after a crash an undo is known, and a late call is refused", kinds=_BARRIER),
        Line(name="odd-body", says="a body that is not understood is refused with 4xx", kinds=_BARRIER),
        Line(name="huge-body", says="a body of 2 MiB is answered, with 2xx or 4xx", kinds=_BARRIER),
        Line(name="slow-client", says="a slow client is answered, and holds up no other call", kinds=_BARRIER),
    )
}  # fmt: skip


class Verdict(StrEnum):
    KEPT = "kept"
    NOT_KEPT = "not kept"
    NOT_TRIED = "not tried"


class NotKeptError(Exception):
    """The participant does not keep the line. The text says what it did instead."""


class OtherAnswerError(NotKeptError):
    """A repeated call gets another answer. That alone does not show if it has another effect."""


class HarmError(NotKeptError):
    """The participant does what no kind of participant may do, such as taking back the effects of other sagas."""


class SetUpError(Exception):
    """Nothing can be tried. The text says what must be changed first."""


class NotTriedError(Exception):
    """The line cannot be tried. The text says why, and what is missing."""


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """One request to the participant and its reply."""

    #: The part of the reply that the table keeps.
    taken: Any = None
    #: "call", "undo", "probe", "poll", "look", "answer" (a later answer, from the participant to this program), or the
    #: name of an earlier step.
    what: str
    request: Request
    reply: Reply
    #: The meaning of the reply for the table.
    outcome: Outcome


@dataclass(frozen=True, kw_only=True)
class Finding:
    """The result for one line."""

    line: Line
    verdict: Verdict
    #: What the participant did instead, or why the line was not tried; "" for a line that is kept.
    why: str
    #: False for a line that the kind of participant need not keep.
    required: bool
    #: True: no kind of participant may do what it did.
    harms: bool = False
    #: True: only its answers differ; whether it has another effect is not known.
    other_answer: bool = False
    #: The requests and replies, when the line is not kept.
    exchanges: tuple[Exchange, ...] = ()

    @property
    def failed(self) -> bool:
        return self.verdict is Verdict.NOT_KEPT and self.required


#: The lines of requests that no saga sends.
_STRANGE = frozenset({"odd-body", "huge-body", "slow-client"})
#: The lines of later answers; those after an undo count only for a step that has one.
_ANSWERS = frozenset({"poll", "poll-unknown", "answer", "answer-again", "answer-once"})
_ANSWERS_UNDONE = frozenset({"poll-undone", "answer-undone"})


def conclusion(findings: Sequence[Finding], *, has_undo: bool) -> tuple[Kind | None, str]:
    """Return the kind of the participant, and what it means for the table; None: it has none, or is not known."""
    found = _strictest(findings)
    if found is None:
        return None, "It breaks a line that every kind must keep: no table can use it safely."
    wanted = _ANSWERS | _ANSWERS_UNDONE if has_undo else _ANSWERS
    if untried := [
        each.line.name for each in findings if each.verdict is Verdict.NOT_TRIED and each.line.name in wanted
    ]:
        return None, f"Its later answers are not tried to the end, so its kind is not known: see {', '.join(untried)}."
    differing = [each.line.name for each in findings if each.other_answer]
    if found is Kind.NONE and _strictest(each for each in findings if not each.other_answer) is not Kind.NONE:
        return None, (
            f"A repeated call gets another answer ({', '.join(differing)}), so it is not known if it keeps idempotency "
            "keys. Keep only fields of the reply that stay the same (keeps=), give --look, which shows if the call has "
            "another effect, and try again. Until then use retry=NEVER and a probe."
        )
    broken = [each.line.name for each in findings if each.verdict is Verdict.NOT_KEPT]
    if broken and _STRANGE.issuperset(broken):
        return found, (
            f"It keeps idempotency keys, and but for {', '.join(broken)} the barrier: when that is mended, a table may "
            "use everything."
        )
    return found, ADVICE[found]


def _strictest(findings: Iterable[Finding]) -> Kind | None:
    """Return the strictest kind whose lines are all kept; None when even a line of every kind is not kept."""
    broken = [
        _ALL if finding.harms else finding.line.kinds for finding in findings if finding.verdict is Verdict.NOT_KEPT
    ]
    return next((kind for kind in Kind if not any(kind in kinds for kinds in broken)), None)
