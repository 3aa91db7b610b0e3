"""SIGTERM: the process accepts no more sagas, finishes the calls in flight, releases its sagas, and exits with 0."""

import signal
import threading
import time

import pytest
import requests

from tests.support.waiting import eventually

CART = {"client_id": 4, "magasin_id": 1}


def begin(server, count):
    url, headers = f"{server.url}/api/commande/checkout", {"Prefer": "respond-async"}
    return [requests.post(url, json=CART, headers=headers, timeout=10).json()["saga_id"] for _ in range(count)]


def state(server, saga_id):
    return requests.get(f"{server.url}/api/commande/{saga_id}", timeout=5).json()["etat_actuel"]


def end(server):
    """Send SIGTERM to the main process only, as `init` does. Return the exit code and the seconds until the end."""
    asked = time.monotonic()
    server.process.send_signal(signal.SIGTERM)
    return server.process.wait(20), time.monotonic() - asked


def test_sagas_are_released_at_sigterm_and_continue_elsewhere_at_once(orchestrator, participants):
    """The lease is 300 s, so another process can continue at once only because the sagas were released."""
    first = orchestrator(LEASE_S="300")
    participants.add_fault("client", kind="slow", path="/4/payer", times=None, seconds=3.0)
    sagas = begin(first, 5)
    eventually(lambda: all(state(first, saga) == "STOCK_RESERVE" for saga in sagas), "every payment is in flight")
    code, took_s = end(first)
    assert code == 0
    assert took_s < 10
    participants.clear_faults()
    second = orchestrator(LEASE_S="300", RECOVERY_INTERVAL_S="0.1")
    eventually(lambda: all(state(second, saga) == "CONFIRMEE" for saga in sagas), "another process has finished them")
    for saga in sagas:
        assert set(participants.effects(saga).values()) == {"done"}
    participants.assert_balanced()


def test_waiting_client_gets_the_state_of_its_saga_at_sigterm(orchestrator, participants):
    server, answers = orchestrator(), []
    participants.add_fault("client", kind="slow", path="/4/payer", times=None, seconds=3.0)

    def buy():
        answers.append(requests.post(f"{server.url}/api/commande/checkout", json=CART, timeout=120))

    buyer = threading.Thread(target=buy)
    buyer.start()
    listed = f"{server.url}/api/v1/sagas?state=STOCK_RESERVE"
    eventually(lambda: requests.get(listed, timeout=5).json()["pagination"]["total"], "the payment is in flight")
    assert end(server)[0] == 0
    buyer.join()
    (answer,) = answers
    assert (answer.status_code, answer.json()["etat_actuel"]) == (202, "PAIEMENT_EFFECTUE")
    second = orchestrator()
    eventually(lambda: state(second, answer.json()["saga_id"]) == "CONFIRMEE", "another process has finished it")


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
def test_idle_process_ends_at_once_at_sigterm(orchestrator):
    code, took_s = end(orchestrator())
    assert code == 0
    assert took_s < 3
