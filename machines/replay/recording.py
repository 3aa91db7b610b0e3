"""A journal as a test: the answers that its rows record, and what came from outside, in their order.

The journal does not record every fact. A reply that was lost leaves open what its participant did, and a process that
died leaves no row. `Recording.unknown` names each such gap; nothing is guessed without a note.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from machines.history import ANSWERED, NO_ATTEMPT_LEFT, STILL_UNKNOWN, JournalEntry, is_probe, outcome, polls
from machines.later import Later
from machines.outcomes import DEFINITE, Outcome
from machines.progress import OBEYS
from machines.renaming import MIGRATE, as_named_now
from machines.replay import answers
from machines.replay.acts import Act
from machines.replay.script import Script
from machines.saga import Saga
from machines.step import Step
from machines.testing import Answer, Scenario, always, died, died_before, down, given, lost, ok, pending, refused
from machines.testing.memory import MAX_CLAIMS
from machines.transitions import Direction, Phase, State, Trigger
from machines.waiting import Waiting

#: Parts of the reason of a row that show what preceded the row.
_ONLY_ONCE, _PROBED_AFTER = "it may have been sent before, and it is sent only once", "; its probe: "
_NOT_DONE = refused("nothing was done", 404)
_SIGNAL = "signal "


@dataclass(frozen=True, kw_only=True)
class Recording:
    """A journal as a test."""

    scenario: Scenario
    acts: tuple[Act, ...]
    #: The moves of the journal, with the state names of the present table.
    moves: tuple[JournalEntry, ...]
    #: (purpose, step) → how many requests the journal records.
    requests: Mapping[tuple[str, str], int]
    #: What the journal does not say, in sentences.
    unknown: tuple[str, ...]
    #: Child → the state in which it was.
    ends: Mapping[tuple[tuple[str, int | None], ...], str] = field(default_factory=dict)


def recording(
    definition: Saga, data: Mapping[str, Any], journal: Sequence[JournalEntry], *, under_way: bool = False,
    below: bool = False,
) -> Recording:  # fmt: skip
    """Return the journal of a saga as a test of this table.

    under_way: the saga has not come to rest, so the test ends after the last answer. below: its parent is in the test,
    too, so what its parent asks for is no act of a person. Raise ValueError for data that the
    table refuses, and for a table that no test can run.
    """
    # A branch has its data from its parent, so no client was held to the bounds of its fields.
    scenario = Scenario(definition=definition, data=data) if definition.is_branch else given(definition, data)
    reader = _Reader(definition, [row for row in as_named_now(journal) if row.trigger != MIGRATE], below=below)
    reader.read(under_way=under_way)
    bodies = {step.name: body for step in definition.steps if (body := reader.body(step)) is not None}
    dated = any(step.waits is not None and step.waits.until is not None for step in definition.steps)
    began = journal[0].at if dated else None
    scenario = replace(scenario, script=reader.script.trimmed(), bodies=bodies, began=began, allows_unused=True)
    return Recording(
        scenario=scenario, acts=tuple(reader.acts), moves=tuple(reader.rows),
        requests=reader.script.requests, unknown=tuple(reader.notes),
    )  # fmt: skip


class _Reader:
    """Reads the rows of a journal from the first to the last."""

    def __init__(self, definition: Saga, rows: Sequence[JournalEntry], *, below: bool) -> None:
        self.definition, self.rows, self._below = definition, rows, below
        self.script = Script()
        self.acts: list[Act] = []
        self.notes: dict[str, None] = {}
        self._steps = {step.name: step for step in definition.steps}
        #: True when an attempt of the call of the present row may have worked.
        self._doubted = False
        #: Place of the present row.
        self._number = 0

    def read(self, *, under_way: bool) -> None:
        for number, row in enumerate(self.rows):
            self._number = number
            at = self.definition.states.get(row.source or "")
            if at is None and row.trigger != Trigger.START:
                self._note(f"The table has no state {row.source}, so the journal is not read beyond it.")
                return
            if at is not None:
                self._row(row, at)
            self._doubted = self._doubts(row) if row.source == row.dest else row.trigger == Trigger.RETRY
        if under_way:
            self._rest()

    def body(self, step: Step) -> Any:
        """Return the body of the step's success; None when the journal has none."""
        done = [row for row in self.rows if row.step == step.name and row.direction == Direction.DO]
        row = next((row for row in done if row.trigger == Trigger.SUCCEEDED), None)
        if row is None or step.call is None or step.starts is not None or not row.reply:
            return None
        return answers.body_of((step.call, *(call for call in (step.probe, step.poll) if call)), row.reply)

    def _row(self, row: JournalEntry, at: State) -> None:
        if (self._below and OBEYS.fullmatch(str(row.reason or ""))) or at.awaits_child:
            self._family(row, at)
        elif at.phase in (Phase.STUCK, Phase.COMPLETED):
            self._person(row)
        elif row.trigger == Trigger.CANCEL:
            self._cancel(row, at)
        elif at.phase is Phase.WAITING:
            self._wait_ended(row, at)
        elif row.trigger == Trigger.EXPIRE:
            if not self.script.expire(row.direction, row.step, self.definition.deadline_s):
                self._note(f"{row.step}: the deadline was over before its call; no test can repeat how.")
        elif row.trigger == Trigger.QUARANTINE:
            self.script.add("undo" if at.undoes else "do", _step(at), *[died_before] * (MAX_CLAIMS + 1))
            self._note(f"{_name(at)}: the processes that claimed it died; the test lets each die before the call.")
        elif at.call is not None and row.step in self._steps and outcome(row) is not None:
            self._called(row, at)

    def _family(self, row: JournalEntry, at: State) -> None:
        """Read a move of a parent that waits for its children, or that of a child whose parent goes back."""
        if not at.awaits_child:
            if at.phase is Phase.FORWARD and not self._doubted:
                self._note(f"{_name(at)}: its parent went back meanwhile; the test takes it that this call came first.")
        elif row.trigger == Trigger.CANCEL:
            self._act(row, "compensate", str(row.reason or "test"))
        elif row.trigger == Trigger.EXPIRE:
            self._act(row, "after")

    def _called(self, row: JournalEntry, at: State) -> None:
        """Read the answer to the call in flight, and to its probe."""
        reason, purpose = str(row.reason or ""), str(row.direction)
        if reason.startswith(ANSWERED):
            self._note(f"{row.step}: its answer came while its call was in doubt, which no test can repeat.")
            return
        if row.status_code is None and row.trigger == Trigger.REFUSED:
            return  # the condition could not be decided, or the call could not be built
        if not self._doubted and self._shows_doubt(row):
            self.script.add(purpose, _step(at), died)
            self._note(f"{row.step}: its process died during the call; the journal shows this only by what followed.")
            self._doubted = True
        if reason.startswith(_ONLY_ONCE):
            return
        if at.probe is not None and (self._doubted or is_probe(row)):
            self._probed(row, at)
        if not is_probe(row):
            self.script.add(purpose, _step(at), self._answer(row, at))
        elif row.trigger == Trigger.RETRY:
            self.script.add(purpose, _step(at), down)

    def _answer(self, row: JournalEntry, at: State) -> Answer:
        assert at.call is not None
        if row.trigger == Trigger.SUCCEEDED:
            return answers.success(at.call, row)
        if row.trigger == Trigger.ACCEPTED:
            return answers.acceptance(at.call, row)
        if row.trigger in (Trigger.REFUSED, Trigger.REFUSED_IN_DOUBT):
            return answers.refusal(at.call, row)
        if _PROBED_AFTER in str(row.reason):
            return answers.refusal_before_probe(at.call, row)
        acts = self._acted(row)
        if row.trigger == Trigger.DEFER:
            return answers.deferral(row, acts=acts)
        what = "did it" if acts else "did not do it"
        call = f"undo {row.step}" if row.direction == Direction.UNDO else row.step
        self._note(f"{call}: no clear answer came; the test takes it that the participant {what}.")
        return answers.doubt(row, acts=acts)

    def _probed(self, row: JournalEntry, at: State) -> None:
        """Read what the probe of the step has found before the row's call, or in its place."""
        reason = str(row.reason or "")
        if not is_probe(row):
            again = [lost] if row.trigger not in (Trigger.REFUSED_IN_DOUBT, Trigger.REFUSED) else [_NOT_DONE]
            self.script.add("probe", _step(at), _NOT_DONE, *(again if _PROBED_AFTER in reason else ()))
            self._note(f"{row.step}: the reply to its probe is not in the journal; the test takes it as a 404.")
        elif row.trigger == Trigger.SUCCEEDED:
            self.script.add("probe", _step(at), ok)
        elif reason.startswith(NO_ATTEMPT_LEFT):
            self.script.add("probe", _step(at), _NOT_DONE)
        elif reason.startswith(STILL_UNKNOWN) or row.trigger != Trigger.DEFER:
            self.script.add("probe", _step(at), lost)
        else:
            self.script.add("probe", _step(at), answers.deferral(row, acts=False))

    def _shows_doubt(self, row: JournalEntry) -> bool:
        """Return True when the row proves that an attempt before it was in doubt."""
        if row.direction == Direction.UNDO:
            return row.trigger == Trigger.REFUSED_IN_DOUBT
        following = self._following
        step = self._steps[row.step or ""]
        left = step.call is not None and Outcome.REFUSED_UNDO in answers.outcomes_of(step.call)
        included = following is not None and following.trigger == Trigger.COMPENSATE_INCLUDING
        undone = row.trigger == Trigger.REFUSED and included and not left
        once = str(row.reason or "").startswith(_ONLY_ONCE)
        return is_probe(row) or once or undone or row.trigger == Trigger.REFUSED_IN_DOUBT

    def _acted(self, row: JournalEntry) -> bool:
        """Return False when a later row shows that the participant did not do what an unclear attempt asked for."""
        for later in self.rows[self._number + 1 :]:
            if later.step == row.step and later.direction == row.direction:
                if later.trigger in (Trigger.REFUSED, Trigger.REFUSED_IN_DOUBT):
                    return False
                if later.trigger == Trigger.SUCCEEDED:
                    return is_probe(later) or row.status_code is None
        return row.status_code is None

    @property
    def _following(self) -> JournalEntry | None:
        """The row after the present one."""
        return self.rows[self._number + 1] if self._number + 1 < len(self.rows) else None

    def _doubts(self, row: JournalEntry) -> bool:
        return self._doubted or outcome(row) is Outcome.IN_DOUBT

    def _person(self, row: JournalEntry) -> None:
        """Read what an operator asked for."""
        method = {Trigger.RETRY: "retry", Trigger.RESOLVE: "resolve"}.get(Trigger(row.trigger), "compensate")
        reply = dict(row.reply) if method == "resolve" and isinstance(row.reply, Mapping) else {}
        self._act(row, method, str(row.reason or "test"), **reply)

    def _cancel(self, row: JournalEntry, at: State) -> None:
        """Let an operator cancel the saga before its next call, or during the call in flight."""
        following = self._following
        including = following is not None and following.trigger == Trigger.COMPENSATE_INCLUDING
        if at.phase is Phase.FORWARD and including and not self._doubted:
            self.script.add("do", _step(at), died(rests=True))
            self._note(f"{_name(at)}: it was cancelled during the call; the test takes it that the participant did it.")
        elif at.phase is Phase.FORWARD:
            self._rest()
        self._act(row, "compensate", str(row.reason or "test"))

    def _wait_ended(self, row: JournalEntry, at: State) -> None:
        """Read what ended a wait: a signal, an answer or time."""
        reason, waits = str(row.reason or ""), at.waits
        if isinstance(waits, Later):
            if at.poll is not None:
                self._polled(row, at)
            if is_probe(row):
                if row.source == row.dest or not self._doubted:
                    self._act(row, "after")
                self._probed(row, at)
            elif row.status_code is not None and at.poll is None and at.step is not None and at.step.call is not None:
                self._act(row, "answer", str(row.step), answers.answered_later(at.step.call, row))
            else:
                self._act(row, "after")
        elif isinstance(waits, Waiting) and waits.signal and reason.startswith(f"{_SIGNAL}{waits.signal} from "):
            self._act(row, "signal", waits.signal, **dict(row.reply or {}))
        else:
            self._act(row, "after")

    def _polled(self, row: JournalEntry, at: State) -> None:
        """Read what the polls have learned before the wait ended. Only the last one is in the journal."""
        number = polls(row)
        if row.trigger in DEFINITE and number and at.poll is not None:
            self.script.add("poll", _step(at), *[pending] * (number - 1), answers.answered_later(at.poll, row))
            return
        asks_again = any(polls(later) and later.step == row.step for later in self.rows[self._number + 1 :])
        if not is_probe(row) or row.source == row.dest or not self._doubted:
            self.script.add("poll", _step(at), *([pending] * number if asks_again else [always(pending)]))
            self._note(f"{row.step}: no poll learned its outcome; the test takes it that it is not done.")

    def _rest(self) -> None:
        if not self.script.rest():
            self._note("The saga was under way after a wait, where no test can stop; the test may go further.")

    def _act(self, row: JournalEntry, method: str, *arguments: Any, **named: Any) -> None:
        before = self.rows[self._number - 1]
        gap_s = (row.at - before.at).total_seconds()
        act = Act(state=str(row.source), method=method, arguments=arguments, named=named, gap_s=gap_s, at=row.at)
        self.acts.append(act)
        self.script.seal()

    def _note(self, text: str) -> None:
        self.notes[text] = None


def _step(at: State) -> str:
    assert at.step is not None
    return at.step.name


def _name(at: State) -> str:
    return f"undo {_step(at)}" if at.undoes else _step(at)
