"""An nginx configured from deploy/kong/kong.yml, between clients, orchestrators and participants."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
import yaml

from tests.e2e.bodies import DOCUMENTED, PURCHASE
from tests.e2e.gateway import KONG, Gateway, table
from tests.e2e.servers import running
from tests.support.databases import own_database
from tests.support.servers import Participants, Server, serve_participants, start
from tests.support.waiting import free_port

pytestmark = pytest.mark.programs

KEY = {"X-API-Key": "magasin-secret-key-2025"}
#: The given stack, whose orchestrators know the names under which the gateway calls them.
STACK = yaml.safe_load((Path(__file__).parents[2] / "docker-compose.yml").read_text())
ONE_EACH = ("inventaire", "commandes", "supply-chain", "panier", "client", "ventes", "recus")


@pytest.fixture(scope="module")
def participants_server(tmp_path_factory) -> Iterator[Participants]:
    """Start participants for these tests alone, because the tests check the books of the participants."""
    yield from serve_participants(tmp_path_factory.mktemp("participants"))


@pytest.fixture(scope="module")
def catalogues(tmp_path_factory) -> Iterator[list[Server]]:
    folder = tmp_path_factory.mktemp("catalogue")
    started = []
    for _ in range(3):
        port = free_port()
        options = ["--only", "catalogue", "--port", str(port), "--data", str(folder)]
        started.append(start("participants", "/catalogue/health", port, *options, log=folder / "log"))
    yield started
    for server in started:
        if server.process.poll() is None:
            server.kill()


@pytest.fixture
def orchestrators(postgres_server, postgres_template, orchestrator_at, gateway_at) -> Iterator[list[Server]]:
    settings = {
        "PARTICIPANTS_URL": f"http://{gateway_at}/api",
        "PARTICIPANTS_API_KEY": KEY["X-API-Key"],
        "TRUSTED_PROXIES": "1",
        "TRUSTED_HOSTS": STACK["services"]["saga-orchestrator-1"]["environment"]["TRUSTED_HOSTS"],
    }
    for url in own_database(postgres_server, postgres_template):
        yield [orchestrator_at(url, **settings) for _ in range(2)]


@pytest.fixture
def gateway_at() -> str:
    return f"127.0.0.1:{free_port()}"


@pytest.fixture
def gateway(orchestrators, catalogues, participants, gateway_at) -> Iterator[str]:
    """Return the URL of the gateway in front of two orchestrators, three catalogues and the other participants."""
    places = {f"saga-orchestrator-{number}:8009": place(server) for number, server in enumerate(orchestrators, 1)}
    places |= {f"catalogue-{number}:8010": place(server) for number, server in enumerate(catalogues, 1)}
    places |= dict.fromkeys((f"{name}:8010" for name in ONE_EACH), participants.url.removeprefix("http://"))
    with running(lambda folder: Gateway(folder, places, gateway_at)) as server:
        yield server.url


def place(server: Server) -> str:
    return server.url.removeprefix("http://")


def requests_of(server: Server) -> int:
    """Return the number of requests for products that this catalogue has received."""
    shown = requests.get(f"{server.url}/metrics", timeout=5).text
    counts = re.findall(
        r'^flask_http_request_duration_seconds_count\{.*"/produits[^"]*".*\} (\S+)', shown, re.MULTILINE
    )
    return sum(int(float(count)) for count in counts)


def test_gateway_routes_every_path_of_the_reference_documents(gateway):
    with_key = {
        f"/api/{name}": requests.get(f"{gateway}/api/{name}/{path}", headers=KEY, timeout=5).status_code
        for name, path in {
            "catalogue": "produits", "inventaire": "produits", "stock": "produits", "commandes": "health",
            "supply-chain": "health", "panier": "health", "client": "health", "ventes": "health", "recus": "health",
            "saga": "health/",
        }.items()
    }  # fmt: skip
    assert set(with_key.values()) == {200}, with_key
    assert requests.get(f"{gateway}/saga/health", timeout=5).json()["status"] == "healthy"
    assert "saga_total" in requests.get(f"{gateway}/saga/metrics", timeout=5).text
    assert "swagger" in requests.get(f"{gateway}/saga-orchestrator/api-docs", timeout=5).text.lower()
    assert requests.get(f"{gateway}/anything", timeout=5).status_code == 404


def test_gateway_requires_the_key_below_api(gateway):
    for key in ({}, {"X-API-Key": "guessed"}):
        refused = {
            path: requests.get(gateway + path, headers=key, timeout=5).status_code
            for service in table()["services"]
            for route in service["routes"]
            if (path := route["paths"][0]).startswith("/api/")
        }
        assert len(refused) > 8
        assert set(refused.values()) == {401}, refused


def test_orders_and_their_calls_go_through_the_gateway(gateway, catalogues, participants):
    before = [requests_of(server) for server in catalogues]
    for _ in range(6):
        done = requests.post(f"{gateway}/api/saga/commandes/", json=DOCUMENTED, headers=KEY, timeout=120)
        assert (done.status_code, done.json()["etat_final"]) == (201, "SAGA_TERMINEE"), done.text
    assert [requests_of(server) for server in catalogues] == [count + 2 for count in before]
    participants.assert_balanced()


def test_location_of_a_saga_works_through_the_gateway(gateway):
    sagas = f"{gateway}/saga-orchestrator/api/v1/sagas"
    created = requests.post(sagas, json={"type": "purchase_saga", "data": PURCHASE}, timeout=120)
    assert requests.get(gateway + created.headers["Location"], timeout=5).json()["status"] == "pending"
    done = requests.post(f"{sagas}/{created.json()['saga']['id']}/execute", timeout=120)
    assert done.json()["saga"]["status"] == "completed"


def test_gateway_hides_a_dead_instance(gateway, catalogues, orchestrators):
    orchestrators[0].kill()
    catalogues[2].kill()
    produits = [requests.get(f"{gateway}/api/catalogue/produits", headers=KEY, timeout=5) for _ in range(30)]
    assert {answer.status_code for answer in produits} == {200}
    orders = [
        requests.post(f"{gateway}/api/saga/commandes/", json=DOCUMENTED, headers=KEY, timeout=120) for _ in range(10)
    ]
    assert {answer.status_code for answer in orders} == {201}


def tried(gateway, *options):
    """Run deploy/trial.py as a person does."""
    script = str(KONG.parents[1] / "trial.py")
    command = [sys.executable, script, f"{gateway}/saga-orchestrator", f"{gateway}/api", "--key", KEY["X-API-Key"]]
    return subprocess.run([*command, *options], capture_output=True, text=True, check=False, timeout=120)


def test_trial_passes_only_with_balanced_books(gateway, participants):
    passed = tried(gateway, "--seconds", "1.5", "--strict")
    assert passed.returncode == 0, passed.stdout + passed.stderr
    assert "confirmed" in passed.stdout
    line = {"produits": [{"produit_id": "456", "quantite": 1}]}
    for path, key, expected in (("reserver", "x/y/do", 1), ("liberer", "x/y/undo", 0)):
        url = f"{participants.url}/stock/{path}"
        assert requests.post(url, json=line, headers={"Idempotency-Key": key}, timeout=5).ok
        looked = tried(gateway, "--seconds", "0")
        assert (looked.returncode, "wrong: product 456" in looked.stdout) == (expected, expected == 1), looked.stderr


def test_gateway_refuses_a_body_above_the_orchestrators_limit(gateway):
    sagas = f"{gateway}/saga-orchestrator/api/v1/sagas"
    headers = {"Content-Type": "application/json"}
    assert requests.post(sagas, data=b"x" * (257 << 10), headers=headers, timeout=5).status_code == 413
