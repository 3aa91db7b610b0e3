"""The case of a saga as people and programs see and change it."""

from datetime import UTC, datetime, timedelta
from typing import Any

from marshmallow import RAISE, Schema, fields, validate
from sqlalchemy import Row

from app.errors import InvalidError
from app.views.moments import Moment
from app.views.validation import LONGEST_REASON, storable

#: Longest time for which a saga can be kept off the list of stuck sagas.
LONGEST_SNOOZE = timedelta(days=30)


class Taking(Schema):
    """Take a case, or give it back."""

    class Meta:
        unknown = RAISE

    seen = fields.String(
        load_default=None,
        allow_none=True,
        validate=storable,
        metadata={"description": "who looked after the saga when you decided, such as user:otto; default: nobody"},
    )


class Note(Schema):
    """A note in the audit trail; the case shows the last one."""

    class Meta:
        unknown = RAISE

    note = fields.String(required=True, validate=[validate.Length(1, LONGEST_REASON), storable])


class Snooze(Schema):
    """Until when the saga is not on the list of stuck sagas, and why."""

    class Meta:
        unknown = RAISE

    until = Moment(required=True, metadata={"description": "a time within the next 30 days; UTC without a time zone"})
    reason = fields.String(required=True, validate=[validate.Length(1, LONGEST_REASON), storable])


def check_snooze(until: datetime) -> None:
    """Raise InvalidError for a time that has passed, or that is too far ahead."""
    if not datetime.now(UTC) < until <= datetime.now(UTC) + LONGEST_SNOOZE:
        raise InvalidError(("/until", f"Give a time (UTC) within the next {LONGEST_SNOOZE.days} days."))


def case_json(case: Row[Any] | None) -> dict[str, object]:
    """Return a case as JSON. None: nobody has changed anything of it."""
    at = {name: getattr(case, name, None) for name in ("taken_at", "snoozed_until")}
    return {
        "taken_by": case.taken_by if case else None,
        "note": case.note if case else None,
        **{name: moment.isoformat() if moment else None for name, moment in at.items()},
    }
