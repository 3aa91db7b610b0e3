"""The sagas of one table with a database, participants, processes and operators. Everything runs in one thread.

Random incidents just before and after commits and sendings stand in for simultaneous actions of others. Afterwards, the
interrupted process may continue with a saga that another process has moved.
"""

from collections import Counter, defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import Engine as Database
from sqlalchemy import Row, Select, bindparam, delete, select, text, update

from app.engine.questions import Questions
from app.errors import ConflictError, GoneError, KeyReusedError, NotFoundError, StillRunningError
from app.store.access_models import AuditRow
from app.store.answers import ASKED, answers_in
from app.store.arrivals import Signal
from app.store.database import in_seconds
from app.store.instance import Instance
from app.store.loading import is_in_doubt
from app.store.models import ArrivalRow, JournalRow, SagaRow
from app.store.sagas import FencedError
from app.store.unknown_effects import still_unknown
from app.telemetry import Telemetry
from app.views.questions import askable_step
from machines.history import Answer, effects_of
from machines.later import arrival_name
from machines.machine import parts
from machines.registry import Registry
from machines.replies import Reply
from machines.saga import Saga
from machines.step import Kind
from machines.transitions import Trigger
from tests.property.participant import REFUSED, Participant
from tests.property.process import CONFIG, JITTER_S, Crash, Process
from tests.property.tables import LONGEST_WAIT_S, NAMES, WAIT, StepLine, body_of, table_of
from tests.property.waits import Sent

DATA = {"client_id": 4}
_SAGA, _JOURNAL, _ARRIVAL = SagaRow.__table__, JournalRow.__table__, ArrivalRow.__table__
_ALL = select(_SAGA).order_by(text("rowid"))
_ONE = select(_SAGA).where(_SAGA.c.id == bindparam("saga_id"))
#: A time before the beginning of every wait of a table.
_BEGUN_LONG_AGO = update(_SAGA).where(_SAGA.c.status == "waiting").values(entered_at=in_seconds(-2 * LONGEST_WAIT_S))
_ARRIVED = select(_ARRIVAL).where(_ARRIVAL.c.saga_id == bindparam("saga_id"))
#: Statuses in which a saga will wait for no signal any more.
_OVER = ("completed", "compensated", "compensating")
_AUDIT = AuditRow.__table__
_ASKED = select(_AUDIT).where(_AUDIT.c.saga_id == bindparam("saga_id"), _AUDIT.c.action == ASKED).order_by(_AUDIT.c.seq)
_MOVES = select(_JOURNAL).where(_JOURNAL.c.saga_id == bindparam("saga_id")).order_by(_JOURNAL.c.seq)


class Incident(StrEnum):
    """An event just before or after a commit or a sending."""

    NOTHING = "nothing"
    CRASH = "the process dies"
    TAKEN_OVER = "the lease runs out and another process runs the saga"
    CALLED_OFF = "an operator has it compensated"
    DELIVERED = "a delayed request arrives"
    ANSWERED = "a participant answers a call that it accepted"
    SIGNALLED = "the signal that the saga waits for next arrives"
    TOO_LATE = "all deadlines run out"
    WAITS_OVER = "the time of every wait is over"


@dataclass
class Simulation:
    """The sagas of one table, with everything that acts on them."""

    database: Database
    telemetry: Telemetry
    lines: Sequence[StepLine]
    table: Saga = field(init=False)
    #: The data of each new saga.
    data: Mapping[str, Any] = field(init=False)
    #: The table, and the tables of the sagas that it starts.
    registry: Registry = field(init=False)
    participant: Participant = field(default_factory=Participant)
    #: The incidents of the next commits and sendings.
    incidents: deque[StrEnum] = field(default_factory=deque)
    #: Sagas in the memory of frozen processes.
    frozen: list[Instance] = field(default_factory=list)
    #: The number of commits and the number of claims, for each saga.
    commits: Counter[UUID] = field(default_factory=Counter)
    claims: Counter[UUID] = field(default_factory=Counter)
    #: How often the parent of each saga has sent it back.
    sent_back: Counter[UUID] = field(default_factory=Counter)
    #: The signals and answers of each saga, in the order in which they were sent.
    sent: defaultdict[UUID, list[Sent]] = field(default_factory=lambda: defaultdict(list))
    #: The number of the last move of each waiting saga at each time when all waits were over.
    ends: defaultdict[UUID, list[int]] = field(default_factory=lambda: defaultdict(list))
    #: Errors that no test expects. The test fails when there are any.
    broken: list[Exception] = field(default_factory=list)
    #: The number of processes so far.
    processes: int = 0
    #: The time in seconds, the same for every process.
    now: float = 0.0
    #: The wait before each retry, in seconds.
    jitter_s: float = JITTER_S

    def __post_init__(self) -> None:
        self.table, self.registry, self.data = self._tables()
        with self.database.begin() as connection:
            connection.execute(delete(_ARRIVAL))
            connection.execute(delete(_JOURNAL))
            connection.execute(delete(_SAGA))
        steps = [step for table in self.registry for step in table.steps]
        self.participant.own_ids = frozenset(step.name for step in steps if step.undo_needs_reply)
        self.participant.leaving = frozenset(
            step.name for step in steps if step.call and step.call.means and step.kind is Kind.COMPENSATABLE
        )
        parts.cache_clear()  # the cache would keep every random table in memory

    def _tables(self) -> tuple[Saga, Registry, Mapping[str, Any]]:
        table = table_of(self.lines)
        return table, Registry([table]), DATA

    def start(self, key: str | None, wait_s: float) -> None:
        service = self._process().service
        with suppress(Crash, StillRunningError):
            service.start(self.table.name, self.data, key, wait_s)

    def create(self, key: str | None) -> None:
        with suppress(Crash, StillRunningError):
            self._process().service.create(self.table.name, self.data, key)

    def recover(self) -> int:
        """End all leases and waits, and let a new process claim the due sagas. Return the number of claimed sagas."""
        process = self._process()
        process.leases.expire_all()
        with suppress(Crash):
            return process.runner.claim_due()
        return 1

    def freeze(self) -> None:
        """Let a process claim a saga. The process then freezes with the saga in its memory."""
        leases = self._process().leases
        leases.expire_all()
        self.frozen += leases.claim(1, CONFIG.lease_s)

    def thaw(self, which: int) -> None:
        """Let a frozen process continue, with the saga in the state that it had before the freeze."""
        saga = self.frozen.pop(which % len(self.frozen))
        with suppress(Crash):
            self._process().runner.submit(saga, max_sleep_s=0)

    def pass_deadlines(self) -> None:
        """Move the clock beyond every deadline, both in memory and in the database."""
        self.now += 2 * self.table.deadline_s
        over = update(_SAGA).where(_SAGA.c.deadline_at.is_not(None)).values(deadline_at=in_seconds(-1))
        with self.database.begin() as connection:
            connection.execute(over)

    def end_waits(self) -> None:
        """Let every saga that waits have waited for longer than its table allows."""
        for saga in self.sagas():
            if saga.status == "waiting":
                self.ends[saga.id].append(len(self.journal(saga.id)))
        with self.database.begin() as connection:
            connection.execute(_BEGUN_LONG_AGO)

    def operate(self, action: str, saga_id: UUID, **how: Any) -> None:
        """Let an operator do an action of the service. A conflict must leave the saga unchanged."""
        process = self._process()
        how |= {} if action == "execute" else {"actor": process.name, "reason": action}
        try:
            # NotFoundError: the first read of the saga is in flight, and the saga is not stored yet.
            with suppress(Crash, NotFoundError):
                getattr(process.service, action)(saga_id, **how)
        except ConflictError:
            assert process.name not in {move.actor for move in self.journal(saga_id)}, "a conflict moved something"

    def question(self, saga: Row[Any]) -> None:
        """Let a person ask the participant about the step in question, when there is one."""
        journal = self.journal(saga.id)
        step = askable_step(self.table, saga, effects_of(self.table, saga.state, journal, in_doubt=is_in_doubt(saga)))
        if step is None:
            return
        process = self._process()
        questions = Questions(engine=process.engine, database=self.database)
        with suppress(Crash, ConflictError):
            questions.ask(saga.id, step.name, process.name)
        assert process.name not in {move.actor for move in self.journal(saga.id)}, "a question moved something"

    def answers(self, saga_id: UUID) -> list[Answer]:
        """Return what the participants have answered to people about a saga, the oldest first."""
        return answers_in(self._rows(_ASKED, saga_id))

    def ask(self, saga_id: UUID, trigger: Trigger) -> None:
        """Let an operator request any move that the transitions allow."""
        with suppress(Crash, FencedError):
            self._process().ask(saga_id, trigger)

    def say(self, which: int, times: int = 1, *, different: bool = False) -> None:
        """Let the participant answer a call later, several times. Then let it send a different answer, if drawn.

        The first answer is true. So the different one must change nothing.
        """
        urls = list(self.participant.reply_urls.items())
        if not urls:
            return
        action, url = urls[which % len(urls)]
        reply = self.participant.later_answer(*action.split("/"))
        if reply is None:
            return
        taken = [self._take(url, reply) for _ in range(times)]
        if different and taken[0] and reply.status == 200:
            assert not self._take(url, REFUSED), "a different answer was taken"

    def _take(self, url: str, reply: Reply) -> bool:
        saga_id, step, token = url.rsplit("/", 3)[1:]
        answers, known = self._process().answers, arrival_name(step) in self.arrived(UUID(saga_id))
        taken = self._arrives(UUID(saga_id), lambda: answers.take(UUID(saga_id), step, token, reply) is not None)
        if not known and arrival_name(step) in self.arrived(UUID(saga_id)):
            self._record(UUID(saga_id), arrival_name(step), None, accepted=taken)
        return taken

    def signal(self, saga_id: UUID, step: str, key: str | None = None, *, refuses: bool = False) -> None:
        """Send the signal that ends the wait of a step, whether or not the step waits."""
        line = self.lines[NAMES.index(step)]
        sent = Signal(name=step, body=body_of(line, refuses=refuses), sender="api:shop", key=key)
        store = self._process().service.arrivals
        earlier, saga = store.find(saga_id, step), self.standing(saga_id)
        accepted = self._arrives(saga_id, lambda: self._process().service.signal(saga_id, sent, 0.0) is not None)
        if earlier is None and saga is not None:
            self._record(saga_id, step, dict(sent.body), accepted=accepted)
            assert not accepted or saga.status not in _OVER, f"{step} was accepted by a saga that is {saga.status}"
        elif earlier is not None:
            same = (earlier.body, earlier.key) == (sent.body, sent.key)
            assert accepted == same, f"{step} came before: {earlier}; and this was accepted: {accepted}: {sent}"

    def _arrives(self, saga_id: UUID, send: Callable[[], bool]) -> bool:
        """Send a signal or an answer. Return True when it is accepted."""
        before = self.standing(saga_id)
        try:
            accepted = send()
        except (ConflictError, GoneError, KeyReusedError, NotFoundError):
            accepted = False
        after = self.standing(saga_id)
        if before and after and after.version != before.version:
            assert before.status in ("waiting", "stuck"), "an answer moved the version of a saga that runs"
            self.commits[before.id] += 1
        return accepted

    def _record(self, saga_id: UUID, name: str, body: dict[str, Any] | None, *, accepted: bool) -> None:
        made = Sent(name=name, body=body, accepted=accepted, after=len(self.journal(saga_id)))
        self.sent[saga_id].append(made)

    def arrived(self, saga_id: UUID) -> set[str]:
        """Return the names of the signals and answers that are stored for a saga."""
        return {row.name for row in self._rows(_ARRIVED, saga_id)}

    def next_signal(self, saga_id: UUID) -> None:
        """Send the first signal of the table that the saga has not received."""
        names = [name for name, line in zip(NAMES, self.lines, strict=False) if line.kind is WAIT]
        if left := [name for name in names if name not in self.arrived(saga_id)]:
            self.signal(saga_id, left[0])

    def happen(self, saga_id: UUID) -> None:
        """Make the incident that was drawn for this commit or sending."""
        incident = self.incidents.popleft() if self.incidents else Incident.NOTHING
        if incident is Incident.CRASH:
            raise Crash
        deeds = self.deeds(saga_id)
        if incident in deeds:
            deeds[incident]()

    def deeds(self, saga_id: UUID) -> dict[StrEnum, Callable[[], Any]]:
        """Return what happens at each incident at a commit or a sending of this saga."""
        return {
            Incident.TAKEN_OVER: self.recover,
            Incident.CALLED_OFF: lambda: self.operate("compensate", saga_id),
            Incident.TOO_LATE: self.pass_deadlines,
            Incident.ANSWERED: lambda: self.say(-1, 2, different=True),
            Incident.SIGNALLED: lambda: self.next_signal(saga_id),
            Incident.DELIVERED: lambda: self.participant.deliver(0),
            Incident.WAITS_OVER: self.end_waits,
        }

    def sagas(self) -> list[Row[Any]]:
        return self._rows(_ALL)

    def standing(self, saga_id: UUID) -> Row[Any] | None:
        return next(iter(self._rows(_ONE, saga_id)), None)

    def journal(self, saga_id: UUID) -> list[Row[Any]]:
        return self._rows(_MOVES, saga_id)

    def is_still_unknown(self, saga: Row[Any]) -> bool:
        """Return True when the saga is on the list of ended sagas with an unknown effect."""
        listed = select(SagaRow.id).where(SagaRow.id == saga.id, still_unknown(self.registry))
        return saga.status == "compensated" and bool(self._rows(listed))

    def _rows(self, query: Select[Any], saga_id: UUID | None = None) -> list[Row[Any]]:
        with self.database.connect() as connection:
            return list(connection.execute(query, {"saga_id": saga_id} if saga_id else {}))

    def _process(self) -> Process:
        """Make a process with the name of a new owner."""
        self.processes += 1
        return Process(self, f"process-{self.processes}")
