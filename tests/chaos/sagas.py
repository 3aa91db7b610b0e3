"""The orchestrator's side of the story: its tables, read as they are."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg2

FINISHED = ("completed", "compensated")


@dataclass(frozen=True, kw_only=True)
class Saga:
    """One row, without what only the engine needs."""

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
        """Ids of those that are neither finished nor stuck; of those that `owners` have in hand, if any are named."""
        of_owners = "AND regexp_replace(owner, ':[^:]*$', '') = ANY(%s)" if owners else ""
        query = f"SELECT id::text FROM saga WHERE status IN ('pending', 'running', 'compensating') {of_owners}"
        return {saga_id for (saga_id,) in self._rows(query, *([list(owners)] if owners else []))}

    def journal(self, saga_id: str) -> list[str]:
        query = """SELECT seq, at::time, source, trigger, dest, attempt, actor, reason
                   FROM journal WHERE saga_id = %s ORDER BY seq"""
        return [" | ".join(map(str, row)) for row in self._rows(query, saga_id)]

    def moves(self, saga_id: str) -> Sequence[tuple[Any, ...]]:
        """Give the whole journal, to be compared."""
        return self._rows("SELECT * FROM journal WHERE saga_id = %s ORDER BY seq", saga_id)

    def _rows(self, query: str, *values: Any) -> Sequence[tuple[Any, ...]]:
        connection = psycopg2.connect(self._url)
        try:
            with connection.cursor() as cursor:
                cursor.execute(query, values)
                return cursor.fetchall()
        finally:
            connection.close()
