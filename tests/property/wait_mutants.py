"""The guards of waits, each with a way to remove it. `mutants.py` has the other guards."""

from typing import Any

from pytest import MonkeyPatch  # noqa: PT013  a short name for the parameter of every guard

from app.engine import answers, service, signals
from app.engine.actions import take_action
from app.engine.calls import Calls
from app.engine.engine import Engine
from app.store import arrivals, commits
from app.store.instance import Instance
from machines.outcomes import SUCCEEDED, Outcome
from machines.progress import Progress
from machines.transitions import Trigger
from machines.waiting import Waiting
from machines.waits import Waits
from tests.property.mutants import guard


@guard
def the_first_of_two_answers_counts(patch: MonkeyPatch) -> None:
    patch.setattr(answers, "same_answer", lambda _known, _sent: True)


@guard
def an_answer_ends_the_wait(patch: MonkeyPatch) -> None:
    patch.setattr(Waits, "take_arrival", lambda *_: False)


@guard
def a_poll_without_an_answer_proves_nothing(patch: MonkeyPatch) -> None:
    """Take a poll that has no answer yet for a refusal of the step."""
    poll = Calls.poll

    def impatient(calls: Calls, saga: Instance) -> Any:
        reply, outcome = poll(calls, saga)
        return reply, outcome if outcome is Outcome.SUCCEEDED else Outcome.REFUSED

    patch.setattr(Calls, "poll", impatient)


@guard
def an_accepted_call_may_have_worked(patch: MonkeyPatch) -> None:
    """Do not undo a step that its participant has accepted and not answered."""
    patch.setattr(Progress, "may_have_worked", property(lambda saga: saga.in_doubt))


@guard
def an_accepted_call_without_an_answer_is_in_doubt(patch: MonkeyPatch) -> None:
    """Take the end of the wait for an answer for a refusal of the step."""
    end_wait = Instance.end_wait

    def believing(saga: Instance, outcome: Outcome, **how: Any) -> None:
        end_wait(saga, Outcome.REFUSED if outcome is Outcome.IN_DOUBT else outcome, **how)

    patch.setattr(Instance, "end_wait", believing)


@guard
def a_signal_fences_the_process_of_a_waiting_saga(patch: MonkeyPatch) -> None:
    patch.setattr(arrivals, "_ARRIVED", {name: value for name, value in arrivals._ARRIVED.items() if name != "version"})


@guard
def a_signal_makes_a_waiting_saga_due(patch: MonkeyPatch) -> None:
    patch.setattr(arrivals, "_ARRIVED", {name: value for name, value in arrivals._ARRIVED.items() if name != "due_at"})


@guard
def the_commit_that_enters_a_wait_sees_the_signals_before_it(patch: MonkeyPatch) -> None:
    patch.setattr(commits, "SAVE_WAITING", commits.SAVE)


@guard
def an_early_signal_is_kept(patch: MonkeyPatch) -> None:
    """Refuse a signal unless the saga waits for it now."""

    def impatient(definition: Any, state: str, step: Any) -> bool:
        at = definition.states[state]
        return at.waits is not None and at.step == step

    patch.setattr(signals, "can_still_wait", impatient)


@guard
def a_signal_that_comes_too_late_is_refused(patch: MonkeyPatch) -> None:
    patch.setattr(signals, "can_still_wait", lambda *_: True)


@guard
def the_first_of_two_signals_counts(patch: MonkeyPatch) -> None:
    patch.setattr(signals, "_same", lambda *_: None)


@guard
def a_signal_has_priority_over_the_deadline(patch: MonkeyPatch) -> None:
    move = Engine._move_without_call

    def punctual(engine: Engine, saga: Instance) -> bool:
        if saga.can_expire and engine._is_late(saga):
            saga.give_up(Trigger.EXPIRE, actor=engine.actor, reason="late")
            return True
        return move(engine, saga)

    patch.setattr(Engine, "_move_without_call", punctual)


@guard
def a_signal_has_priority_over_a_later_cancel(patch: MonkeyPatch) -> None:
    def hasty(engine: Engine, name: str, actor: str, reason: str, saga: Instance, **how: Any) -> None:
        saga.arrived = 0
        take_action(engine, name, actor, reason, saga, **how)

    patch.setattr(service, "take_action", hasty)


@guard
def a_wait_lasts_until_its_time_is_over(patch: MonkeyPatch) -> None:
    patch.setattr(Waits, "_left_s", lambda *_: 0.0)


@guard
def a_wait_that_is_over_is_refused(patch: MonkeyPatch) -> None:
    patch.setattr(Waiting, "outcome_at_end", lambda *_, **_how: SUCCEEDED)
