"""The ended sagas that have left an effect which nobody knows, until a person records what was found.

`machines.history.effects_of` decides which effect is unknown. At the end of a saga two moves leave one: a person has
compensated a saga that was stuck at a step which nothing undoes, or a probe found nothing to undo. The property tests
compare both.
"""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, and_, exists, func, not_, or_, select, tuple_
from sqlalchemy.orm import aliased

from app.store.access_models import AuditRow
from app.store.audit import Entry, record
from app.store.citus import is_distributed
from app.store.database import db
from app.store.models import ENDED, LEAVES_UNKNOWN, JournalRow, SagaRow
from machines.history import NOTHING_FOUND
from machines.registry import Registry
from machines.step import EFFECTFUL
from machines.transitions import Phase, Trigger

#: Action of the audit row with which a person records what was found at the participant.
CHECKED = "saga.checked"


def still_unknown(registry: Registry) -> ColumnElement[bool]:
    """Return the condition for ended sagas with an unknown effect that no person has checked."""
    saga = aliased(SagaRow)
    given_up = and_(
        JournalRow.trigger == Trigger.COMPENSATE, tuple_(saga.definition, JournalRow.source).in_(_given_up(registry))
    )
    nothing_found = func.substr(JournalRow.reason, 1, len(NOTHING_FOUND)) == NOTHING_FOUND
    left = (
        select(JournalRow.saga_id)
        .join(saga, saga.id == JournalRow.saga_id)
        .where(LEAVES_UNKNOWN, or_(given_up, nothing_found))
    )
    checked: ColumnElement[bool] = exists().where(AuditRow.saga_id == SagaRow.id, AuditRow.action == CHECKED)
    if is_distributed(db.engine):  # the audit trail is on another server
        checked = SagaRow.id.in_(
            select(AuditRow.saga_id).where(AuditRow.saga_id.is_not(None), AuditRow.action == CHECKED)
        )
    return and_(ENDED, SagaRow.id.in_(left), not_(checked))


def count(registry: Registry) -> int:
    """Return the number of sagas of `still_unknown`."""
    return db.session.scalar(select(func.count()).select_from(SagaRow).where(still_unknown(registry))) or 0


def record_check(saga: SagaRow, steps: Sequence[str], actor: str, found: str, reason: str) -> None:
    """Record what a person has found out about the unknown effects of these steps of a saga."""
    after = {"steps": list(steps), "found": found}
    entry = Entry(actor=actor, action=CHECKED, saga_id=saga.id, target=saga.definition, reason=reason, after=after)
    record(db.engine, entry)


def _given_up(registry: Registry) -> list[tuple[str, str]]:
    """Return the definition and the name of each state that is stuck at a step with an effect."""
    return [
        (definition.name, state.name)
        for definition in registry
        for state in definition.states.values()
        if state.phase is Phase.STUCK and not state.undoes and state.step and state.step.kind in EFFECTFUL
    ]
