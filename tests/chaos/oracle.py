"""The judge of a run: each promise to a client, and each effect at a participant, must agree with its saga."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tests.chaos.ledgers import Effect
from tests.chaos.sagas import FINISHED, Saga


@dataclass(frozen=True, kw_only=True)
class Violation:
    """One violation, as text. saga_id: the saga whose journal is printed with the violation."""

    text: str
    saga_id: str = ""

    def __str__(self) -> str:
        return f"{self.text} {self.saga_id}".rstrip()


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """The sagas, promises and effects that exist after a run."""

    sagas: Sequence[Saga]
    #: The saga ids that the clients received, by idempotency key.
    promised: Mapping[str, set[str]]
    effects: Sequence[Effect]
    #: The names of the steps that have an effect, by the name of the saga definition.
    steps: Mapping[str, Sequence[str]]


def complaints(evidence: Evidence) -> list[Violation]:
    return [*_lost(evidence), *_doubled(evidence), *_waiting(evidence), *_half_done(evidence)]


def _lost(evidence: Evidence) -> Iterator[Violation]:
    known = {saga.id: saga for saga in evidence.sagas}
    for key, ids in evidence.promised.items():
        for saga_id in ids:
            if saga_id not in known:
                yield Violation(text=f"lost: {key} was promised a saga that is not there,", saga_id=saga_id)
            elif known[saga_id].key != key:
                yield Violation(text=f"mixed up: {key} was promised another key's saga,", saga_id=saga_id)
    for saga_id in {effect.saga_id for effect in evidence.effects} - known.keys():
        yield Violation(text="lost: effects of a saga that is not there,", saga_id=saga_id)


def _doubled(evidence: Evidence) -> Iterator[Violation]:
    for key, number in Counter(saga.key for saga in evidence.sagas).items():
        if number > 1 or key is None:
            yield Violation(text=f"doubled: {number} sagas of the key {key}")
    for key, ids in evidence.promised.items():
        if len(ids) > 1:
            yield Violation(text=f"doubled: {key} was promised {len(ids)} sagas")
    calls = Counter((effect.saga_id, effect.step, effect.direction) for effect in evidence.effects)
    for (saga_id, step, direction), number in calls.items():
        if number > 1:
            yield Violation(text=f"doubled: {step}/{direction} happened {number} times", saga_id=saga_id)


def _waiting(evidence: Evidence) -> Iterator[Violation]:
    for saga in evidence.sagas:
        if saga.status not in FINISHED:
            yield Violation(text=f"not ended: {saga.definition} is {saga.status} in {saga.state}", saga_id=saga.id)


def _half_done(evidence: Evidence) -> Iterator[Violation]:
    """Check that the effects of each ended saga are either all in force or none of them."""
    done: Mapping[str, dict[str, Effect]] = defaultdict(dict)
    for effect in evidence.effects:
        if effect.direction == "do":
            done[effect.saga_id][effect.step] = effect
    for saga in evidence.sagas:
        if saga.status not in FINISHED:
            continue
        wanted = set(evidence.steps[saga.definition]) if saga.status == "completed" else set()
        standing = {step for step, effect in done[saga.id].items() if effect.stands}
        for step in wanted - standing:
            state = done[saga.id][step].state if step in done[saga.id] else "missing"
            yield Violation(text=f"{saga.status}, but {step} is {state}", saga_id=saga.id)
        for step in standing - wanted:
            yield Violation(text=f"{saga.status}, but {step} stands", saga_id=saga.id)
