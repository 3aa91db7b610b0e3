"""Dashboards and alerts over a real Prometheus that scrapes real replicas at work."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import requests

from tests.e2e.bodies import DOCUMENTED, PURCHASE, return_of
from tests.e2e.prometheus import Prometheus, queries
from tests.e2e.servers import running
from tests.support.databases import own_database
from tests.support.servers import Participants, serve_participants
from tests.support.waiting import eventually

pytestmark = pytest.mark.programs

STARTED = 'sum(increase(saga_total{status="started"}[$__range]))'
COMPLETED = 'sum(increase(saga_total{status="completed"}[$__range]))'
TOLD = "sum(increase(saga_events_published_total[$__range]))"
STUCK = 'max(saga_current{saga="checkout", state="STUCK_ENREGISTRER_VENTE"})'
REQUESTS = 'flask_http_request_duration_seconds_count{participant!=""}'
#: Panels that read `saga_wait_info`. Only rules for tables that wait write it, and no table of these replicas waits.
#: tests/unit/deploy/test_waits.py checks these rules.
PANELS_OF_WAITS = ["What sagas wait for"]
#: Largest factor by which `increase()` may be too high. It extrapolates to the ends of its range, which is inexact when
#: there are few scrapes.
EXTRAPOLATED = 1.2


@pytest.fixture(scope="module")
def participants_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Participants]:
    """Start participants for these tests alone: a stuck saga leaves goods reserved, which other tests would count."""
    yield from serve_participants(tmp_path_factory.mktemp("participants"))


@pytest.fixture
def replicas(postgres_server, postgres_template, orchestrator_at):
    """Start two replicas whose open breakers allow a trial call after one second."""
    for url in own_database(postgres_server, postgres_template):
        yield [orchestrator_at(url, BREAKER_OPEN_S="1") for _ in range(2)]


@pytest.fixture
def prometheus(replicas, participants):
    """Start Prometheus and wait until it has seen each counter at 0 and evaluated the rules.

    A counter that Prometheus has not seen at 0 shows no increase at its first value.
    """
    with running(lambda folder: Prometheus(folder, replicas, participants)) as server:
        eventually(lambda: server.value('sum(up{job="saga-orchestrator"})') == len(replicas), "both are scraped")
        eventually(lambda: server.value('up{job="participants"}') == 1, "and so are the participants")
        eventually(lambda: server.value("count(saga_dwell_limit_seconds)"), "the rules are evaluated")
        eventually(lambda: not server.alerts(), "the alert that nobody answers clears")
        yield server


def checkout(server, client_id=4, **headers):
    body = {"client_id": client_id, "magasin_id": 1}
    return requests.post(f"{server.url}/api/commande/checkout", json=body, headers=headers, timeout=120)


def run(server, saga_type, data):
    sagas = f"{server.url}/api/v1/sagas"
    created = requests.post(sagas, json={"type": saga_type, "data": data}, timeout=120).json()["saga"]
    return requests.post(f"{sagas}/{created['id']}/execute", timeout=120).json()["saga"]


def a_busy_day(replicas, participants) -> int:
    """Run sagas of each kind that succeed and fail, and leave one stuck. Return the number of sagas."""
    one, other = replicas
    stuck = threading.Thread(target=get_stuck, args=(one, participants))
    stuck.start()
    stuck.join()
    for number in range(24):
        checkout(replicas[number % 2], client_id=number % 6 + 1)
    order = {"client_id": 4, "magasin_id": 1, "produits": [{"produit_id": "456", "quantite": 1}]}
    for server, quantity in ((one, 1), (other, 1000)):
        line = {**DOCUMENTED["lignes"][0], "quantite": quantity}
        requests.post(f"{server.url}/api/saga/commandes/", json=DOCUMENTED | {"lignes": [line]}, timeout=120)
        run(server, "order_saga", order | {"produits": [{"produit_id": "456", "quantite": quantity}]})
        run(server, "return_saga", return_of(run(server, "purchase_saga", PURCHASE)))
    return 1 + 24 + 2 * 4


def get_stuck(server, participants):
    participants.add_fault("ventes", kind="fail", method="POST", times=4)
    checkout(server)


@contextmanager
def load(server) -> Iterator[None]:
    """Send four orders a second, without waiting for the answers."""
    over = threading.Event()

    def order() -> None:
        while not over.wait(0.25):
            checkout(server, Prefer="respond-async")

    customer = threading.Thread(target=order)
    customer.start()
    yield
    over.set()
    customer.join()


def firing(prometheus: Prometheus) -> set[tuple[str, str]]:
    return {(name, whom) for state, name, whom in prometheus.alerts() if state == "firing"}


def test_every_panel_has_data_and_totals_survive_a_replica(prometheus, replicas, participants):
    sagas = a_busy_day(replicas, participants)
    eventually(lambda: prometheus.value(STUCK) == 1, "one is stuck")
    eventually(lambda: (prometheus.value(STARTED) or 0) >= sagas, "all were counted")
    eventually(lambda: (prometheus.value(TOLD) or 0) > 0, "their events are published, and were seen to be")
    now = time.time()
    dead = [query.panel for query in queries() if not prometheus.values(query, now)]
    assert dead == PANELS_OF_WAITS
    assert prometheus.value(f"count({REQUESTS})"), "participants count their requests by the same name"
    traffic = next(query for query in queries() if query.panel == "Traffic: requests")
    routes = {labels["url_rule"] for labels in prometheus.labels(traffic, now)}
    assert [route for route in routes if not route.startswith("/api/")] == [], "requests that are not ours"
    stuck = ("SagaStuck", "checkout STUCK_ENREGISTRER_VENTE ventes")
    eventually(lambda: firing(prometheus) == {stuck}, "the stuck saga has an alert")

    gone = replicas[0].url.removeprefix("http://")
    replicas[0].kill()
    eventually(lambda: firing(prometheus) == {stuck, ("SagaReplicaDown", gone)}, "so has the replica that was killed")
    assert sagas <= prometheus.value(STARTED) <= EXTRAPOLATED * sagas
    assert prometheus.value(STUCK) == prometheus.value("sum(max by (saga, state) (saga_current))") == 1
    checkout(replicas[1])
    eventually(lambda: prometheus.value(STARTED) >= sagas + 1, "the other one goes on counting")


def test_broken_participant_fires_only_its_alert_until_it_is_well(prometheus, replicas, participants):
    seen = set()

    def look(until: Callable[[set[tuple[str, str, str]]], bool]) -> bool:
        alerts = prometheus.alerts()
        seen.update(alerts)
        return until(alerts)

    with load(replicas[0]):
        eventually(lambda: (prometheus.value(COMPLETED) or 0) > 10, "all is well")
        participants.add_fault("client", kind="fail", times=None)
        eventually(lambda: look(lambda alerts: ("firing", "SagaBreakerOpen", "client") in alerts), "the alert fires")
        participants.clear_faults()
        eventually(lambda: look(lambda alerts: not alerts), "the alert clears")
    assert ("pending", "SagaBreakerOpen", "client") in seen
    # SagaParticipantFailing may be pending until the breaker opens. If it fired too, one cause would have two alerts.
    assert {alert for alert in seen if alert[0] == "firing"} == {("firing", "SagaBreakerOpen", "client")}
