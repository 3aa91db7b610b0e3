"""The sagas and their journals, read from the orchestrator's database without the orchestrator."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg2

FINISHED = ("completed", "compensated")


@dataclass(frozen=True, kw_only=True)
class Saga:
    """One row of the table `saga`, without the columns that only the engine needs."""

    id: str
    key: str | None
    definition: str
    status: str
    state: str


class Sagas:
    def __init__(self, url: str) -> None:
        self._url = url

    def all(self) -> Sequence[Saga]:
        columns = "id::text, idempotency_key, definition, status, state"
        names = ("id", "key", "definition", "status", "state")
        return [Saga(**dict(zip(names, row, strict=True))) for row in self._rows(f"SELECT {columns} FROM saga")]

    def in_flight(self, owners: Iterable[str] = ()) -> set[str]:
        """Return the ids of the sagas in flight: neither finished nor stuck.

        With `owners`, return only the sagas that these owners hold.
        """
        of_owners = "AND regexp_replace(owner, ':[^:]*$', '') = ANY(%s)" if owners else ""
        query = f"SELECT id::text FROM saga WHERE status IN ('pending', 'running', 'compensating') {of_owners}"
        return {saga_id for (saga_id,) in self._rows(query, *([list(owners)] if owners else []))}

    def journal(self, saga_id: str) -> list[str]:
        query = """SELECT seq, at::time, source, trigger, dest, attempt, actor, reason
                   FROM journal WHERE saga_id = %s ORDER BY seq"""
        return [" | ".join(map(str, row)) for row in self._rows(query, saga_id)]

    def moves(self, saga_id: str) -> Sequence[tuple[Any, ...]]:
        """Return the whole journal of a saga."""
        return self._rows("SELECT * FROM journal WHERE saga_id = %s ORDER BY seq", saga_id)

    def _rows(self, query: str, *values: Any) -> Sequence[tuple[Any, ...]]:
        connection = psycopg2.connect(self._url)
        try:
            with connection.cursor() as cursor:
                cursor.execute(query, values)
                return cursor.fetchall()
        finally:
            connection.close()
