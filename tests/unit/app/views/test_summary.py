"""The sentence about one saga says what its journal says, and no more."""

from dataclasses import dataclass
from types import SimpleNamespace
from uuid import UUID

import pytest

from app.views.summary import summary
from machines.checkout import CHECKOUT
from machines.history import effects_of
from machines.statuses import status_of


@dataclass
class Row:
    step: str | None
    trigger: str
    direction: str | None = "do"
    status_code: int | None = None
    actor: str | None = None
    reason: str | None = None


RESERVED, PAID, SOLD = (Row(step, "succeeded") for step in ("reserver_stock", "payer", "enregistrer_vente"))
CONFIRMED = Row("confirmer", "succeeded")
LOST = (Row("enregistrer_vente", "retry"), Row("enregistrer_vente", "exhausted"))
REFUNDED, RELEASED = Row("payer", "succeeded", "undo"), Row("reserver_stock", "succeeded", "undo")
RESOLVED = Row("payer", "resolve", "undo", actor="user:otto")
SALE = "Record the sale (enregistrer_vente)"
UNKNOWN = f"{SALE} is still unknown: ventes gave no clear answer. Check at ventes."
BY_HAND = "otto resolved the undo of Take the payment (payer) by hand; no participant confirmed it."


def said(state, *moves, owner=None, in_doubt=False):
    saga = SimpleNamespace(
        id=UUID(int=1), state=state, status=status_of(CHECKOUT.states[state].phase, pending=False), owner=owner,
        attempt=0, deferrals=0, due_at=None,
    )  # fmt: skip
    return summary(CHECKOUT, saga, moves, effects_of(CHECKOUT, state, moves, in_doubt=in_doubt))


@pytest.mark.parametrize(
    ("state", "moves", "sentence"),
    [
        ("CONFIRMEE", (RESERVED, PAID, SOLD, CONFIRMED), "Completed: every step succeeded."),
        (
            "CONFIRMEE",
            (RESERVED, PAID, *LOST, Row("enregistrer_vente", "resolve", actor="user:otto"), CONFIRMED),
            "Completed. otto resolved Record the sale (enregistrer_vente) by hand; no participant confirmed it.",
        ),
        ("ANNULEE", (Row("reserver_stock", "refused"),), "Compensated: nothing had been done."),
        (
            "ANNULEE",
            (RESERVED, Row("payer", "refused"), RELEASED),
            "Compensated: every step that was done is undone.",
        ),
        (
            "ANNULEE",
            (RESERVED, PAID, *LOST, Row("enregistrer_vente", "compensate"), REFUNDED, RELEASED),
            f"Compensated, but {UNKNOWN} Every other step that was done is undone.",
        ),
        (
            "ANNULEE",
            (RESERVED, PAID, Row("payer", "exhausted", "undo"), RESOLVED, RELEASED),
            f"Compensated. {BY_HAND} Every other step that was done is undone.",
        ),
        (
            "ANNULEE",
            (PAID, Row("payer", "exhausted", "undo"), RESOLVED),
            f"Compensated. {BY_HAND}",
        ),
        (
            "STUCK_ENREGISTRER_VENTE",
            (RESERVED, PAID, *LOST),
            f"The engine has stopped at {SALE}; a person must decide. Check at ventes whether it happened.",
        ),
        (
            "STUCK_UNDO_PAYER",
            (RESERVED, PAID, Row("payer", "refused", "undo", 409)),
            "The engine has stopped at the undo of Take the payment (payer); a person must decide. client refused it.",
        ),
    ],
)  # fmt: skip
def test_sentence_of_an_ended_or_stuck_saga_says_what_the_journal_says(state, moves, sentence):
    assert said(state, *moves) == sentence


def test_only_a_saga_that_a_process_runs_is_said_to_be_calling():
    assert said("STOCK_RESERVE", RESERVED, owner="h:1") == "Running: client is called for Take the payment (payer)."
    assert (
        said("STOCK_RESERVE", RESERVED)
        == "Running: Take the payment (payer) comes next, as soon as a process takes the saga."
    )
    assert (
        said("REMBOURSEMENT", RESERVED, PAID, owner="h:1")
        == "Compensating: client is called to undo Take the payment (payer)."
    )
    waiting = "Compensating: the undo of Take the payment (payer) comes next, as soon as a process takes the saga."
    assert said("REMBOURSEMENT", RESERVED, PAID) == waiting
