"""Schedules: sagas that the service starts at the times of a cron expression."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from http import HTTPStatus
from typing import Any, Literal, overload
from urllib.parse import quote
from uuid import UUID

from saga_client.protocol import CarriesOut, CarriesOutLater, Protocol, Steps, error, json_object, post_request, read
from saga_client.results import Data, SagaType, moment
from saga_client.transport import Request

#: What happens at a time at which the saga of the time before has not ended: skip it, or start another saga.
Overlap = Literal["skip", "allow"]
PATH = "/api/v1/schedules"


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """A schedule at the moment of the answer."""

    name: str
    #: Name of the table of its sagas.
    type: str
    #: Data of each saga. A secret value is "***".
    data: Mapping[str, Any]
    #: Minute, hour, day of the month, month and weekday, in the time zone `zone`.
    cron: str
    zone: str
    overlap: Overlap
    paused: bool
    #: The next time; None: the schedule is paused.
    next_at: datetime | None
    #: The last time that was due; None: there was none.
    last_at: datetime | None
    #: `started`, or why no saga was started at `last_at`.
    last_result: str | None
    #: The saga that was started last.
    last_saga_id: UUID | None
    created_at: datetime
    created_by: str


class ScheduleProtocol:
    """The operations on schedules, as generators like those of `Protocol`.

    A change whose answer is lost is sent again, and is then refused because it is made already. When the schedule is as
    the change would leave it, the operation succeeds.
    """

    def __init__(self, protocol: Protocol) -> None:
        self._protocol = protocol

    def list(self) -> Steps[tuple[Schedule, ...]]:
        answer = yield from self._protocol.send(Request(method="GET", path=PATH))
        body = json_object(answer)
        if answer.status != HTTPStatus.OK:
            raise error(answer, body)
        return read(_schedules, body)

    def show(self, name: str) -> Steps[Schedule]:
        return (yield from self._schedule(Request(method="GET", path=_path(name)), None, None))

    def add(  # noqa: PLR0917  the members of the request
        self, name: str, cron: str, saga_type: str, data: Mapping[str, Any], zone: str, overlap: Overlap
    ) -> Steps[Schedule]:
        body = {"name": name, "type": saga_type, "data": data, "cron": cron, "zone": zone, "overlap": overlap}
        request = post_request(PATH, body, 0)
        sent = json.loads(request.body or b"{}")

        def added(found: Schedule) -> bool:
            return all(getattr(found, member) == value for member, value in sent.items())

        return (yield from self._schedule(request, name, added))

    def change(self, name: str, changes: Mapping[str, Any]) -> Steps[Schedule]:
        request = replace(post_request(_path(name), changes, 0), method="PATCH")
        return (yield from self._schedule(request, None, None))

    def pause(self, name: str) -> Steps[Schedule]:
        request = Request(method="POST", path=f"{_path(name)}/pause")
        return (yield from self._schedule(request, name, lambda found: found.paused))

    def resume(self, name: str) -> Steps[Schedule]:
        request = Request(method="POST", path=f"{_path(name)}/resume")
        return (yield from self._schedule(request, name, lambda found: not found.paused))

    def remove(self, name: str) -> Steps[None]:
        answer = yield from self._protocol.send(Request(method="DELETE", path=_path(name)))
        gone = answer.status == HTTPStatus.NOT_FOUND and answer.attempts > 1
        if answer.status != HTTPStatus.OK and not gone:
            raise error(answer, json_object(answer))

    def _schedule(self, request: Request, name: str | None, made: Callable[[Schedule], bool] | None) -> Steps[Schedule]:
        """Return the schedule of the answer. made: returns True when the change is made already."""
        answer = yield from self._protocol.send(request)
        body = json_object(answer)
        if answer.status in (HTTPStatus.OK, HTTPStatus.CREATED):
            return read(_schedule, body)
        if answer.status == HTTPStatus.CONFLICT and answer.attempts > 1 and name is not None and made is not None:
            found = yield from self.show(name)
            if made(found):
                return found
        raise error(answer, body)


class Schedules:
    """The schedules of a service: `Sagas.schedules`. A change needs an API key with the scope `operate`."""

    def __init__(self, protocol: ScheduleProtocol, carry_out: CarriesOut) -> None:
        self._protocol, self._carry_out = protocol, carry_out

    def list(self) -> tuple[Schedule, ...]:
        """Return the schedules by name."""
        return self._carry_out(self._protocol.list())

    def show(self, name: str) -> Schedule:
        """Return a schedule. Raise NotFound."""
        return self._carry_out(self._protocol.show(name))

    @overload
    def add(
        self, name: str, cron: str, type: SagaType[Data], data: Data, *, zone: str = ..., overlap: Overlap = ...
    ) -> Schedule: ...
    @overload
    def add(
        self, name: str, cron: str, type: str, data: Mapping[str, Any], *, zone: str = ..., overlap: Overlap = ...
    ) -> Schedule: ...
    def add(
        self, name: str, cron: str, type: SagaType[Any] | str, data: Mapping[str, Any], *,  # noqa: A002
        zone: str = "UTC", overlap: Overlap = "skip",
    ) -> Schedule:  # fmt: skip
        """Start a saga with this data at each time of a cron expression.

        cron: minute, hour, day of the month, month and weekday, in the time zone `zone`. overlap: what happens at a
        time at which the saga of the time before has not ended: `skip` it, or `allow` another saga. Raise InvalidData,
        or Conflict when the name is taken.
        """
        return self._carry_out(self._protocol.add(name, cron, str(type), data, zone, overlap))

    def change(
        self, name: str, *, cron: str | None = None, data: Mapping[str, Any] | None = None,
        zone: str | None = None, overlap: Overlap | None = None,
    ) -> Schedule:  # fmt: skip
        """Change a schedule; what is None stays. A time that is due already is still started, by the new data.

        data: replaces the data as a whole. Raise NotFound, or InvalidData.
        """
        return self._carry_out(self._protocol.change(name, _changes(cron, data, zone, overlap)))

    def pause(self, name: str) -> Schedule:
        """Start no sagas until the schedule is resumed. Raise NotFound, or Conflict when it is paused."""
        return self._carry_out(self._protocol.pause(name))

    def resume(self, name: str) -> Schedule:
        """Start sagas again, from the next time on. Raise NotFound, or Conflict when it is not paused."""
        return self._carry_out(self._protocol.resume(name))

    def remove(self, name: str) -> None:
        """Remove a schedule. The sagas that it has started stay. Raise NotFound."""
        return self._carry_out(self._protocol.remove(name))


class AsyncSchedules:
    """`Schedules` with the same methods as coroutines: `AsyncSagas.schedules`."""

    def __init__(self, protocol: ScheduleProtocol, carry_out: CarriesOutLater) -> None:
        self._protocol, self._carry_out = protocol, carry_out

    async def list(self) -> tuple[Schedule, ...]:
        """Return the schedules by name."""
        return await self._carry_out(self._protocol.list())

    async def show(self, name: str) -> Schedule:
        """Return a schedule: see `Schedules.show`."""
        return await self._carry_out(self._protocol.show(name))

    @overload
    async def add(
        self, name: str, cron: str, type: SagaType[Data], data: Data, *, zone: str = ..., overlap: Overlap = ...
    ) -> Schedule: ...
    @overload
    async def add(
        self, name: str, cron: str, type: str, data: Mapping[str, Any], *, zone: str = ..., overlap: Overlap = ...
    ) -> Schedule: ...
    async def add(
        self, name: str, cron: str, type: SagaType[Any] | str, data: Mapping[str, Any], *,  # noqa: A002
        zone: str = "UTC", overlap: Overlap = "skip",
    ) -> Schedule:  # fmt: skip
        """Start a saga at each time of a cron expression: see `Schedules.add`."""
        return await self._carry_out(self._protocol.add(name, cron, str(type), data, zone, overlap))

    async def change(
        self, name: str, *, cron: str | None = None, data: Mapping[str, Any] | None = None,
        zone: str | None = None, overlap: Overlap | None = None,
    ) -> Schedule:  # fmt: skip
        """Change a schedule: see `Schedules.change`."""
        return await self._carry_out(self._protocol.change(name, _changes(cron, data, zone, overlap)))

    async def pause(self, name: str) -> Schedule:
        """Start no sagas until the schedule is resumed: see `Schedules.pause`."""
        return await self._carry_out(self._protocol.pause(name))

    async def resume(self, name: str) -> Schedule:
        """Start sagas again: see `Schedules.resume`."""
        return await self._carry_out(self._protocol.resume(name))

    async def remove(self, name: str) -> None:
        """Remove a schedule: see `Schedules.remove`."""
        return await self._carry_out(self._protocol.remove(name))


def _changes(
    cron: str | None, data: Mapping[str, Any] | None, zone: str | None, overlap: Overlap | None
) -> dict[str, Any]:
    named = {"cron": cron, "data": data, "zone": zone, "overlap": overlap}
    return {member: value for member, value in named.items() if value is not None}


def _path(name: str) -> str:
    return f"{PATH}/{quote(name, safe='')}"


def _schedules(body: Mapping[str, Any]) -> tuple[Schedule, ...]:
    return tuple(_schedule(each) for each in body["schedules"])


def _schedule(body: Mapping[str, Any]) -> Schedule:
    return Schedule(
        name=body["name"],
        type=body["type"],
        data=body["data"],
        cron=body["cron"],
        zone=body["zone"],
        overlap=body["overlap"],
        paused=body["paused"],
        next_at=moment(body["next_at"]),
        last_at=moment(body["last_at"]),
        last_result=body["last_result"],
        last_saga_id=body["last_saga_id"] and UUID(body["last_saga_id"]),
        created_at=datetime.fromisoformat(body["created_at"]),
        created_by=body["created_by"],
    )
