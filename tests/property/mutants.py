"""The guards of the service and of the participants' contract, each with a way to remove it.

When a guard is removed, a property must fail. This proves that the properties can fail, and shows the effect of each
guard.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from pytest import MonkeyPatch  # noqa: PT013  a short name for the parameter of every guard
from sqlalchemy import bindparam, update

from app.engine.calls import Calls
from app.engine.engine import Engine
from app.store import commits, leases, loading, sagas, unknown_effects
from app.store.instance import Instance
from machines import restoring
from machines import saga as definitions
from machines.deciding import Decision, decide
from machines.outcomes import Outcome
from machines.progress import Progress
from machines.replies import Reply
from machines.step import Kind, Step
from machines.transitions import Graph, Phase, Trigger
from tests.property import properties
from tests.property.participant import ActionState, Entry, Participant

GUARDS: dict[str, Callable[[MonkeyPatch], None]] = {}


def guard(without: Callable[[MonkeyPatch], None]) -> Callable[[MonkeyPatch], None]:
    GUARDS[without.__name__] = without
    return without


@guard
def a_write_names_epoch_and_version(patch: MonkeyPatch) -> None:
    """Remove both epoch and version from the condition of a write. Each of them alone would stop most stale writes."""
    _write_only_where(patch, sagas._SAGA.c.id == bindparam("saga_id"))


@guard
def a_write_names_the_version(patch: MonkeyPatch) -> None:
    known_epoch = sagas._SAGA.c.epoch == bindparam("known_epoch")
    _write_only_where(patch, sagas._SAGA.c.id == bindparam("saga_id"), known_epoch)


def _write_only_where(patch: MonkeyPatch, *conditions: Any) -> None:
    values = commits.SAVE._values
    patch.setattr(commits, "SAVE", update(sagas._SAGA).where(*conditions).values(values))


@guard
def the_intent_is_durable_before_the_call(patch: MonkeyPatch) -> None:
    """Remove every commit except the first one, so that a call is sent before its intent is stored."""
    keep = Engine.commit

    def careless(engine: Engine, saga: Instance, *arguments: Any) -> None:
        if saga.committed_snapshot is None:
            keep(engine, saga, *arguments)

    patch.setattr(Engine, "commit", careless)


@guard
def what_may_have_happened_is_undone_as_well(patch: MonkeyPatch) -> None:
    pass_on = Progress.pass_on
    patch.setattr(Progress, "pass_on", lambda *arguments, **how: pass_on(*arguments, **how | {"including": False}))


@guard
def whoever_takes_over_knows_that_a_call_may_have_been_sent(patch: MonkeyPatch) -> None:
    bring_back = loading.instance

    def trusting(*arguments: Any, **named: Any) -> Instance:
        saga = bring_back(*arguments, **named)
        saga.in_doubt = False
        return saga

    for module in (sagas, leases):
        patch.setattr(module, "instance", trusting)


@guard
def a_pivot_of_unknown_outcome_is_stuck(patch: MonkeyPatch) -> None:
    def guessed(graph: Graph) -> dict[str, str]:
        return {at.name: at.step.refused for at in graph.states.values() if at.call and at.step.kind is Kind.PIVOT}

    _leads_to(patch, Trigger.EXHAUSTED, guessed)


@guard
def a_refused_pivot_that_may_have_happened_is_stuck(patch: MonkeyPatch) -> None:
    """Compensate a saga after a refusal of its pivot in doubt, although an earlier attempt may have taken effect."""

    def believed(graph: Graph) -> dict[str, str]:
        return {at.name: at.step.refused for at in graph.states.values() if at.call and at.step.kind is Kind.PIVOT}

    _leads_to(patch, Trigger.REFUSED_IN_DOUBT, believed)


@guard
def a_compensation_that_is_refused_is_not_sent_again(patch: MonkeyPatch) -> None:
    advance = Engine._advance

    def persistent(engine: Engine, saga: Instance, reply: Any, outcome: Any) -> float:
        insists = outcome is Outcome.REFUSED and saga.current.phase is Phase.UNDOING
        return advance(engine, saga, reply, Outcome.IN_DOUBT if insists else outcome)

    patch.setattr(Engine, "_advance", persistent)


@guard
def a_lost_reply_is_recovered_before_its_undo(patch: MonkeyPatch) -> None:
    """Treat a step whose reply is lost as a step that was never done."""
    patch.setattr(Calls, "_recover", lambda _calls, _saga: (Reply(status=200, body={}), Outcome.SUCCEEDED))


@guard
def a_conflict_at_a_repeated_key_proves_nothing(patch: MonkeyPatch) -> None:
    patch.setattr("machines.attempts._CONFLICT", 0)


@guard
def what_a_refusal_leaves_behind_is_undone(patch: MonkeyPatch) -> None:
    advance = Engine._advance

    def believing(engine: Engine, saga: Instance, reply: Any, outcome: Any) -> float:
        return advance(engine, saga, reply, Outcome.REFUSED if outcome is Outcome.REFUSED_UNDO else outcome)

    patch.setattr(Engine, "_advance", believing)


@guard
def a_key_is_the_same_at_each_attempt(patch: MonkeyPatch) -> None:
    request = Calls._request

    def fresh(calls: Calls, saga: Instance, call: Any) -> Any:
        made = request(calls, saga, call)
        key = made.headers["Idempotency-Key"].replace(str(saga.id), f"{saga.id}-{saga.failed_attempts}")
        return replace(made, headers={**made.headers, "Idempotency-Key": key})

    patch.setattr(Calls, "_request", fresh)


@guard
def a_compensation_that_failed_is_stuck(patch: MonkeyPatch) -> None:
    def swallowed(graph: Graph) -> dict[str, str]:
        undoing = {at.name for at in graph.states.values() if at.phase is Phase.UNDOING}
        return {
            transition.source: transition.dest
            for transition in graph.transitions
            if transition.source in undoing and transition.trigger is Trigger.SUCCEEDED
        }

    _leads_to(patch, Trigger.EXHAUSTED, swallowed)


def _leads_to(patch: MonkeyPatch, trigger: Trigger, elsewhere: Callable[[Graph], dict[str, str]]) -> None:
    """Change the destination of a trigger. `elsewhere` returns source state → new destination."""
    derive = definitions.derive

    def derived(table: Any) -> Graph:
        graph = derive(table)
        dests = elsewhere(graph)
        led = (
            replace(transition, dest=dests[transition.source])
            if transition.trigger is trigger and transition.source in dests
            else transition
            for transition in graph.transitions
        )
        return replace(graph, transitions=tuple(led))

    patch.setattr(definitions, "derive", derived)


@guard
def a_condition_that_does_not_hold_skips_the_step(patch: MonkeyPatch) -> None:
    patch.setattr(Progress, "decide", lambda _saga, _step: Decision(holds=True, seen={}))


@guard
def a_condition_sees_the_reply_of_its_own_commit(patch: MonkeyPatch) -> None:
    """Decide from the replies that were stored before this commit."""

    def late(saga: Progress, step: Step) -> Decision:
        assert step.when is not None
        stored = {name: reply for name, reply in saga.results.items() if name not in _unsaved(saga)}
        return decide(step.when, saga.data, stored)

    patch.setattr(Progress, "decide", late)


def _unsaved(saga: Any) -> set[str]:
    return {move.step for move in saga.unsaved}


@guard
def a_skipped_step_is_not_undone(patch: MonkeyPatch) -> None:
    patch.setattr(Progress, "_undoes_nothing", False)


@guard
def a_process_that_takes_over_knows_what_was_skipped(patch: MonkeyPatch) -> None:
    patch.setattr(restoring, "skipped_steps", lambda _journal: frozenset())


@guard
def the_late_do_of_an_undone_action_is_refused(patch: MonkeyPatch) -> None:
    undo = Participant.undo

    def forgetful(participant: Participant, saga: str, step: str) -> Any:
        reply = undo(participant, saga, step)
        if participant.ledger[f"{saga}/{step}"].was is ActionState.TOMBSTONE:
            del participant.ledger[f"{saga}/{step}"]
        return reply

    patch.setattr(Participant, "undo", forgetful)


@guard
def a_participant_does_each_key_once(patch: MonkeyPatch) -> None:
    answer = Participant.answer

    def forgetful(participant: Participant, request: Any, **how: Any) -> Any:
        if request.url.endswith(("/do", "/must")):
            key = request.headers["Idempotency-Key"].rpartition("/")[0]
            if (
                participant.ledger.get(key, Entry(ActionState.REFUSED, None, ActionState.REFUSED)).was
                is ActionState.DONE
            ):
                del participant.ledger[key]
        return answer(participant, request, **how)

    patch.setattr(Participant, "answer", forgetful)


@guard
def a_saga_that_was_given_up_is_on_the_list_of_unknown_effects(patch: MonkeyPatch) -> None:
    patch.setattr(unknown_effects, "_given_up", lambda _registry: [])


@guard
def an_answer_that_it_had_not_happened_is_not_taken_for_the_contrary(patch: MonkeyPatch) -> None:
    keep = properties.with_answers
    patch.setattr(
        properties, "with_answers", lambda found, answers, moves: keep(
            found, [replace(answer, happened=True) for answer in answers], moves
        ),
    )  # fmt: skip
