"""Starts the sagas of schedules. A due time never starts two sagas, even when a process dies or several run.

The saga and the schedule's next time are written in one transaction, and the schedule's version decides which process
writes it. The saga's Idempotency-Key is made of the schedule's name and the time, and the unique index of the keys
refuses a second saga for one time, also after a backup was restored.

When no process ran at a due time, the first missed time is started later. The other missed times are skipped: the next
time is the first one in the future.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import Row

from app.cron import ScheduleTimeError, next_after
from app.engine.engine import Engine
from app.engine.idempotency import Keys, new_saga
from app.errors import InvalidError, KeyReusedError, ProblemError
from app.store.audit import Entry
from app.store.data_keys import KeyLostError
from app.store.instance import Instance
from app.store.sagas import KeyTakenError
from app.store.schedules import OvertakenError, ScheduleStore
from app.store.tables import Tables
from app.store.tenants import acting_for
from machines.registry import Registry
from machines.saga import Saga

_log = structlog.get_logger("schedules")
#: Returns the checked data of a new saga, or raises InvalidError.
DataCheck = Callable[[Saga, Mapping[str, Any]], Mapping[str, Any]]


@dataclass(frozen=True, kw_only=True)
class NewSchedule:
    """A schedule to add. The columns are those of `ScheduleRow`."""

    name: str
    definition: str
    data: Mapping[str, Any]
    cron: str
    zone: str
    overlaps: bool


class Schedules:
    """Adds, pauses and resumes schedules, and starts their sagas.

    now: returns the time; default: the database's clock.
    """

    def __init__(  # noqa: PLR0917
        self, engine: Engine, keys: Keys, registry: Registry, tables: Tables, store: ScheduleStore, check: DataCheck,
        now: Callable[[], datetime] | None = None,
    ) -> None:  # fmt: skip
        self._engine, self._keys, self._registry, self._tables = engine, keys, registry, tables
        self.store, self._check, self._now = store, check, now or store.now

    def add(self, new: NewSchedule, entry: Entry) -> None:
        """Add a schedule; its first time is in the future.

        Raise InvalidError for a wrong cron expression or zone, and ConflictError when the name is taken.
        """
        self.store.add(vars(new) | {"next_at": self._next(new.cron, new.zone)}, entry)

    def pause(self, name: str, entry: Entry) -> None:
        """Start no sagas of a schedule until it is resumed. Raise NotFoundError, or ConflictError when it is paused."""
        self.store.set_next(name, None, entry)

    def resume(self, name: str, entry: Entry) -> None:
        """Start sagas of a paused schedule again, from its next time on.

        No sagas are started for the times of the pause.
        """
        row = self.store.find(name)
        self.store.set_next(name, self._next(row.cron, row.zone), entry)

    def change(self, name: str, values: Mapping[str, Any], entry_of: Callable[[Row[Any]], Entry]) -> None:
        """Change columns of a schedule. Raise NotFoundError, or InvalidError for a wrong cron expression or zone.

        A time that is due already is still started, by the new data and the new overlap: it makes no difference whether
        a process has noticed it before the change. The new times count from the change on. A paused schedule stays
        paused. entry_of: see `ScheduleStore.change`.
        """
        now, times = self._now(), {"cron", "zone"} & values.keys()

        def next_of(before: Row[Any]) -> datetime | None:
            found = self._next(values.get("cron", before.cron), values.get("zone", before.zone)) if times else None
            stays = before.next_at is None or before.next_at <= now
            return before.next_at if stays or found is None else found

        self.store.change(name, values, next_of, entry_of)

    def start_due(self) -> None:
        """Start the sagas of all schedules whose time has come. Start none before the tables are compared."""
        if not self._tables.compared:
            return
        now = self._now()
        for row in self.store.due(now, self._registry.names):
            try:
                self._start(row, next_after(row.cron, row.zone, max(now, row.next_at)))
            except (OvertakenError, KeyTakenError):  # another process has started it, or the next pass tries again
                continue
            # This machine does not know the time zone, or DATA_KEY is not the one that the installation has.
            except (ScheduleTimeError, KeyLostError) as error:
                _log.error("schedule.unreadable", schedule=row.name, error=str(error))

    def _start(self, row: Row[Any], following: datetime) -> None:
        """Start the saga of a schedule that is due, and set the schedule's next time in the same transaction."""
        try:
            saga = self._saga(row)
        except KeyLostError:
            raise
        except ProblemError as error:
            self._advance(row, following, f"not started: {_in_words(error)}", None)
            return
        known = self._keys.known_all([saga])[0]
        if isinstance(known, KeyReusedError):
            self._advance(row, following, "not started: another saga has the key of this time", None)
        elif known is not None:
            self._advance(row, following, "started", known.id)
        elif not row.overlaps and self.store.unfinished(row.last_saga_id):
            self._advance(row, following, f"skipped: saga {row.last_saga_id} has not ended", None)
        else:
            also = partial(self.store.advance_within, row=row, next_at=following, result="started", saga_id=saga.id)
            self._engine.insert_all([saga], also)

    def _saga(self, row: Row[Any]) -> Instance:
        """Return the saga of the time that is due. Raise InvalidError when the data no longer fits its table."""
        definition = self._registry.latest(row.definition)
        sent = self.store.data_of(row)
        data = self._check(definition, sent)
        with acting_for(row.tenant):
            return new_saga(definition, data, key_of(row.name, row.next_at), f"schedule:{row.name}", sent)

    def _advance(self, row: Row[Any], following: datetime, result: str, saga_id: UUID | None) -> None:
        self.store.advance(row, following, result, saga_id)
        if saga_id is None:
            _log.warning("schedule.not_started", schedule=row.name, time=row.next_at.isoformat(), reason=result)

    def _next(self, cron: str, zone: str) -> datetime:
        try:
            return next_after(cron, zone, self._now())
        except ScheduleTimeError as error:
            raise InvalidError((f"/{error.field}", str(error))) from None


def key_of(name: str, time: datetime) -> str:
    """Return the Idempotency-Key of the saga that a schedule starts at a time."""
    return f"schedule/{name}/{time.astimezone(UTC):%Y-%m-%dT%H:%MZ}"


def _in_words(error: ProblemError) -> str:
    wrong = error.members.get("errors", ())
    return "; ".join(f"{each['pointer']}: {each['detail']}" for each in wrong) or error.detail
