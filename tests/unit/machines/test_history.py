"""The calls of a saga, as a journal records them."""

import re
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import pytest

from app.views.effects import description
from machines.answers import with_answers
from machines.checkout import CHECKOUT
from machines.history import AFTER_DOUBT, Answer, Effect, cause_of, effects_of, outcome_of_move, steps_of
from machines.outcomes import Outcome
from machines.progress import Progress
from machines.running import Move
from machines.testing import busy, died, died_before, down, failed, given, lost, refused, unheard
from tests.unit.machines.tables import saga, sell, tell

SUCCEEDED, REFUSED, IN_DOUBT, NOT_SENT = Outcome.SUCCEEDED, Outcome.REFUSED, Outcome.IN_DOUBT, Outcome.NOT_SENT


@pytest.mark.parametrize(
    ("trigger", "status", "outcome"),
    [
        ("succeeded", 200, SUCCEEDED),
        ("refused", 409, REFUSED),
        ("refused_in_doubt", 409, IN_DOUBT),
        ("retry", 500, IN_DOUBT),
        ("retry", None, IN_DOUBT),
        ("exhausted", 202, IN_DOUBT),
        ("defer", None, NOT_SENT),
        ("defer", 401, NOT_SENT),
        ("defer", 404, NOT_SENT),
        ("defer", 503, IN_DOUBT),
        ("begin", None, None),
        ("start", None, None),
    ],
)
def test_a_move_records_the_outcome_of_its_call(trigger, status, outcome):
    assert outcome_of_move(trigger, status) is outcome


@pytest.mark.parametrize(
    ("trigger", "reason", "error"),
    [
        ("refused", "409", "ECHEC_PAIEMENT: payer: 409"),
        ("cancel", "no need", "Cancelled by otto: no need"),
        ("cancel", f"saga {UUID(int=4)} compensates its step hold", "Cancelled by its parent: saga "),
    ],
)
def test_the_error_names_a_state_only_when_a_step_failed(trigger, reason, error):
    saga = Progress(CHECKOUT, "STOCK_RESERVE")
    saga.request_move(trigger, actor="user:otto", reason=reason)
    assert saga.error.startswith(error)
    row = SimpleNamespace(
        trigger=trigger, reason=reason, source="STOCK_RESERVE", dest="ECHEC_PAIEMENT", actor="user:otto"
    )
    back = SimpleNamespace(trigger="compensate", source="ECHEC_PAIEMENT", dest="LIBERATION_STOCK")
    assert cause_of(CHECKOUT, [row, back]) == saga.cause


@pytest.mark.parametrize("trigger", ["retry", "exhausted"])
def test_a_call_that_is_sent_again_is_in_doubt_whatever_its_status(trigger):
    assert outcome_of_move(trigger, 409) is IN_DOUBT
    assert outcome_of_move("refused", 401) is REFUSED
    assert outcome_of_move("succeeded", 202) is SUCCEEDED


@dataclass
class Row:
    """A row of the journal. Its step is the one that records the sale of a checkout."""

    trigger: str
    reason: str | None
    step: str = "enregistrer_vente"
    direction: str = "do"
    source: str = "PAIEMENT_EFFECTUE"
    dest: str = "PAIEMENT_EFFECTUE"
    status_code: int | None = None
    reply: Any = None
    duration_ms: float | None = 1.0
    at: datetime = datetime(2027, 1, 31, tzinfo=UTC)


@pytest.mark.parametrize(
    ("rows", "attempts"),
    [
        ([Row("succeeded", "201")], 1),
        ([Row("retry", "timed out"), Row("succeeded", "probe: 200")], 1),
        ([Row("retry", "timed out"), Row("retry", "500"), Row("exhausted", "still unknown: 404")], 2),
        ([Row("succeeded", "probe: 200")], 1),
        ([Row("exhausted", "still unknown: 404")], 0),
    ],
)
def test_a_probe_is_no_attempt_of_its_call(rows, attempts):
    saga = SimpleNamespace(id=uuid4(), state="COMMANDE_ENREGISTREE", status="running", entered_at=Row.at, data={})
    sale = next(found for found in steps_of(CHECKOUT, saga, rows) if found.step.name == "enregistrer_vente")
    assert sale.attempts == attempts


@pytest.mark.parametrize(
    ("reason", "effect"),
    [("409 no", Effect.NOT_DONE), (f"409 no{AFTER_DOUBT}", Effect.UNKNOWN)],
    ids=["first attempt", "after a process died in an attempt"],
)
def test_refused_retriable_step_is_unknown_when_an_attempt_may_have_worked(reason, effect):
    table = saga(sell(done="SOLD"), tell("ship"))
    refused = Move(
        seq=2, source="SOLD", trigger="refused", dest="STUCK_SHIP", actor="engine", made=0.0, step="ship",
        direction="do", reason=reason,
    )  # fmt: skip
    _, ship = effects_of(table, "STUCK_SHIP", [refused], in_doubt=False)
    assert ship.effect is effect


NO = refused("no")
RETRIED = [
    ("confirmer", [NO, NO], False),
    ("confirmer", [NO, NO, NO], False),
    ("confirmer", [lost, NO, NO], True),
    ("confirmer", [NO, lost, NO], True),
    ("confirmer", [NO, busy(1), NO], True),
    ("confirmer", [NO, died, NO], True),
    ("confirmer", [NO, lost, NO, NO], True),
    ("reserver_stock", [NO, NO], False),
    ("reserver_stock", [NO, lost, NO], True),
]


@pytest.mark.parametrize(("step", "answers", "doubted"), RETRIED)
def test_refusal_after_a_retry_is_in_doubt_only_when_an_attempt_may_have_worked(step, answers, doubted):
    if step == "reserver_stock":
        run = given(CHECKOUT).when(payer=NO).when_undone(reserver_stock=answers).run()
    else:
        run = given(CHECKOUT).when(confirmer=answers).run()
    for _ in range(answers.count(NO) - 1 - (answers[0] is lost)):
        assert run.needs_a_person
        run.retry()
    assert run.needs_a_person
    assert (AFTER_DOUBT in run.journal[-1].reason) is doubted
    found = next(
        each for each in effects_of(CHECKOUT, run.state, run.journal, in_doubt=False) if each.step.name == step
    )
    certain = Effect.NOT_DONE if step == "confirmer" else Effect.TOOK_EFFECT
    assert found.effect is (Effect.UNKNOWN if doubted else certain)


def test_last_probe_of_the_engine_is_an_answer_until_a_person_gets_another_one():
    run = given(CHECKOUT).when(enregistrer_vente=[unheard] * 4).when_probed(enregistrer_vente=refused("none")).run()
    at = datetime(2026, 1, 1, tzinfo=UTC)
    moves = [SimpleNamespace(**asdict(move), at=at) for move in run.journal]
    effects = effects_of(CHECKOUT, run.state, moves, in_doubt=False)
    asked = Answer(step="enregistrer_vente", happened=True, at=at + timedelta(seconds=1))
    found = [
        next(each for each in with_answers(effects, answers, moves) if each.step.name == "enregistrer_vente")
        for answers in ([], [asked])
    ]
    assert [each.answer for each in found] == [Answer(step="enregistrer_vente", happened=False, at=at), asked]
    assert [each.effect for each in found] == [Effect.UNKNOWN, Effect.TOOK_EFFECT]
    assert re.fullmatch(
        "ventes was called and gave no clear answer: it may have happened, or not."
        r" ventes answered at [-:0-9 ]+ UTC that it had not happened; a call may have arrived later\.",
        description(found[0]),
    )


LAST_ATTEMPTS = [
    ([unheard] * 4, [], "the connection was lost before the answer"),
    ([unheard] * 3 + [failed], [], "500"),
    ([unheard, unheard, failed, down, failed], [*[refused("none")] * 4, *[down] * 3], "500"),
    ([unheard, unheard, unheard, failed], [*[refused("none")] * 3, down, died_before, refused("none")], "500"),
]


@pytest.mark.parametrize(("answers", "probes", "error"), LAST_ATTEMPTS)
def test_step_that_is_stuck_after_its_probe_says_how_its_last_attempt_ended(answers, probes, error):
    run = given(CHECKOUT).when(enregistrer_vente=answers).when_probed(enregistrer_vente=probes or refused("none")).run()
    assert run.state == "STUCK_ENREGISTRER_VENTE"
    assert re.search(rf"; the last attempt: {error}", run.journal[-1].reason), run.journal[-1].reason
