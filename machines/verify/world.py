"""The state that the search explores: what is stored of a saga and its children, what was done, and who runs the saga.

Every part is a tuple, so two equal states are one state. What no decision reads is left out: times, reasons and ids.
Times are replaced by two facts: the deadline is over (`late`), and the wait of the present state is over (`over`).
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

#: When a stored saga is claimed: never, when its wait is over, at once, or when the lease of its process ends.
NEVER_DUE, DUE_LATER, DUE_NOW, HELD = "never", "later", "now", "held"
#: No child has ended; every end was counted when the saga was claimed; one came since then.
NO_END, KNOWN_END, NEW_END = "none", "known", "new"


class Stage(NamedTuple):
    """What a parent can tell of a child: a state of the small machine that stands for the child."""

    status: str
    #: True for a child that is stuck in a compensation.
    undoes: bool = False
    #: See `Row`.
    goes_back: bool = False
    #: Number of the replies that a completed child has kept.
    replies: int = 0


class Kin(NamedTuple):
    """A child of the saga."""

    #: Step that has started the child, the child's number among those of the step (that of its place, also when it
    #: replaces another child), and its table.
    step: str
    number: int
    definition: str
    version: int
    stage: Stage
    #: Number that it has in the database, when a person has retried the step and the compensated child with `number` is
    #: still there, too; 0: there is no such child.
    again: int = 0


class Fact(NamedTuple):
    """A move, with the columns of the journal that are read later."""

    trigger: str
    #: State after the move; "" in a stored fact, because nobody reads it there.
    dest: str = ""
    step: str = ""
    direction: str = ""
    status_code: int | None = None
    #: Number of the stored reply, see `Bodies`.
    body: int = -1
    #: True: the reason says that an earlier attempt may have worked.
    doubted: bool = False
    #: True: the reason says that the undo was not sent, because the probe found nothing.
    not_found: bool = False
    #: True: a person requested the move.
    by_hand: bool = False
    #: True: the reason says that a branch goes back.
    branch: bool = False
    #: Event that the move publishes; "" in a stored fact.
    event: str = ""
    #: Why a call could not be built, or a condition not decided; "" in a stored fact.
    unfit: str = ""


class Row(NamedTuple):
    """The stored row of the saga."""

    state: str
    status: str
    unsure: bool
    claims: int
    attempt: int
    arrived: int
    #: When the saga is claimed, one of the constants above.
    due: str
    #: True: the saga is a child, and its parent has asked it to compensate.
    goes_back: bool = False


class Entry(NamedTuple):
    """What the participant of one step has done."""

    #: Number of effects that are in force, and of all effects so far; 2 means two or more.
    effects: int = 0
    times: int = 0
    #: What it answered to the action first: "", done, refused, left (refused, but it left something) or accepted.
    seen: str = ""
    #: Idempotency key under which it recorded that answer.
    key: str = ""
    #: True: the undo has arrived.
    closed: bool = False
    #: True: a call that came after the undo has taken effect, and the participant cannot tell that it was undone.
    too_late: bool = False


class Question(NamedTuple):
    """What a process reads of its surroundings."""

    #: late: is the deadline over? over: is the wait of the present state over? find: which kind of arrival has come?
    #: kin: which children has a step?
    what: str
    #: Name of the signal or the answer, for `find`; of the step, for `kin`.
    name: str = ""


class Answer(NamedTuple):
    """What a process has read."""

    question: Question
    value: Any


class Seen(NamedTuple):
    """The surroundings of a process at one moment."""

    late: bool
    over: bool
    arrivals: frozenset[tuple[str, str]]
    kin: tuple[Kin, ...] = ()

    def answer(self, question: Question) -> Any:
        """Return what a process reads now."""
        if question.what == "find":
            return next((kind for name, kind in self.arrivals if name == question.name), None)
        if question.what == "kin":
            return tuple(each for each in self.kin if each.step == question.name)
        return self.late if question.what == "late" else self.over


class Memory(NamedTuple):
    """The memory of a process at the start of a turn of its loop."""

    state: str
    in_doubt: bool = False
    failed_attempts: int = 0
    sends_again: bool = False
    pending: bool = False
    results: tuple[tuple[str, int], ...] = ()
    skipped: frozenset[str] = frozenset()
    moves: tuple[Fact, ...] = ()
    claims: int = 0
    arrived: int = 0
    #: True: the saga is stored.
    stored: bool = False
    #: See `Row`.
    goes_back: bool = False
    was_refused: bool = False
    #: True: a child whose parent goes back is in the middle of a run. Only the start of a run obeys the parent.
    in_run: bool = False
    #: How the children were prepared that the next commit starts; None: it starts none.
    missing: Any = None

    @property
    def has_just_entered(self) -> bool:
        """True when the saga has entered its state since the last commit: `World.over` is about an earlier wait."""
        return bool(self.moves) and self.moves[-1].dest == self.state


class Save(NamedTuple):
    """A process is about to commit."""

    row: Row
    moves: tuple[Fact, ...]
    #: Number of arrivals that the process knows of.
    known: int
    #: True: the turn goes on after the commit. False: it ends with the commit.
    goes_on: bool
    #: What the process knows after a commit that ends its turn; None: it has released the saga.
    then: Memory | None = None
    #: Of a child: the commit makes its parent due; it does so only when no other branch is left.
    wakes: bool = False
    quiet: bool = False
    #: True: a person has retried the step, so that its compensated children start again.
    retried: bool = False
    #: See `Memory`.
    missing: Any = None


class Process(NamedTuple):
    """A process that runs the saga: its memory at the start of the turn, and what it has learned since.

    The loop does the same whenever it learns the same, so this is its whole state.
    """

    memory: Memory
    #: What it has read, and what has happened to its commits and requests, as texts.
    log: tuple[Answer | str, ...] = ()
    #: The commits with which its turn may end; they stand for its memory and its log then. Empty: it is in its turn.
    saving: tuple[Save, ...] = ()
    #: True: it waits for the next attempt itself. False: it stores the saga until then. Both are tried.
    patient: bool = True
    #: True: it was asked to stop.
    stops: bool = False
    #: True: it is about to send what the deadline forbids. No right engine comes there.
    overdue: bool = False

    @property
    def starts_turn(self) -> bool:
        """True before its first commit or request of a turn in which it was not asked to stop."""
        return not (self.stops or self.saving or any(isinstance(each, str) for each in self.log))


class World(NamedTuple):
    """One state of the search."""

    row: Row | None
    facts: frozenset[Fact]
    #: What each participant has done, in the order of the steps that have an effect.
    ledger: tuple[Entry, ...]
    #: Actions on their way, as step and idempotency key. Each may arrive at any moment, or never.
    flight: frozenset[tuple[str, str]]
    #: Signals and answers that have arrived, each with its kind.
    arrivals: frozenset[tuple[str, str]]
    late: bool
    over: bool
    #: True after the saga has begun to go back.
    went_back: bool
    process: Process | None
    #: The children, in the order of the steps and of their numbers.
    kin: tuple[Kin, ...] = ()
    #: What the saga knows of the ends of children, one of the constants above.
    ends: str = NO_END

    @property
    def seen(self) -> Seen:
        return Seen(self.late, self.over, self.arrivals, self.kin)

    @property
    def arrived(self) -> int:
        """The column `arrived`: the number of arrivals. One end of a child stands for all."""
        return len(self.arrivals) + (self.ends != NO_END)


def with_sources(world: World, save: Save) -> Iterator[tuple[str, Fact]]:
    """Yield each move of a commit with the state before it; "" before the first move of a saga."""
    source = world.row.state if world.row is not None else ""
    for fact in save.moves:
        yield source, fact
        source = fact.dest


class Bodies:
    """The replies that are stored, each with a number."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._values: list[Any] = []

    def number(self, value: Any) -> int:
        """Return the number of a reply; -1 for None."""
        if value is None:
            return -1
        known = repr(value)
        if known not in self._numbers:
            self._numbers[known] = len(self._values)
            self._values.append(value)
        return self._numbers[known]

    def value(self, number: int) -> Any:
        return None if number < 0 else self._values[number]

    def results(self, numbers: tuple[tuple[str, int], ...]) -> Mapping[str, Any]:
        return {step: self.value(number) for step, number in numbers}
