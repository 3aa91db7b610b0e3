"""Five guided experiments: a question and its possible answers first, then a real order, then what its journal says.

No answer is marked as the right one. Each has a test, and the test reads what has happened to the order.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from participants.ecommerce.orchestrator import Definition

Entry = dict[str, Any]

#: Seconds of a call in an experiment: long enough to watch. The killing needs the time to find the button.
WATCHED_S, KILLED_S = 1.2, 2.5


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What has happened in one run."""

    saga: dict[str, Any]
    definition: Definition
    amount: int  # of the order, in cents
    paid: int | None  # how much less the client has than before, in cents; None: it cannot be read
    sagas: int  # number of sagas that the requests of the run have started

    @property
    def phase(self) -> str:
        return self.definition.phases.get(self.saga["state"], "forward")

    @property
    def settled(self) -> bool:
        return self.phase in {"completed", "compensated", "stuck"}

    @property
    def was_stuck(self) -> bool:
        return any(self.definition.phases.get(entry["dest"]) == "stuck" for entry in self.saga["journal"])

    def successes(self, direction: str) -> list[str]:
        """Return the steps whose call in this direction succeeded, one for each success."""
        journal = self.saga["journal"]
        return [it["step"] for it in journal if it["outcome"] == "succeeded" and it["direction"] == direction]

    @property
    def processes(self) -> int:
        """The number of processes of the orchestrator that made calls of the saga."""
        return len({entry["actor"] for entry in self.saga["journal"] if entry["outcome"]})

    @property
    def may_be_killed(self) -> bool:
        """True from the first reply on, until another process has made a call: a kill then shows in the journal."""
        return self.processes == 1


@dataclass(frozen=True, kw_only=True)
class Answer:
    """An answer that a visitor can guess. holds: whether the run has shown it."""

    words: str
    holds: Callable[[Facts], bool]


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """One experiment.

    faults: participant → the faults that the run orders from it, before the slowness that lets people watch.
    requests: the number of requests with the same key.
    missed: what is said when no answer holds. page: the page of the documentation, below docs/.
    """

    title: str
    question: str
    answers: Mapping[str, Answer]
    explained: str
    page: str
    missed: str = "It went another way, perhaps because a switch was turned meanwhile. The calls say what happened."
    faults: Mapping[str, Mapping[str, Any]]
    requests: int = 1
    kills: bool = False
    slow_s: float = WATCHED_S

    def shown(self, facts: Facts) -> str | None:
        """Return the name of the answer that the run has shown; None: none of them."""
        return next((name for name, answer in self.answers.items() if answer.holds(facts)), None)


def _undone(facts: Facts, step: str) -> bool:
    return step in facts.successes("undo")


EXPERIMENTS: Mapping[str, Experiment] = {
    "refused-payment": Experiment(
        title="A refused payment",
        question="The goods are reserved, and then the payment is refused. What happens to the reserved goods?",
        answers={
            "kept": Answer(
                words="They stay reserved until somebody notices.",
                holds=lambda it: it.phase == "compensated" and not _undone(it, "reserver_stock"),
            ),
            "asked": Answer(
                words="Nothing: the payment is asked again until it is accepted.",
                holds=lambda it: it.phase == "completed",
            ),
            "released": Answer(
                words="The saga releases them.",
                holds=lambda it: it.phase == "compensated" and _undone(it, "reserver_stock"),
            ),
        },
        explained="A refusal says that nothing happened. So the saga goes back, and undoes every step that was done "
        "before, the last one first. The refused step itself needs no undo.",
        page="execution.md",
        faults={"client": {"kind": "refuse", "method": "POST", "times": 1}},
    ),
    "lost-reply": Experiment(
        title="A lost reply",
        question="The payment is taken, but the reply gets lost on its way. How often does the client pay?",
        answers={
            "never": Answer(words="Not at all: the order is cancelled.", holds=lambda it: it.settled and it.paid == 0),
            "twice": Answer(
                words="Twice: the call is sent again.", holds=lambda it: it.settled and it.paid == 2 * it.amount
            ),
            "once": Answer(words="Once.", holds=lambda it: it.settled and it.paid == it.amount),
        },
        explained="Without a reply nobody knows whether the payment was taken. The orchestrator asks again with the "
        "same idempotency key. The participant knows the key, so it takes no second payment, and gives the "
        "first answer again.",
        page="outcomes.md",
        faults={"client": {"kind": "lose_reply", "method": "POST", "times": 1}},
    ),
    "kill": Experiment(
        title="kill -9 in the middle",
        question="The orchestrator is killed while it waits for a reply. What becomes of the order?",
        answers={
            "lost": Answer(
                words="It is cancelled, and the client must order again.",
                holds=lambda it: it.processes > 1 and it.phase == "compensated",
            ),
            "again": Answer(
                words="It starts again with the first step.",
                holds=lambda it: it.processes > 1 and len(set(done := it.successes("do"))) < len(done),
            ),
            "continued": Answer(
                words="It continues where it stopped.",
                holds=lambda it: it.processes > 1 and it.phase == "completed",
            ),
        },
        explained="Before each call, the orchestrator has written into its database which call comes next. Another "
        "process reads this, and sends the call in flight again with the same key. What was done stays done "
        "once.",
        page="reliability.md",
        missed="One process made all calls of this order, so it was not killed between two of them. Run it again.",
        faults={},
        kills=True,
        slow_s=KILLED_S,
    ),
    "no-way-back": Experiment(
        title="A refusal behind the point of no return",
        question="The sale is recorded: there is no way back. Then the stock refuses to hand over the goods. What does"
        " the saga do?",
        answers={
            "refunds": Answer(
                words="It pays the money back.", holds=lambda it: it.phase == "compensated" or _undone(it, "payer")
            ),
            "stops": Answer(words="It stops, and asks a person.", holds=lambda it: it.was_stuck),
            "confirms": Answer(
                words="It calls the order confirmed all the same.", holds=lambda it: it.phase == "completed"
            ),
        },
        explained="Behind the pivot a step must succeed in the end, so a refusal leaves nothing that the saga could do "
        "by itself. It is stuck. An operator finds the cause, mends it, and has the step tried again.",
        page="runbooks/SagaStuck.md",
        faults={"stock": {"kind": "refuse", "path": "/confirmer", "method": "POST", "times": 1}},
    ),
    "double-click": Experiment(
        title="A double click",
        question="The button is pressed twice: the same order reaches the orchestrator two times, with the same key. "
        "What is bought?",
        answers={
            "two": Answer(words="Two orders.", holds=lambda it: it.settled and it.sagas > 1),
            "none": Answer(
                words="Nothing: the second order cancels the first.",
                holds=lambda it: it.sagas == 1 and it.phase == "compensated",
            ),
            "one": Answer(
                words="One order: the second request starts nothing.",
                holds=lambda it: it.sagas == 1 and it.phase == "completed",
            ),
        },
        explained="The key is the name of the order, and the orchestrator keeps it with the order. A request with a key"
        " that it knows is answered with the order that there is. So a client may repeat a request whose "
        "answer was lost.",
        page="execution.md",
        faults={},
        requests=2,
    ),
}
