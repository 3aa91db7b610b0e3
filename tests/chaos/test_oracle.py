"""The oracle finds each kind of violation in made-up evidence, and no violation in correct evidence."""

from dataclasses import replace

import pytest

from tests.chaos import books, oracle
from tests.chaos.ledgers import Effect
from tests.chaos.oracle import Evidence
from tests.chaos.report import Report
from tests.chaos.sagas import Saga

STEPS = {"checkout": ("reserve", "pay")}
BOUGHT = Saga(id="a", key="one", definition="checkout", status="completed", state="CONFIRMED")
CALLED_OFF = Saga(id="b", key="two", definition="checkout", status="compensated", state="CANCELLED")
RESERVED = Effect(saga_id="a", step="reserve", direction="do", state="done")
PAID = Effect(saga_id="a", step="pay", direction="do", state="done")
RELEASED = Effect(saga_id="b", step="reserve", direction="do", state="undone")
RELEASE = Effect(saga_id="b", step="reserve", direction="undo", state="done")
RIGHT = Evidence(
    sagas=[BOUGHT, CALLED_OFF],
    promised={"one": {"a"}, "two": {"b"}},
    effects=[RESERVED, PAID, RELEASED, RELEASE],
    steps=STEPS,
)


def judged(**changes):
    return [str(complaint) for complaint in oracle.complaints(replace(RIGHT, **changes))]


def test_oracle_accepts_a_correct_world():
    assert judged() == []


@pytest.mark.parametrize("status", ["running", "compensating", "pending", "stuck"])
def test_oracle_finds_a_saga_that_has_not_ended(status):
    waiting = replace(BOUGHT, status=status, state="PAYING")
    assert judged(sagas=[waiting, CALLED_OFF]) == [f"not ended: checkout is {status} in PAYING a"]


def test_oracle_finds_a_lost_saga_by_its_promise_and_by_its_effects():
    found = judged(sagas=[CALLED_OFF])
    assert found == [
        "lost: one was promised a saga that is not there, a",
        "lost: effects of a saga that is not there, a",
    ]


def test_oracle_finds_a_doubled_effect():
    assert judged(effects=[*RIGHT.effects, PAID]) == ["doubled: pay/do happened 2 times a"]


def test_oracle_finds_two_sagas_of_one_key():
    found = judged(sagas=[BOUGHT, replace(CALLED_OFF, key="one")], promised={"one": {"a", "b"}})
    assert found == ["doubled: 2 sagas of the key one", "doubled: one was promised 2 sagas"]


def test_oracle_finds_a_saga_of_another_key():
    assert judged(promised={"one": {"b"}}) == ["mixed up: one was promised another key's saga, b"]


@pytest.mark.parametrize("state", ["undone", "refused", "tombstone"])
def test_oracle_finds_an_effect_that_a_completed_saga_lacks(state):
    assert judged(effects=[RESERVED, replace(PAID, state=state), RELEASED]) == [f"completed, but pay is {state} a"]


def test_oracle_finds_an_effect_that_never_happened():
    assert judged(effects=[RESERVED, RELEASED]) == ["completed, but pay is missing a"]


def test_oracle_finds_an_effect_of_a_compensated_saga():
    assert judged(effects=[RESERVED, PAID, replace(RELEASED, state="done")]) == ["compensated, but reserve stands b"]


LINES = [{"produit_id": "456", "quantite": 2}]
LEDGER = [
    replace(RESERVED, participant="stock", reply={"reservation_id": "r", "produits": LINES}),
    replace(RESERVED, step="sell", participant="stock", reply={"reservation_id": "r", "etat": "vendue"}),
    replace(PAID, participant="client", reply={"paiement_id": "p", "montant": 59.98}),
    replace(PAID, step="sale", participant="ventes", reply={"vente_id": "v"}),
]
BALANCES = {
    "stock": {"produits": {"456": {"initial": 10, "en_main": 8, "reserve": 0, "vendu": 2}}},
    "client": {"debits": 59.98, "remboursements": 0.0},
    "ventes": {"count": 1, "total": 59.98},
    "recus": {"count": 0, "total": 0.0},
    "commandes": {"creee": 0, "confirmee": 0, "annulee": 0},
}


def audited(participant, **changes):
    changed = BALANCES | {participant: BALANCES[participant] | changes}
    return [complaint.text for complaint in books.complaints(LEDGER, changed)]


@pytest.mark.parametrize(
    ("participant", "changes", "complaints"),
    [
        ("client", {}, 0),
        ("client", {"debits": 119.96}, 2),
        ("ventes", {"count": 2, "total": 119.96}, 2),
        ("recus", {"count": 1}, 1),
        ("commandes", {"creee": 1}, 1),
        ("stock", {"produits": {"456": {"initial": 10, "en_main": 6, "reserve": 0, "vendu": 4}}}, 1),
        ("stock", {"produits": {"456": {"initial": 10, "en_main": 6, "reserve": 2, "vendu": 2}}}, 1),
        ("stock", {"produits": {"456": {"initial": 10, "en_main": 7, "reserve": 0, "vendu": 2}}}, 1),
    ],
)
def test_books_find_a_disagreement(participant, changes, complaints):
    assert len(audited(participant, **changes)) == complaints


def test_report_fails_when_no_fault_occurred():
    report = Report(hazard="kills", seed=1)
    report.require("kills that hit", 5, at_least=5)
    with pytest.raises(AssertionError, match="proves nothing"):
        report.require("kills that hit", 4, at_least=5)
