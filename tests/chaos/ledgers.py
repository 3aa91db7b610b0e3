"""The participants' ledgers, which record what really happened. They are complete: no test kills a participant."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import requests

WITH_EFFECTS = ("stock", "client", "ventes", "commandes", "recus")
#: The step of deliveries that the supply chain makes by itself. No saga requests these deliveries.
DELIVERY = "livrer"


@dataclass(frozen=True, kw_only=True)
class Effect:
    """One row of a participant's ledger: a call that was answered. state: done, refused, undone or tombstone."""

    saga_id: str
    step: str
    direction: str
    state: str
    participant: str = ""
    request: Mapping[str, Any] | None = None
    reply: Mapping[str, Any] | None = None

    @property
    def stands(self) -> bool:
        return (self.direction, self.state) == ("do", "done")


class Ledgers:
    def __init__(self, url: str) -> None:
        self._url = url

    def effects(self) -> Sequence[Effect]:
        names = ("saga_id", "step", "direction", "state", "request", "reply")
        return [
            Effect(participant=participant, **{name: row[name] for name in names})
            for participant in WITH_EFFECTS
            for row in self._get(f"/{participant}/_ledger")
            if row["step"] != DELIVERY
        ]

    def balances(self) -> Mapping[str, Any]:
        return {participant: self._get(f"/{participant}/_balance") for participant in WITH_EFFECTS}

    def _get(self, path: str) -> Any:
        return requests.get(self._url + path, timeout=60).json()
