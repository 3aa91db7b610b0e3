"""The answers that participants send after the reply to a call: their meaning, and whether they are accepted."""

from functools import partial
from typing import Any
from uuid import UUID

from sqlalchemy import Row

from app.config import Config
from app.engine.engine import Engine
from app.engine.reply_urls import is_token
from app.engine.runner import Runner
from app.errors import ConflictError, GoneError, InvalidError, NotFoundError, OtherReleaseError
from app.store.arrivals import Signal
from machines.attempts import later_answer
from machines.later import arrival_name
from machines.outcomes import Outcome
from machines.registry import Registry, UnknownSagaError
from machines.replies import Reply
from machines.saga import Saga
from machines.signals import can_still_wait
from machines.statuses import Status
from machines.step import Step


class Answers:
    """Takes the answers of participants to steps that are answered later."""

    def __init__(self, config: Config, registry: Registry, engine: Engine, runner: Runner) -> None:
        self._config, self._registry, self._runner = config, registry, runner
        self._store, self._arrivals = engine.store, engine.waits.arrivals

    def take(self, saga_id: UUID, step_name: str, token: str, reply: Reply) -> Outcome | None:
        """Store an answer and continue the saga. Return the outcome of the answer.

        Return None when the answer leaves the step in doubt; nothing is stored then. A repeated answer changes nothing.
        Raise NotFoundError for a wrong token. Raise InvalidError when a field that the step keeps is missing. Raise
        ConflictError when the step has another answer already, and GoneError when the step is undone.
        """
        if not is_token(self._config, saga_id, step_name, token) or not (row := self._store.find(saga_id)):
            raise NotFoundError("there is no step to answer at this URL")
        try:
            definition = self._registry.of(row)
        except UnknownSagaError as error:
            raise OtherReleaseError(f"{error}; send the answer again") from None
        step = answered_step(definition, step_name)
        sent = stored_answer(definition, step, reply)
        if sent is None:
            return None
        try:
            self._arrivals.add(saga_id, sent, partial(admit_answer, self._registry, step, sent))
        except ConflictError:
            if not self._known_alike(saga_id, step_name, sent):
                raise
        self._runner.wake()
        self._runner.wake_worker()
        return Outcome(sent.body["outcome"])

    def _known_alike(self, saga_id: UUID, step: str, sent: Signal) -> bool:
        """Return True when no answer is stored, but a reply or a probe has given the saga the same success."""
        if sent.body["outcome"] != Outcome.SUCCEEDED or self._arrivals.find(saga_id, sent.name):
            return False
        saga = self._store.read(saga_id)
        return saga is not None and step in saga.results and bool(saga.results[step] == sent.body["reply"])


def answered_step(definition: Saga, name: str) -> Step:
    """Return the step that is answered by a callback. Raise NotFoundError when the table has no such step."""
    step = next((step for step in definition.steps if step.name == name and step.later and not step.asks), None)
    if step is None:
        raise NotFoundError("there is no step to answer at this URL")
    return step


def stored_answer(definition: Saga, step: Step, reply: Reply) -> Signal | None:
    """Return the answer as the signal to store; None when the answer leaves the step in doubt.

    The answer has the outcome that the same reply to the call would have. Raise InvalidError for a success without a
    field that the step keeps.
    """
    assert step.call is not None
    body, lacking = later_answer(definition, step, reply)
    if lacking:
        raise InvalidError(*((_pointer(name), reason or "Missing.") for name, reason in sorted(lacking.items())))
    if body is None:
        return None
    return Signal(name=arrival_name(step.name), body=body, sender=f"participant:{step.call.participant}")


def admit_answer(registry: Registry, step: Step, sent: Signal, saga: Row[Any] | None, known: Row[Any] | None) -> None:
    """Raise an error when the answer is refused.

    saga: the saga's row, which is locked, if the saga exists. known: the answer to this step that arrived earlier, if
    any.
    """
    if saga is None:
        raise NotFoundError("there is no such saga")
    definition = registry.of(saga)
    undone = saga.status in (Status.COMPENSATING, Status.COMPENSATED) or definition.states[saga.state].undoes
    if known is not None:
        if undone and known.body["outcome"] == Outcome.SUCCEEDED:
            raise _gone(saga.id, step)
        if not same_answer(known.body, sent.body):
            first = f"step {step.name} was answered before, at {known.at:%Y-%m-%d %H:%M:%S} UTC"
            raise ConflictError(f"{first}; the first answer counts", saga_id=str(saga.id))
        return
    if can_still_wait(definition, saga.state, step):
        return
    if undone:
        raise _gone(saga.id, step)
    raise ConflictError(f"step {step.name} has its answer already, and the first one counts", saga_id=str(saga.id))


def same_answer(known: Any, sent: Any) -> bool:
    """Return True when two answers have the same outcome and, unless they refuse, the same stored reply."""
    return bool(
        known["outcome"] == sent["outcome"] and (sent["outcome"] == Outcome.REFUSED or known["reply"] == sent["reply"])
    )


def _gone(saga_id: UUID, step: Step) -> GoneError:
    return GoneError(f"the saga goes back, so step {step.name} is undone and takes no answer", saga_id=str(saga_id))


def _pointer(name: str) -> str:
    return f"/{name.removeprefix('field ').replace('.', '/')}"
