from datetime import UTC, datetime, timedelta, timezone

import pytest

from app.admin.pages import breakable
from app.store.access_models import AuditRow
from app.store.cases import GIVE_BACK, NOTE, SNOOZE, TAKE, WAKE
from app.views.formatting import brief, cause, duration, moment, time_of_day
from app.views.tickets import deed
from app.views.titles import error_words
from machines.checkout import CHECKOUT
from machines.progress import OPERATOR_ACTIONS
from machines.renaming import MIGRATE
from machines.send_now import SEND_NOW

MOMENT = datetime(2026, 1, 2, 3, 4, 5, 678_900, tzinfo=timezone(timedelta(hours=1)))


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-1, "0 ms"), (0.0123, "12 ms"), (1.25, "1.2 s"), (59.94, "59.9 s"), (60, "1 min"), (200, "3 min 20 s"),
        (3_600, "1 h"), (7_530, "2 h 5 min"), (90_000, "1 d 1 h"), (8_640_000, "100 d"),
    ],
)  # fmt: skip
def test_duration_has_its_two_largest_units(seconds, words):
    assert duration(seconds) == words


def test_moment_is_in_utc():
    assert (moment(MOMENT), time_of_day(MOMENT)) == ("2026-01-02 02:04:05", "02:04:05.678")
    assert moment(MOMENT.astimezone(UTC)) == moment(MOMENT)


def test_cause_leaves_out_the_state_and_the_step():
    assert cause("STUCK_PAYER: payer: 503 no: really") == "503 no: really"
    assert cause("Too late for payer: its deadline of 9 s is over: yes") == "its deadline of 9 s is over: yes"
    assert (cause(None), cause("lost")) == ("", "lost")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (None, ""),
        ("STUCK_PAYER: payer: 503 no: really", "Take the payment (payer): 503 no: really"),
        ("Too late for payer: it took 9 s: no", "Too late for Take the payment (payer): it took 9 s: no"),
        ("Cancelled by ada: customer called: twice", "Cancelled by ada: customer called: twice"),
        ("X: unknown_step: 503", "unknown_step: 503"),
        ("lost", "lost"),
    ],
)  # fmt: skip
def test_error_names_the_step_by_its_title_and_no_state(error, words):
    assert error_words(CHECKOUT, error) == words


@pytest.mark.parametrize(
    "action",
    [
        *(f"saga.{trigger}" for triggers in OPERATOR_ACTIONS.values() for trigger in triggers),
        *(f"saga.{name}" for name in (SEND_NOW, MIGRATE, "start", "signal")),
        TAKE, GIVE_BACK, NOTE, SNOOZE, WAKE,
    ],
)  # fmt: skip
def test_every_action_on_a_saga_has_words_in_its_ticket(action):
    assert action not in deed(AuditRow(action=action, reason="why", after=None))


def test_field_of_a_call_is_one_line():
    assert (brief("Ada"), brief(59.97), brief(True)) == ("Ada", "59.97", "true")
    assert brief([{"id": 456, "quantity": 2}, {"id": "b"}]) == "id 456, quantity 2; id b"
    assert brief("x" * 500) == "x" * 120 + " …"


def test_long_name_breaks_after_underscores_and_is_escaped():
    assert breakable("A_<b>") == "A_<wbr>&lt;b&gt;"
