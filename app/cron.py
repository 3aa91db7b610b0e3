"""The times of a schedule: a cron expression in a time zone.

When the clocks change, the rules are those of Debian's cron. An expression with fixed minutes and hours runs once. If
its time is skipped, it runs at the next time that exists. If its time comes twice, it runs the first time. An
expression whose minutes or hours begin with `*` does not run in a skipped hour, and runs twice in a repeated hour.
"""

from datetime import UTC, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

#: Number of fields: minute, hour, day of the month, month, day of the week.
_FIELDS = 5


class ScheduleTimeError(ValueError):
    """The cron expression or the zone is not legal. field: `cron` or `zone`."""

    def __init__(self, field: str, text: str) -> None:
        super().__init__(text)
        self.field = field


def next_after(expression: str, zone: str, after: datetime) -> datetime:
    """Return the first time of the schedule after a moment, in UTC.

    Raise ScheduleTimeError for an illegal expression or zone, and for a schedule without such a time.
    """
    if len(expression.split()) != _FIELDS:
        raise ScheduleTimeError("cron", "Not five fields: minute, hour, day, month, weekday; such as 0 3 * * *.")
    known = _zone(zone)
    try:
        times = CronSim(expression, after.astimezone(known))
        while (found := next(times).astimezone(UTC)) <= after:  # in a repeated hour, cronsim can return an earlier time
            pass
    except (CronSimError, ValueError, OverflowError) as error:
        raise ScheduleTimeError("cron", f"{error}; write five fields such as 0 3 * * *.") from None
    except StopIteration:
        raise ScheduleTimeError("cron", "It never comes; correct the day and the month.") from None
    return found


@lru_cache(maxsize=64)
def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (LookupError, ValueError, OSError):  # OSError: the name is a folder
        raise ScheduleTimeError("zone", f"{name!r} is no time zone; use a name such as Europe/Paris or UTC.") from None
