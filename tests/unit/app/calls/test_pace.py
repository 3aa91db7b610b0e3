"""The pace at which the sagas that have waited for a participant go on."""

import pytest

from app.participant_settings.model import ParticipantSettings
from app.participant_settings.pace import LONGEST_S, PACE, Turns, spread_s


def limited(**limits):
    return ParticipantSettings(url="", **limits)


@pytest.mark.parametrize(
    ("settings", "sagas", "seconds"),
    [
        (None, 400, 20.0),
        (limited(), 400, 20.0),
        (limited(), 100_000, LONGEST_S),
        (limited(rate=(100, 1.0)), 400, 4.0),
        (limited(rate=(60, 60.0)), 4_000, 4_000.0),
        (limited(concurrency=2), 400, 40.0),
        (limited(concurrency=100), 400, 20.0),
        (limited(concurrency=1, rate=(100, 1.0)), 400, 80.0),
        (None, 0, 0.0),
    ],
)
def test_calls_are_spread_by_the_limits_of_the_participant(settings, sagas, seconds):
    assert spread_s(settings, sagas) == pytest.approx(seconds)


def test_turns_follow_each_other_from_the_time_of_the_first():
    turns = Turns(limited(rate=(10, 1.0)))
    assert [turns.take(100.0) for _ in range(3)] == pytest.approx([0.0, 0.1, 0.2])
    assert turns.take(100.25) == pytest.approx(0.05)
    assert turns.take(200.0) == 0.0


@pytest.mark.parametrize(("settings", "longest"), [(None, LONGEST_S), (limited(rate=(20, 1.0)), 250.0)])
def test_turns_are_given_again_when_no_limit_forbids_it(settings, longest):
    turns = Turns(settings)
    waits = [turns.take(0.0) for _ in range(int(250 * PACE))]
    assert max(waits) == pytest.approx(longest, abs=0.1)
    assert min(waits[1:]) == pytest.approx(0.0 if settings is None else 1 / PACE, abs=0.01)
