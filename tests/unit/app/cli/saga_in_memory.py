"""A saga in memory, built move by move, with the rows that the database would return."""

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from uuid import UUID

from rich.console import Console

from app.cli import drawing
from app.cli.output import draw
from app.store.instance import Instance
from app.store.models import JournalRow, SagaRow
from app.views.amounts import money_lines
from machines.answers import with_answers
from machines.checkout import CHECKOUT
from machines.history import effects_of, replies
from machines.registry import Registry
from machines.renaming import as_named_now
from machines.transitions import Trigger

BEGUN = datetime(2026, 3, 1, 2, 30, tzinfo=UTC)
SAGA_ID = UUID("1f2e3d4c-0000-4000-8000-000000000001")
REPLY = {"produits": [], "montant": 21.0, "reservation_id": "r1"}
OWN = (Trigger.SUCCEEDED, Trigger.REFUSED, Trigger.RETRY, Trigger.DEFER, Trigger.EXHAUSTED)


class SagaInMemory:
    """A saga in memory. Each move, such as `move("compensate", by="cli:ada")`, is 100 ms after the move before it."""

    def __init__(self, definition=CHECKOUT):
        self.definition = definition
        self.saga = Instance.new(definition, {"client_id": 4, "magasin_id": 1}, actor="client")
        self.dates = {}

    def move(self, *triggers, reason=None, by=None):
        for trigger in triggers:
            at = self.saga.current
            facts = {"actor": by or "engine@h:1", "reason": reason}
            facts |= {"step": at.step.name, "direction": at.direction} if trigger == Trigger.RESOLVE else {}
            if trigger in OWN and by is None:
                facts |= {"step": at.step.name, "direction": at.direction, "attempt": 1, "duration_ms": 12.0}
                facts |= {"reply": REPLY} if trigger == Trigger.SUCCEEDED else {}
            self.saga.fire(Trigger(trigger), **facts)
        return self

    @property
    def journal(self):
        moves = enumerate(self.saga.unsaved)
        return [_row(move, BEGUN + timedelta(seconds=n / 10)) for n, move in moves]

    def row(self, **columns):
        ended = self.saga.status in ("completed", "compensated", "stuck")
        last = self.journal[-1].at
        usual = {
            "id": SAGA_ID, "definition": self.definition.name, "definition_version": 1, "state": self.saga.state,
            "status": self.saga.status, "data": dict(self.saga.data), "client": "4", "store": "1", "error": None,
            "owner": None if ended else "h:1", "due_at": None if ended else last + timedelta(seconds=30),
            "attempt": self.saga.failed_attempts, "deferrals": self.saga.deferrals,
            "created_at": BEGUN, "updated_at": last,
        }  # fmt: skip
        return SagaRow(**(usual | columns))


def drawn(saga, width=80, *, seconds_later=120, definition=CHECKOUT, answers=(), finding=None, **columns):
    """Return the output of `saga show`, without colour and without trailing spaces.

    answers: what participants answered to people. finding: what a person recorded about the unknown effects.
    """
    console = Console(width=width, color_system=None, force_terminal=False, highlight=False, markup=False)
    now = BEGUN + timedelta(seconds=seconds_later)
    with console.capture() as captured:
        row, journal = saga.row(**columns), as_named_now(saga.journal)
        effects = effects_of(definition, row.state, journal, in_doubt=False) if definition else []
        effects = with_answers(effects, answers, journal, finding)
        money = money_lines(Registry([definition]), definition, row, effects, replies(journal)) if definition else {}
        words = [str(line) for lines in money.values() for line in lines]
        draw(drawing.whole(definition, row, saga.journal, width, now, effects=effects, money=words), on=console)
    return "\n".join(line.rstrip() for line in captured.get().splitlines()) + "\n"


def _row(move, at):
    columns = asdict(move)
    del columns["made"]  # the journal has no such column; a trigger of the database computes `at` from it
    return JournalRow(**columns, saga_id=SAGA_ID, at=at)
