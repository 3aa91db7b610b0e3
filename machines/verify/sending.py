"""What a saga sends, compared with what its table says of the data and of the replies in the journal."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from machines.branches import BranchTable
from machines.call import Call
from machines.fields import Field, FieldKind
from machines.groups import NewChild
from machines.step import Step
from machines.transitions import DONE, Direction, Trigger
from machines.verify.fitting import fitted
from machines.verify.machinery import SAGA_ID
from machines.verify.process import Send
from machines.verify.properties import Broken
from machines.verify.values import Request, Sources, UnknownError, kept_of_reply, request_of, same, stored_of, value_of
from machines.verify.world import Bodies, Fact, Save, World

if TYPE_CHECKING:
    from machines.verify.moves import Moves

_PROPERTY = "as the table says"


class Sending:
    """The check of what the sagas of one table send and keep."""

    def __init__(self, moves: "Moves") -> None:
        self._moves = moves
        self._known: dict[tuple[str, str, int, int, frozenset[Fact]], Broken | None] = {}
        self._kept: dict[tuple[str, int], Broken | None] = {}

    def of(self, world: World, send: Send) -> Broken | None:
        """Return a broken property when a process sends something else than its table says."""
        unsaved = world.process.memory.moves if world.process is not None else ()
        facts = self._moves.journals.after(world.facts, unsaved) if unsaved else world.facts
        known = (send.purpose, send.step, send.request, send.own, facts)
        if known not in self._known:
            self._known[known] = self._of(send, facts)
        return self._known[known]

    def _of(self, send: Send, facts: frozenset[Fact]) -> Broken | None:
        machinery = self._moves.machinery
        sent: Request = machinery.requests.value(send.request)
        results = results_of(facts, machinery.bodies)
        own = machinery.bodies.value(send.own)  # the journal may lack the step's own reply, or have a part of it
        problem = self._problem(send, sent, results)
        if problem and own is not None:
            problem = self._problem(send, sent, {**results, send.step: own})
        return Broken(_PROPERTY, problem) if problem else None

    def _problem(self, send: Send, sent: Request, results: Mapping[str, Any]) -> str:
        """Return what of a request is not what the table says; "" when all of it is."""
        step = self._moves.by_name[send.step]
        call = _call_of(step, send.purpose)
        key = f"{SAGA_ID}/{step.name}/{'undo' if send.purpose == 'undo' else 'do'}"
        saga = {"id": str(SAGA_ID), "key": key}
        headers = {"Idempotency-Key": key, "Saga-Id": str(SAGA_ID), "Saga-Step": step.name}
        if call is step.call and step.later is not None and step.poll is None:
            headers["Saga-Reply-To"] = saga["reply_to"] = f"https://saga.example/replies/{step.name}"
        return _difference(_named(send), sent, call, Sources(self._moves.machinery.data, results, saga), headers)

    def at_end(self, call: Call, state: str, facts: frozenset[Fact]) -> Broken | None:
        """Return a broken property when a call of `at_end=` sends something else than its table says."""
        machinery = self._moves.machinery
        saga = {"id": str(SAGA_ID), "key": f"{SAGA_ID}/at_end.completed/do"}
        sources = Sources(machinery.data, results_of(facts, machinery.bodies), saga)
        why = _difference(f"call of at_end= {state}", machinery.request_at_end(call, facts), call, sources, {})
        return Broken(_PROPERTY, why) if why else None

    def of_children(self, world: World, save: Save, step: Step) -> Broken | None:
        """Return a broken property when a commit gives a child other data than the table says. world: after it."""
        machinery = self._moves.machinery
        saga = {"id": str(SAGA_ID), "key": f"{SAGA_ID}/{step.name}/do"}
        sources = Sources(machinery.data, results_of(world.facts, machinery.bodies), saga)
        for new in self._moves.children.new(world, save):
            said = self._data_of(step, new, sources)
            for name in sorted(said.keys() | new.data.keys()):
                one, other = new.data.get(name), said.get(name)
                if not same(one, other):
                    why = f"child {new.number} of {step.name} gets {one!r} as {name}, and its table says {other!r}"
                    return Broken(_PROPERTY, why)
        return None

    def _data_of(self, step: Step, new: NewChild, sources: Sources) -> Mapping[str, Any]:
        """Return the data of a child, as the table of its parent says."""
        table = new.definition
        if not isinstance(table, BranchTable):
            assert step.call is not None
            return fitted(_object(table.data), value_of(step.call.body, sources))  # type: ignore[no-any-return]
        data = {name: sources.data[name] for name in table.data.keys() - table.replies if name in sources.data}
        data |= {name: sources.results[name] for name in table.replies if name in sources.results}
        if step.group is not None and step.group.over is not None:
            items = value_of(step.group.over, sources)
            place = (new.number - 1) % len(items)
            data |= {"item": items[place], "index": place}
        return data

    def of_reply(self, fact: Fact) -> Broken | None:
        """Return a broken property when the saga keeps of a call what no reply of its participant has."""
        step, machinery = self._moves.by_name[fact.step], self._moves.machinery
        if step.call is None or step.starts is not None or step.poll is not None:
            return None  # the answer to a poll is merged with what accepted the call
        known = (fact.step, fact.body)
        if known not in self._kept:
            kept = machinery.bodies.value(fact.body)
            said = [each for call in (step.call, step.probe) if call for each in self._kept_of(step, call)]
            wrong = said and not any(same({} if kept is None else kept, each) for each in said)
            why = f"the saga keeps {kept!r} of {step.name}, and its table says {said[0]!r}" if wrong else ""
            self._kept[known] = Broken(_PROPERTY, why) if wrong else None
        return self._kept[known]

    def _kept_of(self, step: Step, call: Call) -> Iterator[Any]:
        """Yield what the table keeps of each reply to a call."""
        for reply in self._moves.machinery.known_replies(call):
            if reply.body is not None:
                with suppress(UnknownError):
                    yield stored_of(step, call, reply)

    def of_result(self, world: World, step: Step, fact: Fact) -> Broken | None:
        """Return a broken property when the saga keeps something else of its children than they have."""
        kept = self._moves.machinery.bodies.value(fact.body)
        said = self._result(world, step)
        if said is None or same(kept, said):
            return None
        return Broken(_PROPERTY, f"the saga keeps {kept!r} of {step.name}, and its children have {said!r}")

    def _result(self, world: World, step: Step) -> Any:
        """Return what the children of a step have kept for their saga, in the order of their numbers."""
        kinship = self._moves.machinery.kinship
        kin = sorted((each for each in world.kin if each.step == step.name), key=lambda each: each.number)
        replies = [kinship.replies_of(each) for each in kin]
        if step.group is None:
            return kept_of_reply(step.keeps, replies[-1], {})
        if step.group.over is not None:
            return [_kept(step.group.branches[0].steps, each) for each in replies]
        pairs = zip(step.group.branches, replies, strict=True)
        return {branch.name: _kept(branch.steps, each) for branch, each in pairs}


def _difference(named: str, sent: Request, call: Call, sources: Sources, headers: Mapping[str, str]) -> str:
    """Return what of a request is not what the table says; "" when all of it is. headers: those of each call."""
    try:
        said = request_of(call, sources, headers)
    except UnknownError as error:
        return f"the {named} is sent, and its table does not say all of it: {error}"
    for name, one, other in zip(Request._fields, sent, said, strict=True):
        if not same(one, other):
            return f"the {named} is sent with the {name} {one!r}, and its table says {other!r}"
    return ""


def _kept(steps: Sequence[Step], replies: Mapping[str, Any]) -> Any:
    """Return what the steps of a branch have kept: of one step alone, and of several by their names."""
    found = {step.name: replies.get(step.name) or {} if step.keeps or step.group else {} for step in steps}
    return found if len(steps) > 1 else found[steps[0].name]


def _object(fields: Mapping[str, Field]) -> Field:
    return Field(kind=FieldKind.OBJECT, items=fields)


def results_of(facts: frozenset[Fact], bodies: Bodies) -> dict[str, Any]:
    """Return the reply of each step that is done, and of each one that was accepted, as the journal has it."""
    found: dict[str, Any] = {}
    for fact in facts:
        body = bodies.value(fact.body)
        if fact.direction == Direction.DO and fact.trigger in DONE:
            found[fact.step] = {} if body is None else body
        elif fact.direction == Direction.DO and fact.trigger == Trigger.ACCEPTED and body is not None:
            found.setdefault(fact.step, body)
    return found


def _call_of(step: Step, purpose: str) -> Call:
    """Return the call that the table has for a purpose."""
    again = step.probe if step.probe is not None else step.call
    call = {"undo": step.undo, "probe": step.probe, "poll": step.asks, "again": again}.get(purpose, step.call)
    assert call is not None
    return call


def _named(send: Send) -> str:
    return f"{'call' if send.purpose in ('do', 'read', 'again') else send.purpose} of {send.step}"
