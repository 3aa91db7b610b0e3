"""A person asks a participant about a step: only the step's probe is sent, and the saga does not move."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Engine as Database

from app.engine.engine import Engine
from app.errors import ConflictError, NotFoundError
from app.store.answers import ASKED
from app.store.audit import Entry, record
from app.store.instance import Instance
from machines.outcomes import Outcome
from machines.replies import Reply
from machines.transitions import stuck_states


@dataclass(frozen=True, kw_only=True)
class Questions:
    """Sends probes for people.

    A probe is a GET, so it changes nothing. The engine sends no call of a saga that is stuck or has ended, so a probe
    of such a saga meets no other call of it. A saga that a process holds is refused.
    """

    engine: Engine
    #: Has the audit trail.
    database: Database

    def ask(self, saga_id: UUID, step_name: str, actor: str) -> tuple[Reply, Outcome]:
        """Send the probe of a step. Return its reply and outcome, which the audit trail records.

        Raise ConflictError when a process runs the saga, or when the saga has moved while the participant was asked.
        """
        saga = self._read(saga_id)
        step = next(step for step in saga.definition.steps if step.name == step_name)
        assert step.probe is not None
        asking = Instance(saga.definition, saga.id, saga.data, stuck_states(step)[0], saga.clock)
        asking.results, asking.epoch, asking.sent_now = saga.results, saga.epoch, asking.next_attempt
        reply, outcome = self.engine.calls.ask(asking, step.probe)
        after = {
            "step": step_name,
            "participant": step.probe.participant,
            "outcome": outcome,
            "answer": reply.reason,
            "version": saga.version,
        }
        entry = Entry(actor=actor, action=ASKED, saga_id=saga_id, target=saga.definition.name, after=after)
        record(self.database, entry)
        if self._read(saga_id).version != saga.version:
            raise ConflictError("the saga has moved while its participant was asked", saga_id=str(saga_id))
        return reply, outcome

    def _read(self, saga_id: UUID) -> Instance:
        saga = self.engine.store.read(saga_id)
        if saga is None:
            raise NotFoundError(f"there is no saga {saga_id}")
        if saga.held or saga.current.runs:
            raise ConflictError(f"the engine runs the saga, in {saga.state}, and asks by itself", saga_id=str(saga_id))
        return saga
