"""What people read in place of names, and the sentences about money."""

import datetime as dt

import pytest

from app.views.effects import description
from machines import paid, taken
from machines.fields import amount, integer
from machines.history import Answer, Effect, Finding, Found, StepEffect, effects_of
from machines.testing import failed, given, refused
from machines.titles import money_moved, state_title
from machines.transitions import Direction, Phase
from tests.unit.machines.tables import DO, LOOK, UNDO, hold, saga, sell

FIELDS = {"client_id": integer(low=1), "price": amount()}
DATA = {"client_id": 4, "price": 109.88}


def table(word=taken, **columns):
    step = hold(title="take the money", amount=word("price"))
    return saga(step, data={"client_id": integer(), "price": amount()}, client="client_id", **columns)


def words(effect, phase, direction=Direction.DO, *, word=taken, client="4", probe=None, participant=str, **flags):
    definition = saga(hold(title="take the money", amount=word("price"), probe=probe), data=FIELDS, client="client_id")
    call = UNDO if direction is Direction.UNDO else DO
    found = StepEffect(step=definition.steps[0], effect=effect, call=call, direction=direction, **flags)
    return str(money_moved(found, client, phase=phase, data=DATA, results={}, participant=participant))


@pytest.mark.parametrize(
    ("effect", "phase", "direction", "said"),
    [
        (Effect.TOOK_EFFECT, Phase.COMPLETED, Direction.DO, "109.88 taken from customer 4"),
        (Effect.TOOK_EFFECT, Phase.FORWARD, Direction.DO, "109.88 taken from customer 4"),
        (Effect.TOOK_EFFECT, Phase.STUCK, Direction.DO, "109.88 taken from customer 4, not given back"),
        (Effect.TOOK_EFFECT, Phase.UNDOING, Direction.UNDO, "109.88 taken from customer 4, not given back"),
        (Effect.UNDONE, Phase.COMPENSATED, Direction.UNDO, "109.88 taken from customer 4, and given back"),
        (Effect.UNKNOWN, Phase.STUCK, Direction.DO, "109.88 may have been taken from customer 4"),
        (Effect.UNKNOWN, Phase.STUCK, Direction.UNDO, "109.88 taken from customer 4, and may have been given back"),
        (Effect.NOT_DONE, Phase.COMPENSATED, Direction.DO, "109.88 not taken from customer 4"),
        (Effect.SKIPPED, Phase.COMPLETED, Direction.DO, "109.88 not taken from customer 4"),
    ],
)
def test_money_words_say_no_more_than_the_effect(effect, phase, direction, said):
    assert words(effect, phase, direction) == said


def test_money_that_is_paid_out_is_taken_back():
    assert words(Effect.TOOK_EFFECT, Phase.STUCK, word=paid) == "109.88 paid to customer 4, not taken back"
    assert words(Effect.UNDONE, Phase.STUCK, word=paid) == "109.88 paid to customer 4, and taken back"


def test_money_words_say_what_a_person_did_by_hand():
    assert words(Effect.UNDONE, Phase.COMPENSATED, by_hand=True).endswith(", and given back by hand, says a person")


def test_money_words_do_not_claim_that_money_was_taken_when_only_its_undo_is_known():
    undone = words(Effect.UNDONE, Phase.COMPENSATED, Direction.UNDO, uncertain=True)
    assert undone == "109.88 may have been taken from customer 4; its undo succeeded"
    assert words(Effect.UNDONE, Phase.COMPENSATED, by_hand=True, uncertain=True).endswith(
        "; undone by hand, says a person"
    )
    open_ = words(Effect.UNKNOWN, Phase.STUCK, Direction.UNDO, uncertain=True)
    assert open_ == "109.88 may have been taken from customer 4; its undo is not confirmed"


AT = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
NO, YES = (Answer(step="hold", happened=happened, at=AT) for happened in (0, 1))


@pytest.mark.parametrize(
    ("answer", "phase", "said"),
    [
        (None, Phase.COMPLETED, "109.88 taken from customer 4, says otto"),
        (None, Phase.STUCK, "109.88 taken from customer 4, says otto, not given back"),
        (NO, Phase.COMPLETED, "109.88 taken from customer 4, says otto; shop answered that it had not happened"),
        (YES, Phase.COMPLETED, "109.88 taken from customer 4"),
    ],
)
def test_money_words_name_who_says_that_a_step_happened(answer, phase, said):
    found = {"by_hand": True, "by": "user:otto", "answer": answer}
    assert words(Effect.TOOK_EFFECT, phase, probe=LOOK, **found) == said


def test_money_words_name_the_participant_by_its_title():
    said = words(Effect.TOOK_EFFECT, Phase.COMPLETED, probe=LOOK, by_hand=True, answer=NO, participant=str.title)
    assert said.endswith("; Shop answered that it had not happened")


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (Found.HAPPENED, "109.88 taken from customer 4, says otto, not given back"),
        (Found.NOT_HAPPENED, "109.88 not taken from customer 4, says otto"),
        (Found.PUT_RIGHT, "109.88 taken from customer 4, and given back by hand, says otto"),
    ],
)
@pytest.mark.parametrize("direction", Direction)
def test_money_words_say_what_a_person_has_found(found, said, direction):
    finding = Finding(steps=frozenset({"hold"}), found=found, by="user:otto", at=AT, reason="seen")
    uncertain = direction is Direction.UNDO
    assert words(Effect.UNKNOWN, Phase.COMPENSATED, direction, finding=finding, uncertain=uncertain) == said


@pytest.mark.parametrize(
    ("answers", "uncertain", "said"),
    [
        ({"hold": [failed] * 4}, True, "109.88 may have been taken from customer 4; its undo succeeded"),
        ({"sell": refused("no")}, False, "109.88 taken from customer 4, and given back"),
    ],
)
def test_undo_of_a_call_without_a_clear_answer_leaves_it_unknown_whether_it_happened(answers, uncertain, said):
    step = hold(title="take the money", amount=taken("price"), done="HELD")
    definition = saga(
        step, sell(), data={"client_id": integer(), "price": amount()}, client="client_id", compensated="BACK"
    )
    run = given(definition).when(**answers).run()
    found, _ = effects_of(definition, run.state, run.journal, in_doubt=False)
    assert (found.effect, found.uncertain) == (Effect.UNDONE, uncertain)
    assert str(money_moved(found, "4", phase=Phase.COMPENSATED, data=DATA, results={})) == said
    assert ("nothing is left" in description(found)) is uncertain


def test_money_words_name_no_customer_that_is_not_known():
    assert words(Effect.TOOK_EFFECT, Phase.COMPLETED, client=None) == "109.88 taken"


@pytest.mark.parametrize(
    ("effect", "direction", "uncertain", "sums"),
    [
        (Effect.TOOK_EFFECT, Direction.DO, False, ("taken",)),
        (Effect.TOOK_EFFECT, Direction.DO, True, ("unknown",)),
        (Effect.UNDONE, Direction.UNDO, False, ("taken", "given back")),
        (Effect.UNDONE, Direction.UNDO, True, ()),
        (Effect.UNKNOWN, Direction.DO, False, ("unknown",)),
        (Effect.UNKNOWN, Direction.UNDO, False, ("taken", "unknown")),
        (Effect.UNKNOWN, Direction.UNDO, True, ("unknown",)),
        (Effect.NOT_DONE, Direction.DO, False, ()),
        (Effect.SKIPPED, Direction.DO, False, ()),
    ],
)
def test_money_counts_in_the_sums_of_what_is_known(effect, direction, uncertain, sums):
    step = table().steps[0]
    call = UNDO if direction is Direction.UNDO else DO
    found = StepEffect(step=step, effect=effect, call=call, direction=direction, uncertain=uncertain)
    money = money_moved(found, "4", phase=Phase.COMPENSATED, data=DATA, results={})
    assert money.sums == sums
    assert money.moved or not sums


def test_money_words_have_the_currency_of_the_table():
    step = hold(title="take the money", amount=taken("price", "EUR"))
    definition = saga(step, data={"client_id": integer(), "price": amount()}, client="client_id")
    done = StepEffect(step=definition.steps[0], effect=Effect.TOOK_EFFECT, call=DO, direction=Direction.DO)
    said = money_moved(done, "4", phase=Phase.COMPLETED, data=DATA, results={})
    assert str(said) == "109.88 EUR taken from customer 4"


def test_a_step_without_amount_has_no_money_words():
    definition = saga(hold())
    effect = StepEffect(step=definition.steps[0], effect=Effect.UNDONE, call=UNDO, direction=Direction.UNDO)
    assert money_moved(effect, "4", phase=Phase.COMPENSATED, data=DATA, results={}) is None


@pytest.mark.parametrize(
    ("state", "title"),
    [
        ("DONE", "paid"),
        ("STUCK_HOLD", "stuck: take the money"),
        ("STUCK_UNDO_HOLD", "stuck in the undo of: take the money"),
        ("UNDOING_HOLD", "undoes: take the money"),
        ("STARTED", ""),
        ("A_STATE_OF_ANOTHER_RELEASE", ""),
    ],
)
def test_a_state_takes_its_title_from_the_table_or_from_its_step(state, title):
    assert state_title(table(titles={"DONE": "paid"}), state) == title
