"""What counting and logging add to the CPU time of one checkout: `python -m benchmarks.observability [ROUNDS [N]]`.

Two applications in one process, over SQLite files of their own and the same participants: one as it is, one without
metrics and log. Short rounds of N checkouts alternate between them; the median of all rounds counts, for a machine is
never quite alone. Exit code 1 when watching costs more than 5 %.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any
from unittest.mock import patch

import flask_migrate
import requests
from flask import Flask
from flask.testing import FlaskClient

import app
from app.config import from_environment

MOST = 0.05
_WARM_UP = 5
_PORT = 18010


class Silence:
    """Telemetry that does nothing."""

    def __init__(self, *_: Any) -> None:
        self.rows: dict[tuple[str, ...], Any] = {}

    def called(self, *_: Any) -> None: ...

    def committed(self, *_: Any) -> None: ...


def main(rounds: int = 60, checkouts: int = 20) -> int:
    with tempfile.TemporaryDirectory() as name, participants(Path(name, "participants")) as url, quiet():
        clients = {silent: client(Path(name), url, silent=silent) for silent in (False, True)}
        spent: dict[bool, list[float]] = {False: [], True: []}
        for number in range(rounds + _WARM_UP):
            for silent in (True, False) if number % 2 else (False, True):
                took = round_us(clients[silent], checkouts)
                if number >= _WARM_UP:
                    spent[silent].append(took)
    watched, silenced = statistics.median(spent[False]), statistics.median(spent[True])
    sys.stderr.write(
        f"one checkout, watched   {watched:8.0f} µs of CPU\n"
        f"one checkout, silent    {silenced:8.0f} µs of CPU\n"
        f"ratio                   {watched / silenced:8.3f}   (at most {1 + MOST:g})\n"
    )
    return int(watched > silenced * (1 + MOST))


def round_us(client: FlaskClient, checkouts: int) -> float:
    """Give the CPU time of one checkout, of all threads, in microseconds."""
    begun = time.process_time()
    for _ in range(checkouts):
        answer = client.post("/api/commande/checkout", json={"client_id": 4, "magasin_id": 1})
        if answer.status_code != 201:  # noqa: PLR2004
            raise SystemExit(f"a checkout went wrong: {answer.text}")
    return (time.process_time() - begun) / checkouts * 1e6


def client(folder: Path, url: str, *, silent: bool) -> FlaskClient:
    settings = {"DATABASE_URL": f"sqlite:///{folder / f'{silent}.db'}", "PARTICIPANTS_URL": url, "API_AUTH": "off"}
    with patch.multiple(app, Telemetry=Silence, Exporter=lambda *_: None) if silent else nullcontext():
        application: Flask = app.create_app(from_environment(settings))
    with application.app_context():
        flask_migrate.upgrade()
    return application.test_client()


@contextmanager
def participants(folder: Path) -> Iterator[str]:
    command = [sys.executable, "-m", "participants", "--port", str(_PORT), "--data", str(folder), "--restock", "0.2"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603  our own
    url = f"http://127.0.0.1:{_PORT}"
    try:
        for _ in range(200):
            if _answers(f"{url}/stock/health"):
                break
            time.sleep(0.05)
        yield url
    finally:
        process.terminate()  # and not kill, which would leave its worker behind at that port
        process.wait()


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=1).ok
    except requests.ConnectionError:
        return False


@contextmanager
def quiet() -> Iterator[None]:
    """Let the log be written, to where nobody reads it."""
    with Path(os.devnull).open("w") as nowhere, patch.object(sys, "stdout", nowhere):
        yield


if __name__ == "__main__":
    sys.exit(main(*(int(argument) for argument in sys.argv[1:])))
