"""The commandes API of the reference document: its curl commands, with only the port changed, and its contract."""

import json
import re
import shlex
import subprocess

import requests

from tests.e2e.bodies import DOCUMENTED

#: The curl command of the reference document. The test replaces the address by that of its own server.
CURL = """
curl -X POST http://localhost:8009/api/saga/commandes/ \\
  -H 'Content-Type: application/json' \\
  -d '{
    "client_id": "12345678-1234-1234-1234-123456789012",
    "magasin_id": "550e8400-e29b-41d4-a716-446655440000",
    "lignes": [{"produit_id": "550e8400-e29b-41d4-a716-446655440001", "quantite": %d}]
  }'
"""
CLOSED_SHOP = "550e8400-e29b-41d4-a716-446655440099"


def curl(server, text):
    command = [*shlex.split(text.replace("\\\n", " ").replace("http://localhost:8009", server.url)), "-s", "-i"]
    answer = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    head, _, body = answer.partition("\n\n")
    return int(re.findall(r"HTTP/1.1 (\d+)", head)[-1]), json.loads(body)


def order(server, **changes):
    return requests.post(f"{server.url}/api/saga/commandes/", json=DOCUMENTED | changes, timeout=120)


def test_the_documents_curl_commands_run(orchestrator, participants):
    server = orchestrator()
    status, body = curl(server, CURL % 1)
    assert (status, body["success"], body["etat_final"]) == (201, True, "SAGA_TERMINEE")
    assert body["commande_id"] == body["resume_execution"]["commande_finale_id"]
    status, refused = curl(server, CURL % 1000)
    assert (status, refused["etat_final"]) == (409, "SAGA_ANNULEE")
    assert refused["erreur"].startswith("ECHEC_STOCK_INSUFFISANT: ")
    status, seen = curl(server, f"curl http://localhost:8009/api/saga/commandes/{refused['saga_id']}/")
    assert (status, seen["etat_actuel"], seen["est_terminee"]) == (200, "SAGA_ANNULEE", True)
    assert participants.effects(refused["saga_id"]) == {}, "cancelled directly: nothing was reserved"
    participants.assert_balanced()


def test_an_order_passes_through_the_states_of_the_document(orchestrator, participants):
    server = orchestrator()
    saga_id = order(server).json()["saga_id"]
    seen = requests.get(f"{server.url}/api/saga/commandes/{saga_id}/", timeout=5).json()
    assert [event["nouvel_etat"] for event in seen["historique_evenements"]] == [
        "EN_ATTENTE", "VERIFICATION_STOCK", "STOCK_VERIFIE", "PRODUITS_LUS", "RESERVATION_STOCK", "STOCK_RESERVE",
        "CREATION_COMMANDE", "COMMANDE_CREEE", "SAGA_TERMINEE",
    ]  # fmt: skip
    types = [event["type"] for event in seen["historique_evenements"]]
    assert [types[0], types[-1]] == ["SAGA_DEMARRE", "SAGA_TERMINEE_SUCCES"]
    assert {"STOCK_VERIFIE_SUCCES", "STOCK_RESERVE_SUCCES", "COMMANDE_CREEE_SUCCES"} <= set(types)
    assert seen["lignes_commande"] == DOCUMENTED["lignes"]


def test_an_order_that_cannot_be_created_releases_its_stock(orchestrator, participants):
    server = orchestrator()
    answer = order(server, magasin_id=CLOSED_SHOP)
    body = answer.json()
    assert (answer.status_code, body["etat_final"]) == (409, "SAGA_ANNULEE")
    assert body["erreur"].startswith("ECHEC_CREATION_COMMANDE: ")
    seen = requests.get(f"{server.url}/api/saga/commandes/{body['saga_id']}/", timeout=5).json()
    assert [event["nouvel_etat"] for event in seen["historique_evenements"]][-3:] == [
        "ECHEC_CREATION_COMMANDE", "COMPENSATION_EN_COURS", "SAGA_ANNULEE",
    ]  # fmt: skip
    assert participants.effects(body["saga_id"])["reserver_stock"] == "undone"
    participants.assert_balanced()


def test_all_lines_of_an_order_are_ordered(orchestrator, participants):
    before = participants.get("/stock/_balance")["produits"]
    lines = [DOCUMENTED["lignes"][0] | {"quantite": 3}, DOCUMENTED["lignes"][0] | {"quantite": 2}]
    body = order(orchestrator(), lignes=lines).json()
    after = participants.get("/stock/_balance")["produits"]
    name = DOCUMENTED["lignes"][0]["produit_id"]
    assert after[name]["vendu"] - before[name]["vendu"] == 5
    assert body["resume_execution"]["quantite_totale_articles"] == 5
    assert body["resume_execution"]["nombre_lignes"] == 2


def test_the_shop_may_be_left_out(orchestrator, participants):
    server = orchestrator()
    body = {name: value for name, value in DOCUMENTED.items() if name != "magasin_id"}
    answer = requests.post(f"{server.url}/api/saga/commandes/", json=body, timeout=120)
    assert answer.json()["resume_execution"]["magasin_id"] == DOCUMENTED["magasin_id"]


def test_orders_are_listed_by_state_and_activity(orchestrator, participants):
    server = orchestrator()
    done, cancelled = order(server).json()["saga_id"], order(server, magasin_id=CLOSED_SHOP).json()["saga_id"]

    def listed(**query):
        return requests.get(f"{server.url}/api/saga/sagas/", params=query, timeout=5)

    assert {saga["saga_id"] for saga in listed().json()["sagas"]} == {done, cancelled}
    ended = listed(etat="SAGA_TERMINEE").json()
    assert (ended["success"], ended["total"], ended["sagas"][0]["saga_id"]) == (True, 1, done)
    assert ended["filtres"] == {"etat": "SAGA_TERMINEE", "actives_seulement": False}
    assert listed(actives_seulement="true").json()["total"] == 0
    assert listed(etat="NULLE_PART").status_code == 400


def test_a_finished_order_cannot_be_compensated_and_an_orphan_can(orchestrator, participants):
    server = orchestrator()
    done = order(server).json()["saga_id"]
    answer = requests.post(f"{server.url}/api/saga/commandes/{done}/compenser/", timeout=5)
    assert (answer.status_code, answer.json()["etat_final"]) == (409, "SAGA_TERMINEE")
    server.kill()  # on SQLite, the next server can start only after this one has ended
    orphaning = orchestrator(PARTICIPANT_CATALOGUE_URL="http://127.0.0.1:9")
    waiting = requests.post(
        f"{orphaning.url}/api/saga/commandes/", json=DOCUMENTED, headers={"Prefer": "wait=1"}, timeout=120
    )
    assert waiting.status_code == 202
    where = f"{orphaning.url}/api/saga/commandes/{waiting.json()['saga_id']}/compenser/"
    answer = requests.post(where, timeout=120)
    assert (answer.status_code, answer.json()["success"], answer.json()["etat_final"]) == (200, True, "SAGA_ANNULEE")
