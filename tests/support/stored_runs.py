"""Stores sagas that a test has run in memory, with their journals."""

from collections.abc import Callable

from app.store.database import db
from app.store.instance import Instance
from app.store.sagas import SagaStore
from app.store.statements import Connections
from machines.registry import Registry
from machines.testing import Run


def run_store(registry: Registry) -> Callable[[Run], str]:
    """Return a function that stores a run as a saga of the database, in one commit, and returns the saga's id."""
    store = SagaStore(Connections(db.engine), registry, "test")

    def store_run(run: Run) -> str:
        memory, row = run._memory, run._memory.row
        saga_id = Instance.new(run.definition, memory.data, actor="test").id
        ended = memory.journal[-1].made  # the clock of the run begins at 0, and that of this machine at its start
        saga = Instance(run.definition, saga_id, memory.data, row.state, clock=lambda: ended)
        saga.unsaved, saga.error, saga.results = list(memory.journal), run.error, dict(run.results)
        saga.failed_attempts, saga.deferrals = row.attempt, row.deferrals
        store.insert(saga, None, owner=None)
        return str(saga.id)

    return store_run
