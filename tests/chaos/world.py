"""All processes of a test: participants, network, PostgreSQL and replicas, with the oracle that judges them."""

import contextlib
import random
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import requests

from tests.chaos import books, oracle
from tests.chaos.clients import Client
from tests.chaos.ledgers import Ledgers
from tests.chaos.network import Network
from tests.chaos.oracle import Evidence, Violation
from tests.chaos.orders import SAGAS
from tests.chaos.postgres import Postgres
from tests.chaos.replica import Replica
from tests.chaos.report import Report
from tests.chaos.sagas import Saga, Sagas
from tests.chaos.size import size
from tests.support.process import Process
from tests.support.waiting import eventually, restartable_port, waited

REASON = {"reason": "the participant's ledger says that it was refused"}
#: Largest number of times that the operator acts on all stuck sagas. Sagas that are stuck after that fail the run.
ROUNDS = 5
#: Longest wait for all sagas to end, in seconds. A compensation that failed several times waits up to a minute
#: before its next attempt.
DRAIN_S = size(90, 300)


class Stack:
    """The processes of one test, started by `with` and killed at its end.

    The participant named `apart` has a network of its own, which can fail alone. `settings` are those of the replicas.
    """

    def __init__(
        self, folder: Path, template: Path, report: Report, replicas: int, apart: str = "", **settings: str
    ) -> None:
        self.report, self.random = report, random.Random(report.seed)
        self.log, port = folder / "log", restartable_port()
        options = ("--port", str(port), "--data", str(folder / "participants"))
        self._participants = Process("participants", *options, port=port, ready="/stock/health", log=self.log)
        self.network, self.network_apart = (Network(port, report.seed, self.log) for _ in range(2))
        self.postgres = Postgres.copy_of(template)
        self.sagas, self.ledgers = Sagas(self.postgres.url), Ledgers(self._participants.url)
        settings |= {"DATABASE_URL": self.postgres.url, "PARTICIPANTS_URL": self.network.url}
        if apart:
            settings[f"PARTICIPANT_{apart.upper()}_URL"] = f"{self.network_apart.url}/{apart}"
        self.replicas = [Replica(self.log, **settings) for _ in range(replicas)]

    @property
    def urls(self) -> list[str]:
        return [replica.url for replica in self.replicas]

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as on_failure:
            on_failure.callback(self._end)
            self.postgres.start()
            for process in self._processes():
                process.begin()
            for process in self._processes():
                process.wait_until_ready()
            self.steps = self._steps()
            on_failure.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._end()

    def ready(self) -> list[Replica]:
        return eventually(lambda: [replica for replica in self.replicas if replica.answers()], "a replica is ready")

    def judge(self, promised: dict[str, set[str]], troubles: list[str]) -> None:
        """Stop all faults, let every saga end, and fail with all violations that are found."""
        self.network.set_faults(share=0.0)
        self._drain()
        effects = self.ledgers.effects()
        with_effect = {
            name: [step["name"] for step in steps if step["kind"] != "read"] for name, steps in self.steps.items()
        }
        evidence = Evidence(sagas=self.sagas.all(), promised=promised, effects=effects, steps=with_effect)
        self.report.count(evidence.sagas, self.network.totals() + self.network_apart.totals())
        found = [Violation(text=trouble) for trouble in troubles]
        found += oracle.complaints(evidence) + books.complaints(effects, self.ledgers.balances())
        assert not found, self._described(found)

    def _drain(self) -> None:
        """Wait for all sagas to end, and act as the operator of stuck sagas.

        A stuck saga is retried. When the participant's ledger says that the call was refused, the step did not happen
        and the saga is compensated.
        """
        drained = waited(lambda: not self.sagas.in_flight(), DRAIN_S)
        self.report.stuck = len(self._stuck())
        operator, rounds = Client(self.urls), 0
        while drained and rounds < ROUNDS and (stuck := self._stuck()):
            refused = [effect for effect in self.ledgers.effects() if effect.state == "refused"]
            in_vain = {(effect.saga_id, f"STUCK_{effect.step.upper()}") for effect in refused}
            for saga in stuck:
                ask = ("compensate", REASON) if (saga.id, saga.state) in in_vain else ("retry", None)
                operator.ask("POST", f"{SAGAS}/{saga.id}/{ask[0]}", ask[1], {"Prefer": "wait=10"})
            drained, rounds = waited(lambda: not self.sagas.in_flight(), DRAIN_S), rounds + 1
        eventually(self.network.silent, "the last late call has arrived")

    def _stuck(self) -> list[Saga]:
        return [saga for saga in self.sagas.all() if saga.status == "stuck"]

    def _described(self, found: list[Violation]) -> str:
        lines = [f"{len(found)} complaints, seed {self.report.seed}, log {self.log}", *map(str, found[:30])]
        for saga_id in list(dict.fromkeys(complaint.saga_id for complaint in found if complaint.saga_id))[:3]:
            lines += [f"journal of {saga_id}:", *self.sagas.journal(saga_id)]
        return "\n".join(lines)

    def _steps(self) -> dict[str, list[dict[str, Any]]]:
        """Return the steps of each definition, as the API reports them."""
        url = f"{self.urls[0]}/api/v1/definitions"
        names = {each["type"] for each in requests.get(url, timeout=10).json()["definitions"]}
        return {name: requests.get(f"{url}/{name}", timeout=10).json()["steps"] for name in names}

    def _processes(self) -> list[Process]:
        return [self._participants, self.network.process, self.network_apart.process, *self.replicas]

    def _end(self) -> None:
        for process in reversed(self._processes()):
            process.kill()
        self.postgres.remove()
