"""Which sentences a path can have for a table: a written test must not pass because its table has other names now."""

import re
from collections.abc import Iterator, Sequence

from machines.registry import Registry
from machines.saga import Saga
from machines.step import Step
from machines.verify.words import CALLS, SENTENCES

_NAMES = {"step": r"(?P<step>\w+)", "of": r"(?: \((?P<step>\w+)\))?"}
#: Kinds of events whose `what` is a state.
_OF_STATES = ("claim", "dies before its commit")
_COMMIT = re.compile(r" ?The saga is stored in (?P<state>\w+)(?:, [^.]+?)?(?: and released)?\.")
_DIES = " The process dies before the next commit."
_FLAWS = [re.compile(each) for each in (
    r"^(?P<step>[\w.]+) is (?:done|read|refused|sent)\b", r"^Another saga has done (?P<step>[\w.]+)\.$",
    r"^The call of (?P<step>[\w.]+) is sent once;",
    r"^The (?:call|undo|probe|poll) of (?P<step>[\w.]+) (?:asks|puts|is answered)",
    r"^The saga waits in (?P<step>[\w.]+):", r"^The saga (?:is stuck|takes this for|goes back)",
    r"^The deadline of the saga is over",
)]  # fmt: skip


class UnsayableError(ValueError):
    """A sentence names what its table does not have, or is none that a path can have."""


def check_sayable(definition: Saga, registry: Registry, path: Sequence[str], *, design: bool = False) -> None:
    """Raise UnsayableError for a sentence that no path of a table can have. design: see `follow`."""
    for said in path:
        problem = _problem_of_flaw(definition, registry, said) if design else _problem(definition, said)
        if problem:
            raise UnsayableError(
                f"{said!r}: {problem}, so this test proves nothing about {definition}; write it again with saga verify"
            )


def _problem(definition: Saga, said: str) -> str:
    first = _COMMIT.sub("", said.removesuffix(_DIES)).strip()
    states = [found["state"] for found in _COMMIT.finditer(said)]
    steps: list[str] = []
    if first:
        found = next((found for shape in _SHAPES if (found := shape.fullmatch(first))), None)
        if found is None:
            return "no path has such a sentence"
        named = found.groupdict()
        states += [named["state"]] if named.get("state") else []
        steps += [named["step"]] if named.get("step") else []
    missing = [f"state {each}" for each in states if each not in definition.states]
    own = {step.name for step in definition.steps}
    missing += [f"step {each}" for each in steps if each not in own]
    return f"there is no {missing[0]}" if missing else ""


def _problem_of_flaw(definition: Saga, registry: Registry, said: str) -> str:
    found = next((found for shape in _FLAWS if (found := shape.search(said))), None)
    if found is None:
        return "no flaw has such a sentence"
    step = found.groupdict().get("step")
    known = {each.name for each in _all_steps(definition.steps, registry)}
    return f"there is no step {step}" if step and step.rpartition(".")[2] not in known else ""


def _all_steps(steps: tuple[Step, ...], registry: Registry) -> Iterator[Step]:
    """Yield steps with those of their branches and of the sagas that they start."""
    for step in steps:
        yield step
        for branch in step.group.branches if step.group is not None else ():
            yield from _all_steps(branch.steps, registry)
        if step.starts is not None and step.group is None:
            yield from _all_steps(registry.latest(step.starts).steps, registry)


def _shapes() -> Iterator[re.Pattern[str]]:
    called = "|".join(map(re.escape, CALLS.values()))
    fates = r"(?:is sent; .+|is not carried out: .+|is answered: .+)"
    yield re.compile(rf"The (?:{called}) of (?P<step>\w+) {fates}\.")
    for kind, sentence in SENTENCES.items():
        names = {**_NAMES, "what": r"(?P<state>\w+).*" if kind in _OF_STATES else ".+", "reply": ".+"}
        pieces = re.split(r"\{(\w+)\}", sentence)
        yield re.compile("".join(names[each] if n % 2 else re.escape(each) for n, each in enumerate(pieces)))


_SHAPES = tuple(_shapes())
