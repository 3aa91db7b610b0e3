"""The checkout over HTTP with real participants: every outcome of the reference documents, and faults."""

import json
import os
import signal
import uuid
from contextlib import closing
from http.client import HTTPConnection

import pytest
import requests

from tests.support.waiting import eventually


def checkout(server, client_id, **headers):
    body = {"client_id": client_id, "magasin_id": 1}
    return requests.post(f"{server.url}/api/commande/checkout", json=body, headers=headers, timeout=120)


def history(server, saga_id):
    entered = requests.get(f"{server.url}/api/commande/{saga_id}/historique", timeout=5).json()
    return [move["etat"] for move in entered]


def ended(server, saga_id):
    def look():
        order = requests.get(f"{server.url}/api/commande/{saga_id}", timeout=5).json()
        return order if order["etat_actuel"] in ("CONFIRMEE", "ANNULEE") else None

    return eventually(look, f"{saga_id} ends")


OUTCOMES = [
    (4, 201, "CONFIRMEE", None, {"reserver_stock": "done", "payer": "done", "enregistrer_vente": "done",
                                 "confirmer": "done"}),
    (123456, 201, "CONFIRMEE", None, {"reserver_stock": "done", "payer": "done", "enregistrer_vente": "done",
                                      "confirmer": "done"}),
    (1, 409, "ANNULEE", "ECHEC_STOCK", {"reserver_stock": "refused"}),
    (2, 409, "ANNULEE", "ECHEC_PAIEMENT", {"reserver_stock": "undone", "payer": "refused"}),
    (3, 409, "ANNULEE", "ECHEC_ENREGISTREMENT", {"reserver_stock": "undone", "payer": "undone",
                                                 "enregistrer_vente": "refused"}),
]  # fmt: skip


def test_each_client_gets_the_outcome_of_the_reference(orchestrator, participants):
    server = orchestrator()
    for client_id, status, state, failure, effects in OUTCOMES:
        answer = checkout(server, client_id)
        body = answer.json()
        assert (answer.status_code, body["etat_final"]) == (status, state)
        assert answer.headers["Content-Type"] == ("application/json" if failure is None else "application/problem+json")
        assert failure is None or body["erreur"].startswith(f"{failure}: ")
        assert failure is None or failure in history(server, body["saga_id"])
        assert participants.effects(body["saga_id"]) == effects
        order = requests.get(server.url + answer.headers["Location"], timeout=5).json()
        assert order == {"id": body["saga_id"], "client_id": client_id, "magasin_id": 1, "etat_actuel": state}
    participants.assert_balanced()


@pytest.mark.parametrize("participant", ["stock", "client", "ventes"])
def test_a_reply_lost_after_the_effect_has_its_effect_once(orchestrator, participants, participant):
    before = {name: participants.get(f"/{name}/_balance") for name in ("client", "ventes")}
    participants.add_fault(participant, kind="lose_reply", times=1)
    answer = checkout(orchestrator(), 4)
    assert answer.status_code == 201
    debited = participants.get("/client/_balance")["debits"] - before["client"]["debits"]
    sold = participants.get("/ventes/_balance")["total"] - before["ventes"]["total"]
    assert round(debited, 2) == round(sold, 2) == 59.97
    participants.assert_balanced()


def test_respond_async_answers_at_once_and_the_saga_continues(orchestrator, participants):
    server = orchestrator()
    participants.add_fault("panier", kind="slow", seconds=3, times=1)
    answer = checkout(server, 4, Prefer="respond-async")
    assert (answer.status_code, answer.json()["etat_actuel"]) == (202, "INITIEE")
    assert answer.elapsed.total_seconds() < 3
    assert ended(server, answer.json()["saga_id"])["etat_actuel"] == "CONFIRMEE"


def test_saga_continues_after_its_client_stopped_waiting(orchestrator, participants):
    server = orchestrator(LEASE_S="30")
    participants.add_fault("client", kind="slow", seconds=2.5, times=1)
    answer = checkout(server, 4, Prefer="wait=1")
    assert answer.status_code == 202
    assert answer.headers["Location"] == f"/api/commande/{answer.json()['saga_id']}"
    assert answer.elapsed.total_seconds() >= 1
    assert ended(server, answer.json()["saga_id"])["etat_actuel"] == "CONFIRMEE"


def test_saga_is_durable_before_its_client_gets_an_answer(orchestrator, participants):
    """A saga is not stored before its first read is over, so the answer must wait for this read."""
    server = orchestrator(LEASE_S="30")
    participants.add_fault("panier", kind="slow", seconds=1.5, times=1)
    answer = checkout(server, 4, Prefer="wait=1")
    assert answer.status_code in (201, 202)
    assert requests.get(server.url + answer.headers["Location"], timeout=5).status_code == 200
    assert ended(server, answer.json()["saga_id"])["etat_actuel"] == "CONFIRMEE"


def test_one_idempotency_key_starts_one_saga(orchestrator, participants):
    server, key = orchestrator(), str(uuid.uuid4())
    first, second = (checkout(server, 2, **{"Idempotency-Key": key}) for _ in range(2))
    assert first.status_code == second.status_code == 409
    assert first.json() == second.json()
    assert second.headers["Idempotent-Replayed"] == "true"
    other = checkout(server, 4, **{"Idempotency-Key": key})
    assert (other.status_code, other.json()["saga_id"]) == (422, first.json()["saga_id"])


def test_two_idempotency_keys_are_refused_but_one_may_have_a_comma(orchestrator, participants):
    server, key = orchestrator(), str(uuid.uuid4())
    assert checkout_with(server, key, f"{key}-2") == (400, "Idempotency-Key came more than once; send it once")
    assert checkout_with(server, f"{key},{key}-2") == (201, None)


def checkout_with(server, *keys):
    """Send each key in a separate header, which the library requests cannot do. Return the status and `detail`."""
    body = b'{"client_id": 4, "magasin_id": 1}'
    with closing(HTTPConnection(server.url.removeprefix("http://"), timeout=120)) as connection:
        connection.putrequest("POST", "/api/commande/checkout")
        connection.putheader("Content-Type", "application/json")
        connection.putheader("Content-Length", str(len(body)))
        for key in keys:
            connection.putheader("Idempotency-Key", key)
        connection.endheaders(body)
        answer = connection.getresponse()
        return answer.status, json.load(answer).get("detail")


def test_an_idempotency_key_of_a_running_saga_is_a_conflict(orchestrator, participants):
    server, key = orchestrator(), str(uuid.uuid4())
    participants.add_fault("client", kind="slow", seconds=0.7, times=1)
    first = checkout(server, 4, Prefer="respond-async", **{"Idempotency-Key": key})
    again = checkout(server, 4, **{"Idempotency-Key": key})
    assert (again.status_code, again.json()["saga_id"]) == (409, first.json()["saga_id"])
    assert ended(server, first.json()["saga_id"])["etat_actuel"] == "CONFIRMEE"
    assert checkout(server, 4, **{"Idempotency-Key": key}).status_code == 201


def test_killed_orchestrator_finishes_its_sagas_after_a_restart(orchestrator, participants):
    """The server is killed after the payment was made and before the client has an answer."""
    before = {row["saga_id"] for row in participants.get("/client/_ledger")}
    with pytest.raises(requests.ConnectionError):
        checkout(orchestrator(FAILPOINT="after_send:3"), 4)
    (saga_id,) = {row["saga_id"] for row in participants.get("/client/_ledger")} - before
    assert set(participants.effects(saga_id)) == {"reserver_stock", "payer"}
    server = orchestrator()
    assert ended(server, saga_id)["etat_actuel"] == "CONFIRMEE"
    assert set(participants.effects(saga_id).values()) == {"done"}
    participants.assert_balanced()


def test_restarted_service_on_sqlite_does_not_wait_for_leases(orchestrator, participants, store_url):
    """Only one process uses a SQLite file, so the former owners of all sagas are dead when a new process starts.

    On PostgreSQL a former owner may still run, so a new process waits for the end of the lease.
    """
    if not store_url.startswith("sqlite"):
        return
    before = {row["saga_id"] for row in participants.get("/client/_ledger")}
    with pytest.raises(requests.ConnectionError):
        checkout(orchestrator(FAILPOINT="after_send:3", LEASE_S="3600"), 4)
    (saga_id,) = {row["saga_id"] for row in participants.get("/client/_ledger")} - before
    assert ended(orchestrator(LEASE_S="3600"), saga_id)["etat_actuel"] == "CONFIRMEE"


def test_saga_waits_for_a_participant_that_is_down(orchestrator, participants):
    """A call that was not sent is not refused. The saga waits, and continues when the participant is back."""
    server = orchestrator(PARTICIPANT_CLIENT_URL="http://127.0.0.1:9/client")
    answer = checkout(server, 4, Prefer="wait=1")
    assert (answer.status_code, answer.json()["etat_actuel"]) == (202, "STOCK_RESERVE")
    os.killpg(server.process.pid, signal.SIGKILL)
    server.process.wait()
    assert ended(orchestrator(), answer.json()["saga_id"])["etat_actuel"] == "CONFIRMEE"
    participants.assert_balanced()
