"""Random families run by `machines.testing` and by the engine over a database make the same calls and end alike."""

import random
from collections import Counter
from typing import Any

import pytest

from machines.branching import branch, each, sub, together
from machines.call import post
from machines.fields import integer, list_of, text
from machines.replies import Reply
from machines.saga import Saga
from machines.step import Step, compensatable
from machines.templates import const
from machines.testing import given, items, lost, ok, refused
from machines.testing.answers import Answer
from tests.integration.engine.families import begin
from tests.integration.engine.scene import LOST, REFUSED, Scene, answer

LINES = [{"sku": name} for name in "abc"]


class Drawn:
    """A random saga with children, and an answer to each call."""

    def __init__(self, seed: int) -> None:
        self._random, self._names = random.Random(seed), iter(f"s{number}" for number in range(1, 100))
        #: Label of a call in the tree → how it is answered, request by request.
        self.answers: dict[str, list[Answer]] = {}
        self.said: dict[str, Any] = {}
        self.child_said: dict[str, Any] = {}
        #: True: a branch waits before it calls again, so it depends on time which calls another branch still makes.
        self.time_matters = False
        self.child = self._saga("payment", [self._step("c1", self.child_said), self._step("c2", self.child_said)])
        steps = [self._any() for _ in range(self._random.randint(1, 3))]
        self.table = self._saga("order", [*steps, self._step(next(self._names), self.said)])

    def _saga(self, name: str, steps: list[Step]) -> Saga:
        return Saga(
            name=name, version=1, initial="NEW", completed=steps[-1].done, compensated="OFF", participants=("shop",),
            data={"lines": list_of({"sku": text()}, high=9)} if name == "order" else {"amount": integer()},
            steps=tuple(steps),
        )  # fmt: skip

    def _any(self) -> Step:
        kind = self._random.choice(["step", "each", "together", "sub"])
        name = next(self._names)
        ends = {"done": f"{name.upper()}_DONE", "refused": f"{name.upper()}_REFUSED"}
        if kind == "each":
            return each(
                "lines", self._step(f"{name}i", self.said, in_group=True, of_items=len(LINES)), name=name, **ends
            )
        if kind == "together":
            one, *two = (self._step(f"{name}{letter}", self.said, in_group=True) for letter in "acd")
            return together(one, branch(f"{name}b", *two), name=name, **ends)
        if kind == "sub" and "pay" not in self.said:
            self.said["pay"] = given(self.child).when(**self.child_said)
            return sub("pay", saga="payment", data={"amount": const(7)}, **ends)
        return self._step(name, self.said)

    def _step(self, name: str, said: dict[str, Any], *, in_group: bool = False, of_items: int = 0) -> Step:
        given_answers = [self._answer(name, number) for number in range(of_items or 1)]
        self.time_matters |= in_group and any(lost in each for each in given_answers)
        said[name] = items(*given_answers) if of_items else given_answers[0]
        return compensatable(
            name, post("shop", f"/{name}"), undo=post("shop", f"/{name}/undo"), done=f"{name.upper()}_DONE",
            refused=f"{name.upper()}_REFUSED",
        )  # fmt: skip

    def _answer(self, name: str, number: int) -> list[Answer]:
        kinds = [*[[ok]] * 20, [refused()], [refused()], [lost, ok], [lost, refused()], [lost] * 4]
        drawn = self._random.choice(kinds)
        self.answers[f"{name}[{number}]"] = drawn
        return drawn


@pytest.mark.parametrize("seed", range(40))
def test_family_goes_the_same_way_in_a_test_and_in_the_engine(scene: Scene, seed: int) -> None:
    drawn = Drawn(seed)
    run = given(drawn.table, {"lines": LINES}).when(**drawn.said).allowing_unused().run()
    numbers: Counter[tuple[Any, str]] = Counter()
    indexes: dict[Any, int] = {}

    def send(request: Any) -> None:
        saga, name, direction = request.headers["Idempotency-Key"].split("/")
        if direction != "do":
            scene.replies[f"undo_{name}"].append(answer(200))
            return
        if saga not in indexes:
            row = scene.rows(f"SELECT child_number, definition FROM saga WHERE id = '{_id(scene, saga)}'")[0]
            over = f"{name}[1]" in drawn.answers
            indexes[saga] = row["child_number"] - 1 if over else 0
        prepared = drawn.answers[f"{name}[{indexes[saga]}]"]
        number = numbers[saga, name]
        numbers[saga, name] += 1
        scene.replies[name].append(_reply(prepared[number] if number < len(prepared) else ok))

    scene.at_each_call = send
    saga_id = begin(scene, drawn.table, drawn.child, lines=LINES)
    (root,) = scene.rows(f"SELECT state, status FROM saga WHERE id = '{_id(scene, str(saga_id))}'")
    assert (run.state, run.status) == (root["state"], root["status"]), f"{drawn.said}\n{run}"
    ends = Counter(row["definition"] + " " + row["state"] for row in scene.rows("SELECT definition, state FROM saga"))
    assert Counter(_ends(run)) == ends, f"{drawn.said}\n{run}"
    if not drawn.time_matters:
        called = Counter(_words(request) for request in scene.requests)
        assert Counter(call.partition("[")[0].replace("pay.", "") for call in run.calls) == called, f"{run}"


def _reply(answered: Answer) -> Reply:
    return answer(200) if answered is ok else LOST if answered is lost else REFUSED


def _id(scene: Scene, saga_id: str) -> str:
    return saga_id.replace("-", "") if scene.database.dialect.name == "sqlite" else saga_id


def _ends(run: Any) -> list[str]:
    below = [end for child in run.children for end in _ends(child)]
    return [f"{run.definition.name} {run.state}", *below]


def _words(request: Any) -> str:
    _, name, direction = request.headers["Idempotency-Key"].split("/")
    return name if direction == "do" else f"undo {name}"
