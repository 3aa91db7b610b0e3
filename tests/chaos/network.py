"""The proxy process as the tests use it: they set its faults and read its counts."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import requests

from tests.chaos.proxy import ARRIVED, CONTROL
from tests.support.process import Process
from tests.support.waiting import restartable_port


class Network:
    def __init__(self, participants_port: int, seed: int, log: Path) -> None:
        port = restartable_port()
        options = (str(port), str(participants_port), str(seed))
        self.process = Process("tests.chaos.proxy", *options, port=port, ready=CONTROL, log=log)
        self.url = self.process.url

    def set_faults(self, **changes: Any) -> None:
        """Change fields of `FaultSettings`."""
        requests.post(self.url + CONTROL, json=changes, timeout=10).raise_for_status()

    def calls(self) -> Mapping[str, Counter[str]]:
        """Return how often each call arrived and had each fault, by its Idempotency-Key."""
        return {key: Counter(done) for key, done in self._figures()["calls"].items()}

    def silent(self) -> bool:
        """Return True when every late call has been delivered."""
        return self._figures()["late"] == 0

    def totals(self) -> Counter[str]:
        return sum(self.calls().values(), Counter())

    def hits(self) -> int:
        return sum(number for done, number in self.totals().items() if done != ARRIVED)

    def _figures(self) -> Any:
        return requests.get(self.url + CONTROL, timeout=10).json()
