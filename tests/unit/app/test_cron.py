"""The times of a schedule, also when the clocks change.

In Paris, the clocks change at 01:00 UTC on 2027-03-28 and on 2027-10-31.
"""

from datetime import UTC, datetime

import pytest

from app.cron import ScheduleTimeError, next_after

PARIS = "Europe/Paris"


def times(expression: str, after: str, number: int, zone: str = PARIS) -> list[str]:
    found, at = [], datetime.fromisoformat(after).replace(tzinfo=UTC)
    for _ in range(number):
        at = next_after(expression, zone, at)
        found.append(f"{at:%m-%d %H:%M}")
    return found


def test_a_time_is_read_in_its_zone():
    assert times("0 3 * * *", "2027-01-31T00:00", 2) == ["01-31 02:00", "02-01 02:00"]
    assert times("0 3 * * *", "2027-07-01T00:00", 1) == ["07-01 01:00"]
    assert times("0 3 * * *", "2027-01-31T00:00", 1, "UTC") == ["01-31 03:00"]
    assert times("0 9 * * MON-FRI", "2027-01-01T12:00", 2) == ["01-04 08:00", "01-05 08:00"]


def test_a_time_that_does_not_exist_runs_at_the_next_moment_that_exists():
    assert times("30 2 * * *", "2027-03-27T12:00", 2) == ["03-28 01:00", "03-29 00:30"]


def test_a_time_that_comes_twice_runs_once_the_first_time():
    assert times("30 2 * * *", "2027-10-30T12:00", 2) == ["10-31 00:30", "11-01 01:30"]
    within = ["10-31T00:30", "10-31T00:45", "10-31T01:00", "10-31T01:30", "10-31T01:45"]
    for after in within:  # the same for a process that looks during the second of the two equal hours
        assert times("30 2 * * *", f"2027-{after}", 1) == ["11-01 01:30"]


def test_a_star_follows_real_time():
    assert times("30 * * * *", "2027-10-30T23:00", 4) == ["10-30 23:30", "10-31 00:30", "10-31 01:30", "10-31 02:30"]
    assert times("30 * * * *", "2027-03-28T00:00", 2) == ["03-28 00:30", "03-28 01:30"]
    assert times("*/30 2 * * *", "2027-03-27T12:00", 1) == ["03-29 00:00"]


@pytest.mark.parametrize(
    ("expression", "zone", "field", "text"),
    [
        ("0 3 * *", "UTC", "cron", "Not five fields: minute, hour, day, month, weekday; such as 0 3 * * *."),
        ("0 0 3 * * *", "UTC", "cron", "Not five fields"),
        ("@daily", "UTC", "cron", "Not five fields"),
        ("60 3 * * *", "UTC", "cron", "Bad minute; write five fields such as 0 3 * * *."),
        ("0 3 30 2 *", "UTC", "cron", "Bad day-of-month"),
        ("0 3 x * *", "UTC", "cron", "Bad day-of-month"),
        ("0 3 * * *", "Europe/Pariss", "zone", "'Europe/Pariss' is no time zone; use a name such as Europe/Paris or"),
        ("0 3 * * *", "../../etc/passwd", "zone", "'../../etc/passwd' is no time zone"),
        ("0 3 * * *", "Europe", "zone", "'Europe' is no time zone"),
        ("0 3 * * *", "", "zone", "'' is no time zone"),
    ],
)
def test_a_wrong_time_is_refused_with_its_remedy(expression, zone, field, text):
    with pytest.raises(ScheduleTimeError) as refused:
        next_after(expression, zone, datetime(2027, 1, 1, tzinfo=UTC))
    assert (refused.value.field, str(refused.value)[: len(text)]) == (field, text)
