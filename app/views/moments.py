"""Times in requests: a moment, and the time at which a saga is to start."""

from datetime import UTC, datetime, timedelta
from typing import Any

from marshmallow import ValidationError, fields

#: Longest time from a request to the start of its saga. The longest pause in a saga has the same length.
LONGEST_AHEAD = timedelta(days=3_650)


class Moment(fields.AwareDateTime):
    """A time, converted to UTC because SQLite stores no time zone. A text without a time zone is read as UTC."""

    def __init__(self, **options: Any) -> None:
        super().__init__(format="iso", default_timezone=UTC, **options)

    def _deserialize(self, value: Any, *arguments: Any, **more: Any) -> datetime:
        try:
            return super()._deserialize(value, *arguments, **more).astimezone(UTC)
        except OverflowError:
            raise ValidationError("Not a moment between the years 1 and 9999.") from None


class StartAt(Moment):
    """The time at which a saga is to start."""

    def _deserialize(self, value: Any, *arguments: Any, **more: Any) -> datetime:
        if " " in str(value).strip()[11:]:
            raise ValidationError("It has a space; in an URL, write the + of a time zone as %2B.")
        moment = super()._deserialize(value, *arguments, **more)
        if moment > datetime.now(UTC) + LONGEST_AHEAD:
            raise ValidationError("It is more than ten years ahead; use an earlier time.")
        return moment
