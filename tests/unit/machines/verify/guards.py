"""The guards of the engine that decide, each with a way to remove it. `saga verify` must find each one missing."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from pytest import MonkeyPatch  # noqa: PT013  a short name for the parameter of every guard

from machines import attempts, progress
from machines import saga as definitions
from machines.attempts import Attempts
from machines.deciding import Decision, decide
from machines.loop import Loop
from machines.outcomes import Outcome
from machines.progress import Progress
from machines.replies import Reply
from machines.step import Kind
from machines.transitions import Graph, Phase, State, Trigger
from machines.verify import machinery, participants, process
from machines.verify.process import ModelLoop
from machines.verify.world import Entry

GUARDS: dict[str, Callable[[MonkeyPatch], None]] = {}


def guard(without: Callable[[MonkeyPatch], None]) -> Callable[[MonkeyPatch], None]:
    GUARDS[without.__name__] = without
    return without


# The guards of tests/property/mutants.py ----------------------------------------------------------------------------


@guard
def the_intent_is_durable_before_the_call(patch):
    keep = ModelLoop.commit

    def careless(loop, saga, *arguments):
        if not loop._stored:
            keep(loop, saga, *arguments)

    patch.setattr(ModelLoop, "commit", careless)


@guard
def what_may_have_happened_is_undone_as_well(patch):
    pass_on = Progress.pass_on
    patch.setattr(Progress, "pass_on", lambda *arguments, **how: pass_on(*arguments, **how | {"including": False}))


@guard
def whoever_takes_over_knows_that_a_call_may_have_been_sent(patch):
    patch.setattr(machinery, "restored_in_doubt", lambda *_: False)


def _pivots(graph: Graph) -> dict[str, str]:
    return {at.name: at.step.refused for at in graph.states.values() if at.call and at.step.kind is Kind.PIVOT}


@guard
def a_pivot_of_unknown_outcome_is_stuck(patch):
    _leads_to(patch, Trigger.EXHAUSTED, _pivots)


@guard
def a_refused_pivot_that_may_have_happened_is_stuck(patch):
    _leads_to(patch, Trigger.REFUSED_IN_DOUBT, _pivots)


@guard
def a_compensation_that_is_refused_is_not_sent_again(patch):
    advance = Loop._advance

    def persistent(loop, saga, reply, outcome):
        insists = outcome is Outcome.REFUSED and saga.current.phase is Phase.UNDOING
        return advance(loop, saga, reply, Outcome.NOT_SENT if insists else outcome)

    patch.setattr(Loop, "_advance", persistent)


@guard
def a_lost_reply_is_recovered_before_its_undo(patch):
    patch.setattr(Attempts, "_recover", lambda _calls, _saga: (Reply(status=200, body={}), Outcome.SUCCEEDED))


@guard
def a_conflict_at_a_repeated_key_proves_nothing(patch):
    patch.setattr(attempts, "_CONFLICT", 0)


@guard
def what_a_refusal_leaves_behind_is_undone(patch):
    advance = Loop._advance

    def believing(loop, saga, reply, outcome):
        return advance(loop, saga, reply, Outcome.REFUSED if outcome is Outcome.REFUSED_UNDO else outcome)

    patch.setattr(Loop, "_advance", believing)


@guard
def a_key_is_the_same_at_each_attempt(patch):
    filled = attempts.filled

    def fresh(saga, *arguments):
        path, headers, body = filled(saga, *arguments)
        key = f"{headers['Idempotency-Key']}/{saga.failed_attempts}"
        return path, {**headers, "Idempotency-Key": key}, body

    patch.setattr(process, "filled", fresh)


@guard
def a_compensation_that_failed_is_stuck(patch):
    def swallowed(graph):
        undoing = {at.name for at in graph.states.values() if at.phase is Phase.UNDOING}
        return {
            each.source: each.dest
            for each in graph.transitions
            if each.source in undoing and each.trigger is Trigger.SUCCEEDED
        }

    _leads_to(patch, Trigger.EXHAUSTED, swallowed)


@guard
def a_condition_that_does_not_hold_skips_the_step(patch):
    patch.setattr(Progress, "decide", lambda _saga, _step: Decision(holds=True, seen={}))


@guard
def a_condition_sees_the_reply_of_its_own_commit(patch):
    def late(saga, step):
        unsaved = {move.step for move in saga.unsaved}
        return decide(step.when, saga.data, {name: each for name, each in saga.results.items() if name not in unsaved})

    patch.setattr(Progress, "decide", late)


@guard
def a_skipped_step_is_not_undone(patch):
    patch.setattr(Progress, "_undoes_nothing", False)


@guard
def a_process_that_takes_over_knows_what_was_skipped(patch):
    patch.setattr("machines.restoring.skipped_steps", lambda _journal: frozenset())


@guard
def the_late_do_of_an_undone_action_is_refused(patch):
    undo = participants.undo

    def forgetful(kind, entry):
        after, truth = undo(kind, entry)
        return (after if entry.seen else Entry()), truth

    patch.setattr(participants, "undo", forgetful)


@guard
def a_participant_does_each_key_once(patch):
    act = participants.act
    patch.setattr(
        participants, "act", lambda kind, entry, key, **how: act(kind, entry._replace(seen="", key=""), key, **how)
    )


# The guards of docs/model/saga.pml that the list above has not ------------------------------------------------------


@guard
def a_claim_is_an_intent(patch):
    patch.setattr("machines.restoring.may_have_been_sent", lambda *, in_doubt, **_: in_doubt)


@guard
def a_doubt_is_stored(patch):
    patch.setattr(process, "stored_in_doubt", lambda _saga, *, held: False)  # noqa: ARG005


@guard
def a_pivot_in_doubt_does_not_expire(patch):
    patch.setattr(Progress, "can_expire", property(lambda saga: saga.may(Trigger.EXPIRE)))


@guard
def a_probe_that_finds_nothing_proves_nothing(patch):
    patch.setattr(attempts, "_not_again", lambda probed, *_: probed or (Reply(status=409, body={}), Outcome.REFUSED))


@guard
def a_doubt_is_no_success(patch):
    trigger_of = Progress._trigger_of
    patch.setattr(
        Progress, "_trigger_of",
        lambda saga, outcome: trigger_of(saga, Outcome.SUCCEEDED if outcome is Outcome.IN_DOUBT else outcome),
    )  # fmt: skip


@guard
def the_attempts_end(patch):
    patch.setattr(State, "rounds", 1_000_000)


@guard
def the_deadline_ends_a_saga(patch):
    patch.setattr(Progress, "can_expire", False)


@guard
def a_pivot_in_doubt_ends_after_the_deadline(patch):
    patch.setattr(Progress, "pivot_in_doubt", False)


@guard
def a_saga_that_kills_its_processes_is_quarantined(patch):
    patch.setattr(Loop, "_quarantine", lambda _loop, _saga: None)


@guard
def a_refused_pivot_in_doubt_is_not_believed(patch):
    patch.setattr(
        Progress, "_trigger_of",
        lambda saga, outcome: Trigger.REFUSED if outcome is Outcome.REFUSED else _TRIGGER_OF(saga, outcome),
    )  # fmt: skip


_TRIGGER_OF = Progress._trigger_of


# Further guards -----------------------------------------------------------------------------------------------------


@guard
def a_call_without_keys_is_sent_once(patch):
    patch.setattr(Progress, "must_not_send", False)


@guard
def a_refusal_of_an_undo_is_stuck(patch):
    def swallowed(graph):
        return {
            each.source: each.dest
            for each in graph.transitions
            if graph.states[each.source].phase is Phase.UNDOING and each.trigger is Trigger.SUCCEEDED
        }

    _leads_to(patch, Trigger.REFUSED, swallowed)


@guard
def steps_are_undone_back_to_the_first(patch):
    patch.setattr("machines.transitions._compensation_before", lambda table, _number: table.compensated)


@guard
def a_timeout_may_have_worked(patch):
    _means(patch, lambda reply: reply.status is None and reply.sent, Outcome.REFUSED)


@guard
def a_server_error_may_have_worked(patch):
    _means(patch, lambda reply: reply.status == 500, Outcome.REFUSED)


@guard
def a_202_is_no_success(patch):
    _means(patch, lambda reply: reply.status == 202, Outcome.SUCCEEDED)


@guard
def a_408_may_have_worked(patch):
    patch.setattr("machines.replies._IN_DOUBT", frozenset())


@guard
def a_call_that_was_turned_away_is_not_done(patch):
    _means(patch, lambda reply: reply.status == 429, Outcome.SUCCEEDED)


@guard
def a_request_to_wait_may_have_worked(patch):
    conclude = Progress.conclude

    def forgetful(saga, outcome, **how):
        before, trigger = saga.in_doubt, conclude(saga, outcome, **how)
        if trigger is Trigger.DEFER:
            saga.in_doubt = before
        return trigger

    patch.setattr(Progress, "conclude", forgetful)


@guard
def a_refusal_after_a_doubt_is_reported_as_unknown(patch):
    patch.setattr("machines.history.AFTER_DOUBT", "never in a reason")


@guard
def a_quarantined_call_is_reported_as_unknown(patch):
    patch.setattr("machines.history.any_in_doubt", lambda _moves: False)


@guard
def a_pending_saga_starts_before_its_first_call(patch):
    def careless(_loop, saga):
        saga.start_pending()
        return True

    patch.setattr(Loop, "_started", careless)


@guard
def an_action_is_offered_only_where_the_table_has_it(patch):
    patch.setattr(progress, "operator_triggers", lambda _saga, _state: frozenset(Trigger))


def _means(patch: MonkeyPatch, which: Callable[[Reply], bool], outcome: Outcome) -> None:
    outcome_of = attempts.outcome_of
    patch.setattr(
        attempts, "outcome_of", lambda reply, *how, **more: outcome if which(reply) else outcome_of(reply, *how, **more)
    )


def _leads_to(patch: MonkeyPatch, trigger: Trigger, elsewhere: Callable[[Graph], Mapping[str, str]]) -> None:
    """Change the destination of a trigger. `elsewhere` returns source state → new destination."""
    derive = definitions.derive

    def derived(table: Any) -> Graph:
        graph = derive(table)
        dests = elsewhere(graph)
        led = (
            replace(each, dest=dests[each.source]) if each.trigger is trigger and each.source in dests else each
            for each in graph.transitions
        )
        return replace(graph, transitions=tuple(led))

    patch.setattr(definitions, "derive", derived)
