from dataclasses import dataclass
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from app.views.effects import description, effect_words
from app.views.summary import summary
from machines import Saga, compensatable, get, pivot, post, read, sub, together
from machines.checkout import CHECKOUT
from machines.history import Answer, Effect, Finding, Found, StepEffect, effects_of
from machines.testing import given, refused
from machines.transitions import Direction


@dataclass
class Row:
    step: str | None
    trigger: str
    direction: str | None = "do"
    status_code: int | None = None
    reason: str | None = None


RESERVED = Row("reserver_stock", "succeeded")
PAID = Row("payer", "succeeded")


def effects(state, *moves, in_doubt=False):
    return {item.step.name: item.effect for item in effects_of(CHECKOUT, state, moves, in_doubt=in_doubt)}


def effect_of(step, state, *moves, in_doubt=False):
    found = effects_of(CHECKOUT, state, moves, in_doubt=in_doubt)
    return next(description(item) for item in found if item.step.name == step)


def test_read_has_no_effect():
    assert "lire_panier" not in effects("CONFIRMEE")


def test_stuck_pivot_is_unknown_and_earlier_steps_took_effect():
    moves = (RESERVED, PAID, Row("enregistrer_vente", "retry"), Row("enregistrer_vente", "exhausted"))
    assert effects("STUCK_ENREGISTRER_VENTE", *moves) == {
        "reserver_stock": Effect.TOOK_EFFECT,
        "payer": Effect.TOOK_EFFECT,
        "enregistrer_vente": Effect.UNKNOWN,
        "confirmer": Effect.NOT_DONE,
    }
    assert effect_of("confirmer", "STUCK_ENREGISTRER_VENTE", *moves) == "stock was not called."


@pytest.mark.parametrize("before", [(), (Row("payer", "defer"),)])
def test_refused_step_without_doubt_was_not_done(before):
    assert effects("LIBERATION_STOCK", RESERVED, *before, Row("payer", "refused"))["payer"] is Effect.NOT_DONE
    assert effect_of("payer", "ANNULEE", *before, Row("payer", "refused")) == "client refused it: nothing happened."


def test_refusal_after_an_attempt_in_doubt_is_unknown():
    assert effects("REMBOURSEMENT", RESERVED, Row("payer", "retry"), Row("payer", "refused"))["payer"] is Effect.UNKNOWN


def test_undone_step_is_undone_and_others_stay():
    moves = (RESERVED, PAID, Row("payer", "succeeded", "undo"))
    found = effects("LIBERATION_STOCK", *moves)
    assert (found["payer"], found["reserver_stock"]) == (Effect.UNDONE, Effect.TOOK_EFFECT)


def test_an_undo_without_a_clear_answer_is_unknown():
    moves = (RESERVED, PAID, *[Row("payer", "retry", "undo")] * 9, Row("payer", "exhausted", "undo"))
    assert effects("STUCK_UNDO_PAYER", *moves)["payer"] is Effect.UNKNOWN
    assert "called to undo Take the payment (payer)" in effect_of("payer", "STUCK_UNDO_PAYER", *moves)


def test_undo_that_was_not_sent_changes_nothing():
    moves = (RESERVED, PAID, Row("payer", "defer", "undo"))
    assert effects("REMBOURSEMENT", *moves)["payer"] is Effect.TOOK_EFFECT


def test_call_in_flight_is_unknown():
    assert effects("STOCK_RESERVE", RESERVED, in_doubt=True)["payer"] is Effect.UNKNOWN
    still = "client is being called and has given no clear answer yet: it may have happened."
    assert effect_of("payer", "STOCK_RESERVE", RESERVED, in_doubt=True) == still
    assert effects("STOCK_RESERVE", RESERVED, in_doubt=False)["payer"] is Effect.NOT_DONE
    assert effects("REMBOURSEMENT", RESERVED, PAID, in_doubt=True)["payer"] is Effect.UNKNOWN


def test_resolved_step_is_described_as_done_by_hand():
    moves = (RESERVED, PAID, Row("enregistrer_vente", "retry"), Row("enregistrer_vente", "resolve"))
    assert effects("COMMANDE_ENREGISTREE", *moves)["enregistrer_vente"] is Effect.TOOK_EFFECT
    assert "by hand" in effect_of("enregistrer_vente", "COMMANDE_ENREGISTREE", *moves)


SOLD = next(step for step in CHECKOUT.steps if step.name == "enregistrer_vente")
AT = datetime(2026, 1, 1, tzinfo=UTC)
ANSWERS = {happened: Answer(step=SOLD.name, happened=happened, at=AT) for happened in (0, 1)}
FINDINGS = {
    found: Finding(steps=frozenset({SOLD.name}), found=found, by="user:otto", at=AT, reason="seen") for found in Found
}


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ({}, "took effect"),
        ({"by_hand": True}, "took effect, by hand"),
        ({"by_hand": True, "answer": ANSWERS[0]}, "took effect, by hand"),
        ({"by_hand": True, "answer": ANSWERS[1]}, "took effect"),
        ({"in_flight": True}, "under way"),
        ({"finding": FINDINGS[Found.HAPPENED]}, "happened, says otto"),
        ({"finding": FINDINGS[Found.NOT_HAPPENED]}, "did not happen, says otto"),
        ({"finding": FINDINGS[Found.PUT_RIGHT]}, "undone by hand, says otto"),
    ],
)
def test_words_of_an_effect_say_what_only_a_person_has_confirmed(found, words):
    effect = StepEffect(step=SOLD, effect=Effect.TOOK_EFFECT, call=SOLD.call, direction=Direction.DO, **found)
    assert effect_words(effect) == words


def test_step_without_undo_is_described_so():
    assert effect_of("payer", "CONFIRMEE", PAID) == "client did it."
    assert effect_of("confirmer", "CONFIRMEE", Row("confirmer", "succeeded")) == "stock did it, and it has no undo."


def test_pivot_refused_in_doubt_is_unknown():
    moves = [RESERVED, PAID, Row("enregistrer_vente", "refused_in_doubt", status_code=409)]
    assert effects("STUCK_ENREGISTRER_VENTE", *moves)["enregistrer_vente"] is Effect.UNKNOWN


def test_deferred_503_is_unknown_and_deferred_401_is_not_done():
    waits = Row("payer", "defer", status_code=503)
    assert effects("ANNULEE", RESERVED, waits, Row("payer", "expire"))["payer"] is Effect.UNKNOWN
    turned_away = Row("payer", "defer", status_code=401)
    assert effects("ANNULEE", RESERVED, turned_away, Row("payer", "expire"))["payer"] is Effect.NOT_DONE


def test_refused_undo_changes_nothing_and_is_described_so():
    moves = [RESERVED, PAID, Row("payer", "refused", "undo", 409)]
    assert effects("STUCK_UNDO_PAYER", *moves)["payer"] is Effect.TOOK_EFFECT
    assert (
        effect_of("payer", "STUCK_UNDO_PAYER", *moves)
        == "client refuses to undo Take the payment (payer): a person must decide."
    )


def test_group_that_is_stuck_is_unknown_because_other_branches_may_have_done_something():
    look = read("look", get("shop", "/look"), done="SEEN", refused="NO_LOOK")
    do, undo = post("shop", "/do"), post("shop", "/undo")
    hold = [compensatable(name, do, undo=undo, done=name.upper(), refused=f"NO_{name}") for name in "ab"]
    table = Saga(
        name="order", version=1, initial="NEW", completed="DONE", compensated="CANCELLED", data={},
        participants=("shop",), steps=(look, together(*hold, name="both", done="DONE")),
    )  # fmt: skip
    run = given(table).when(b=refused()).run()
    (found,) = effects_of(table, run.state, run.journal, in_doubt=False)
    assert (run.status, found.effect) == ("stuck", Effect.UNKNOWN)
    assert description(found) == "A branch of both went back. Other branches may have done something: see their sagas."
    at_rest = SimpleNamespace(state=run.state, status=run.status, owner=None, attempt=0, deferrals=0)
    assert "A branch went back." in summary(table, at_rest, run.journal, [found])


PAPERS = together(
    *[
        compensatable(name, post("shop", "/do"), undo=post("shop", "/undo"), done=name.upper(), refused=f"NO_{name}")
        for name in "ab"
    ],
    name="papers",
    done="PRINTED",
    refused="BARE",
)
PAYS = sub("payment", done="PAID", refused="NOT_PAID")
SEND = pivot("send", post("shop", "/send"), done="SENT", refused="NOT_SENT")
SHOP = Saga(
    name="shop", version=1, initial="NEW", completed="SENT", compensated="CANCELLED", data={}, participants=("shop",),
    steps=(PAPERS, PAYS, SEND),
)  # fmt: skip
PRINTED, PAID_FOR = Row("papers", "succeeded"), Row("payment", "succeeded")
OF_CHILDREN = [
    ("NEW", (), "The branches of papers are under way: see the sagas that papers has started."),
    ("PRINTED", (PRINTED,), "The branches of papers are done."),
    ("PRINTED", (PRINTED,), "The saga payment is under way: see the sagas that payment has started."),
    ("PAID", (PRINTED, PAID_FOR), "The saga payment is done."),
    ("UNDOING_PAYMENT", (PRINTED, PAID_FOR),
     "The saga payment is being undone: see the sagas that payment has started."),
    ("UNDOING_PAPERS", (PRINTED, Row("payment", "refused")), "The saga payment is undone: nothing is left of it."),
    ("UNDOING_PAPERS", (PRINTED,), "The saga payment has not run."),
    ("CANCELLED", (PRINTED, Row("papers", "succeeded", "undo")), "The branches of papers are undone."),
    ("PRINTED", (Row("papers", "resolve"),),
     "A person resolved it by hand; the branches of papers did not confirm it."),
    ("STUCK_UNDO_PAPERS", (PRINTED, Row("papers", "quarantine", "undo")),
     "The branches of papers may have done something, or not: see the sagas that papers has started."),
]  # fmt: skip


@pytest.mark.parametrize(("state", "moves", "words"), OF_CHILDREN)
def test_effect_of_a_step_that_starts_sagas_names_them_and_no_participant(state, moves, words):
    found = [description(item) for item in effects_of(SHOP, state, moves, in_doubt=False)]
    assert words in found


def test_summary_of_a_step_that_starts_sagas_names_them_and_no_participant():
    at_rest = SimpleNamespace(state="STUCK_UNDO_PAPERS", status="stuck", owner=None, attempt=0, deferrals=0)
    moves = (PRINTED, Row("papers", "quarantine", "undo"))
    text = summary(SHOP, at_rest, moves, effects_of(SHOP, at_rest.state, moves, in_doubt=False))
    assert text.endswith("a person must decide. See the sagas that papers has started.")
    ended = SimpleNamespace(state="CANCELLED", status="compensated", owner=None, attempt=0, deferrals=0)
    text = summary(SHOP, ended, moves, effects_of(SHOP, ended.state, moves, in_doubt=False))
    assert "papers is still unknown: see the sagas that it has started." in text
    assert "Check at" not in text
