"""Texts for all diagrams: the meaning of kinds of steps, of phases and of triggers, and notes about calls."""

import json
from collections.abc import Mapping

from machines.call import Call
from machines.children import Group
from machines.outcomes import Outcome
from machines.retry import Retry
from machines.saga import Saga
from machines.step import Kind, Step
from machines.transitions import Phase, State, Transition, Trigger
from machines.waiting import duration

KINDS = {
    Kind.READ: "changes nothing",
    Kind.COMPENSATABLE: "can be undone",
    Kind.PIVOT: "the point of no return",
    Kind.RETRIABLE: "repeated until it succeeds",
    Kind.PAUSE: "time passes",
    Kind.WAIT: "a signal is awaited",
}

PHASES = {
    Phase.FORWARD: "a call is in flight",
    Phase.PASSING: "left at once",
    Phase.WAITING: "waits for a signal, an answer or a time",
    Phase.UNDOING: "compensation in flight",
    Phase.STUCK: "stuck: a person decides",
    Phase.COMPLETED: "the end: all is done",
    Phase.COMPENSATED: "the end: all is undone",
}

TRIGGERS = {
    Trigger.SUCCEEDED: "the participant did it; the wait is over",
    Trigger.ACCEPTED: "the participant answers later",
    Trigger.REFUSED: "the participant said no: it did not happen; the wait ended with a no",
    Trigger.REFUSED_IN_DOUBT: "the participant said no, but an earlier attempt may have worked",
    Trigger.EXHAUSTED: "no clear answer to the last attempt: it may have happened",
    Trigger.EXPIRE: "the deadline passed before the call was sent",
    Trigger.QUARANTINE: "the processes that ran the saga died, time and again",
    Trigger.CANCEL: "a client or an operator cancels the saga",
    Trigger.BEGIN: "the call is about to be sent",
    Trigger.SKIP: "its condition does not hold: the step is not done, and not undone",
    Trigger.COMPENSATE: "undo the steps before; this one did not happen",
    Trigger.COMPENSATE_INCLUDING: "undo this step too, because it may have happened",
    Trigger.RETRY: "outcome unknown: sent again; from a stuck state, by a person",
    Trigger.DEFER: "not sent at all: sent later, counts as no attempt",
    Trigger.RESOLVE: "a person did it by hand",
}

#: Outcome → what it means for the step, in the notes about `means=`.
MEANINGS = {
    Outcome.SUCCEEDED: "done",
    Outcome.REFUSED: "refused",
    Outcome.REFUSED_UNDO: "refused, but undone: it leaves something behind",
    Outcome.IN_DOUBT: "in doubt",
    Outcome.NOT_SENT: "not done yet, sent again",
    Outcome.ACCEPTED: "answered later",
}

#: Names of two shapes; the other shapes have the names of the phases. FAILURE is the shape of a step's `refused` state.
#: QUARANTINE is the shape of a stuck state that only a quarantine leads to; it is small, because few sagas enter it.
FAILURE, QUARANTINE = "failure", "quarantine"
TIMES = "\N{MULTIPLICATION SIGN}"
POINT_OF_NO_RETURN = "point of no return"


def shape_of(saga: Saga, state: State) -> str:
    """Return the shape of a state: its phase, or FAILURE or QUARANTINE."""
    if _quarantined(saga, state):
        return QUARANTINE
    return FAILURE if state.name in {step.refused for step in saga.steps} else str(state.phase)


def edge_kind(saga: Saga, transition: Transition) -> str:
    """Return the kind of an edge: forward, fail, back (compensates), lost (is stuck), person (decides), quarantine."""
    phase, to = saga.states[transition.source].phase, saga.states[transition.dest].phase
    if transition.trigger is Trigger.QUARANTINE or _quarantined(saga, saga.states[transition.source]):
        return QUARANTINE
    if phase is Phase.STUCK:
        return "person"
    if transition.trigger in (Trigger.COMPENSATE, Trigger.COMPENSATE_INCLUDING):
        return "back"
    if transition.trigger in (Trigger.SUCCEEDED, Trigger.ACCEPTED, Trigger.BEGIN, Trigger.SKIP):
        return "back" if phase is Phase.UNDOING else "forward"
    return "lost" if to is Phase.STUCK else "fail"


def _quarantined(saga: Saga, state: State) -> bool:
    exhausted = any(
        transition.dest == state.name and transition.trigger is Trigger.EXHAUSTED for transition in saga.transitions
    )
    return state.phase is Phase.STUCK and not exhausted


def named(title: str, name: str) -> str:
    """Return a title with the identifier in brackets; the identifier alone without a title."""
    return f"{title} ({name})" if title else name


def number(value: float) -> str:
    return f"{value:g}"


def retry_note(step: Step, retry: Retry) -> str:
    """Return how a call is retried, such as: up to 3 attempts, 1 s x 2, timeout 5 s."""
    if retry.attempts == 1:
        return f"1 attempt, timeout {number(step.timeout_s)} s"
    waits = f"{number(retry.base_s)} s {TIMES}{number(retry.factor)}"
    return f"up to {retry.attempts} attempts, {waits}, timeout {number(step.timeout_s)} s"


def notes(state: State) -> list[str]:
    """Return notes about a state: what it waits for, or the retries and the probe of its call, or the call at an end.

    The list may be empty.
    """
    if state.at_end:
        return [f"then {state.at_end}, until it is delivered"]
    if state.waits:
        return [str(state.waits), *(_answer_notes(state.step) if state.awaits_answer and state.step else [])]
    if not state.call or not state.step:
        return []
    found = [retry_note(state.step, state.retry)]
    found += [f"no answer: asks {state.probe}"] if state.probe else []
    found += [recovery_note(state.step)] if state.undoes and state.step.undo_needs_reply else []
    return [*found, *_meaning_notes(state.call)]


def _answer_notes(step: Step) -> list[str]:
    """Return notes about a state that waits for the answer to an accepted call."""
    found = [f"asks {step.poll}", *_meaning_notes(step.poll)] if step.poll else []
    late = "no answer in time" if step.poll else "no callback in time"
    return [*found, *([f"{late}: asks {step.probe}"] if step.probe else [])]


def _meaning_notes(call: Call | None) -> list[str]:
    replies: dict[str, list[str]] = {}
    for reply, outcome in meanings(call):
        replies.setdefault(MEANINGS[outcome], []).append(reply)
    return [f"{' or '.join(each)}: {meaning}" for meaning, each in replies.items()]


def recovery_note(step: Step) -> str:
    """Return how the undo gets the reply of its own step when that reply is lost."""
    if step.probe:
        return f"reply of {step.name} lost: asks {step.probe} first"
    return f"reply of {step.name} lost: sends {step.call} again first, with the same key"


def meanings(call: Call | None) -> list[tuple[str, Outcome]]:
    """Return what `means=` says: pairs of a reply, such as `409` or `status null`, and its outcome."""
    found: list[tuple[str, Outcome]] = []
    for reply, meant in (call.means if call else {}).items():
        if isinstance(meant, Mapping):
            found += [(f"{reply} {_as_json(value)}", Outcome(outcome)) for value, outcome in meant.items()]
        else:
            found.append((str(reply), Outcome(meant)))
    return found


def _as_json(value: object) -> str:
    """Return a value of a reply as JSON, a text without its quotes; null stands for a missing field too."""
    return value if isinstance(value, str) else "null or missing" if value is None else json.dumps(value)


def phases_of(saga: Saga) -> dict[Phase, str]:
    """Return the phases that the saga has, each with its meaning. Only WAITING can be missing."""
    found = {state.phase for state in saga.states.values()} | set(Phase) - {Phase.WAITING}
    return {phase: says for phase, says in PHASES.items() if phase in found}


def triggers_of(saga: Saga) -> dict[Trigger, str]:
    """Return the triggers for the legend, each with its meaning, without the triggers that no step has."""
    absent = {Trigger.ACCEPTED} if not any(step.later for step in saga.steps) else set()
    absent |= {Trigger.SKIP} if not saga.conditional else set()
    return {trigger: says for trigger, says in TRIGGERS.items() if trigger not in absent}


def group_words(group: Group) -> str:
    """Return when the branches of a group run."""
    if group.over is None:
        return "branches at the same time"
    at_most = f", at most {group.at_most} at once" if group.at_most else ""
    return f"for each of {group.over}{at_most}"


def called(step: Step) -> tuple[str, ...]:
    """Return what carries a step out, in one line or two: what is called, and its path."""
    if step.call is None or step.starts:
        return (str(step.action),)
    return f"{step.call.method} {step.call.participant}", step.call.path


def condition_of(transition: Transition) -> str:
    """Return the condition of a transition in brackets; "" for a transition without one."""
    return f"[{transition.when}]" if transition.when else ""


def deadline_note(saga: Saga) -> str:
    return f"After {duration(saga.deadline_s)} no step that may fail is sent any more: what was done is undone."


def file_stem(saga: Saga) -> str:
    """Return the name of a definition's files, without the ending."""
    return f"{saga.name}-v{saga.version}"
