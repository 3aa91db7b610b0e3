"""`python -m participants` as a separate process, and its simulated faults as a client sees them."""

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import pytest
import requests

from tests.support.waiting import free_port

sagas = count(1)


def start(data, port, *options, restock=0, **environment):
    """Start the process and wait until it answers. granian opens its port before its worker is ready."""
    line = [
        sys.executable,
        "-m",
        "participants",
        "--port",
        str(port),
        "--data",
        str(data),
        "--restock",
        str(restock),
        *options,
    ]
    log = data.with_suffix(".log")
    with log.open("w") as output:
        process = subprocess.Popen(line, stdout=output, stderr=output, env={**os.environ, **environment})
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        try:
            if requests.get(f"http://127.0.0.1:{port}/stock/health", timeout=1).ok:
                return process
        except requests.ConnectionError:
            time.sleep(0.02)
    process.kill()
    process.wait()
    raise AssertionError(log.read_text())


def stop(process):
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    port = free_port()
    process = start(tmp_path_factory.mktemp("participants") / "data", port, "--faults")
    yield f"http://127.0.0.1:{port}"
    stop(process)


@pytest.fixture
def fault(url):
    def order(**body):
        reply = requests.post(f"{url}/client/_faults", json=body, timeout=5)
        assert reply.status_code == 201, reply.text
        return reply.json()

    yield order
    requests.delete(f"{url}/client/_faults", timeout=5)


def pay(url, key=None, montant=1):
    headers = {"Idempotency-Key": key or f"saga-{next(sagas)}/payer/do"}
    return requests.post(f"{url}/client/4/payer", json={"montant": montant}, headers=headers, timeout=60)


def debits(url):
    return requests.get(f"{url}/client/_balance", timeout=5).json()["debits"]


def test_lost_reply_leaves_one_effect(url, fault):
    before = debits(url)
    fault(kind="lose_reply", path="/4/payer")
    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        pay(url, "lost/payer/do")
    assert debits(url) == before + 1
    again = pay(url, "lost/payer/do")
    assert (again.status_code, again.headers["Idempotent-Replayed"]) == (201, "true")
    assert debits(url) == before + 1


def test_failure_fault_prevents_the_effect(url, fault):
    before = debits(url)
    fault(kind="fail", times=2)
    for _ in range(2):
        failed = pay(url, "failed/payer/do")
        assert (failed.status_code, failed.headers["Content-Type"]) == (503, "application/problem+json")
    assert debits(url) == before
    assert pay(url, "failed/payer/do").status_code == 201


def test_slow_fault_delays_a_correct_reply(url, fault):
    fault(kind="slow", seconds=0.2)
    assert pay(url).elapsed.total_seconds() >= 0.2
    assert requests.get(f"{url}/client/_faults", timeout=5).json() == [], "the next call is not slow"


def test_slow_call_has_its_effect_after_its_caller_timed_out(url, fault):
    """A call still takes effect when the orchestrator has stopped waiting for it."""
    fault(kind="slow", seconds=0.3)
    key = {"Idempotency-Key": "impatient/payer/do"}
    with pytest.raises(requests.Timeout):
        requests.post(f"{url}/client/4/payer", json={"montant": 1}, headers=key, timeout=0.05)
    deadline = time.monotonic() + 60
    while not requests.get(f"{url}/client/_ledger?saga_id=impatient", timeout=5).json():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert pay(url, "impatient/payer/do").headers["Idempotent-Replayed"] == "true"


def test_fault_affects_its_path_only_and_never_the_books(url, fault):
    fault(kind="fail", path="/5", times=None)
    assert pay(url).status_code == 201
    fault(kind="fail", method="GET", times=None)
    assert pay(url).status_code == 201
    fault(kind="fail", times=None)
    assert pay(url).status_code == 503
    for path in ("health", "_ledger", "_balance", "_faults"):
        assert requests.get(f"{url}/client/{path}", timeout=5).status_code == 200
    assert requests.get(f"{url}/panier/4", timeout=5).status_code == 200


def test_faults_are_listed_used_up_and_cleared(url, fault):
    ordered = fault(kind="fail", times=2)
    assert ordered == {"kind": "fail", "path": "/", "method": None, "times": 2, "seconds": 0.3}
    pay(url)
    faults = f"{url}/client/_faults"
    assert requests.get(faults, timeout=5).json() == [{**ordered, "times": 1}]
    assert requests.delete(faults, timeout=5).status_code == 204
    assert requests.get(faults, timeout=5).json() == []


@pytest.mark.parametrize("body", [{}, {"kind": "fire"}, {"kind": "fail", "times": 0}, {"kind": "fail", "tmes": 1}])
def test_a_misspelled_fault_is_a_bad_request(url, body):
    assert requests.post(f"{url}/client/_faults", json=body, timeout=5).status_code == 400


def test_many_callers_at_once_are_all_served(url):
    with ThreadPoolExecutor(16) as pool:
        assert {reply.status_code for reply in pool.map(lambda _: pay(url), range(64))} == {201}


def test_paths_are_the_same_behind_a_gateway_and_without_one(url):
    assert (
        requests.get(f"{url}/api/stock/produits", timeout=5).json()
        == requests.get(f"{url}/stock/produits", timeout=5).json()
    )


def test_single_participant_keeps_its_data_after_a_kill(tmp_path):
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    process = start(tmp_path / "data", port, "--only", "stock")
    for path, status in (("stock/health", 200), ("client/4", 404), ("stock/_faults", 404)):
        assert requests.get(f"{url}/{path}", timeout=5).status_code == status
    body, key = {"produits": [{"produit_id": 789, "quantite": 3, "prix": 1}]}, {"Idempotency-Key": "s/reserver/do"}
    first = requests.post(f"{url}/stock/reserver", json=body, headers=key, timeout=5)
    stop(process)
    process = start(tmp_path / "data", port, "--only", "stock")
    again = requests.post(f"{url}/stock/reserver", json=body, headers=key, timeout=5)
    assert (again.status_code, again.content) == (201, first.content)
    stop(process)


def test_supply_chain_polls_the_stock_of_its_own_server(tmp_path):
    port, keyboard = free_port(), "550e8400-e29b-41d4-a716-446655440001"
    url = f"http://127.0.0.1:{port}/stock"
    process = start(tmp_path / "data", port, restock=0.05)
    body, key = {"produits": [{"produit_id": keyboard, "quantite": 450}]}, {"Idempotency-Key": "s/reserver/do"}
    assert requests.post(f"{url}/reserver", json=body, headers=key, timeout=5).ok
    deadline, units = time.monotonic() + 60, {}
    while units.get("en_main") != 500:
        assert time.monotonic() < deadline, units
        units = requests.get(f"{url}/_balance", timeout=5).json()["produits"][keyboard]
    stop(process)
    assert units == {"initial": 950, "en_main": 500, "reserve": 450, "vendu": 0}


def test_every_log_line_is_a_json_object(tmp_path):
    port = free_port()
    process = start(tmp_path / "data", port)
    try:
        requests.post(f"http://127.0.0.1:{port}/client/4/payer", json={}, headers={"Idempotency-Key": "x"}, timeout=5)
    finally:
        stop(process)
    logged = [json.loads(line) for line in (tmp_path / "data.log").read_text().splitlines()]
    assert logged
    assert all({"event", "level", "timestamp"} <= line.keys() for line in logged)
