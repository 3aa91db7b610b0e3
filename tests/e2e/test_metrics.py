"""/metrics after a real run: the metrics of the reference systems and ours, correct and without personal data."""

import re
import uuid
from collections import defaultdict

import psutil
import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from machines.discovery import discover
from tests.support.waiting import eventually

NAMES = {  # each metric with the labels that it must have
    "saga_transitions_total": {"saga", "source", "trigger", "dest"},
    "saga_total": {"saga", "type", "status"},
    "saga_duration_seconds_count": {"type", "etat_final"},
    "saga_steps_total": {"saga", "type", "step", "status"},
    "saga_failures_total": {"type", "step", "state"},
    "saga_compensations_total": {"type", "step"},
    "saga_step_duration_seconds_count": {"saga", "step", "direction", "outcome"},
    "saga_participant_calls_total": {"saga", "participant", "endpoint", "status_code"},
    "saga_participant_call_duration_seconds_count": {"saga", "participant", "endpoint"},
    "saga_retries_total": {"saga", "step", "direction"},
    "saga_stuck_total": {"saga", "state"},
    "saga_fenced_writes_total": set(),
    "saga_breaker_state": {"participant"},
    "saga_claims_total": {"saga"},
    "saga_claim_duration_seconds_count": set(),
    "saga_current": {"saga", "state"},
    "saga_oldest_age_seconds": {"saga", "state"},
    "saga_unknown_definition_sagas": {"saga", "version"},
    "saga_overdue_seconds": set(),
    "saga_table_step": {"saga", "step", "place"},
    "saga_table_dwell_limit_seconds": {"saga", "state", "step", "participant", "phase"},
    "saga_due": set(),
    "saga_build_info": {"version"},
    "saga_replicas": set(),
    "saga_processes": {"role"},
    "saga_connections_possible": set(),
    "saga_database_up": set(),
    "saga_outbox_lag_seconds": set(),
    "saga_events_published_total": {"event"},
    "saga_events_parked": set(),
    "commande_etat_total": {"etat"},
    "saga_duree_seconds_count": {"etat_final"},
    "saga_echecs_total": {"type_echec", "etape_echec"},
    "saga_etapes_total": {"etape", "statut"},
    "services_externes_calls_total": {"service", "endpoint", "status_code"},
    "services_externes_duree_seconds_count": {"service", "endpoint"},
    "saga_actives_current": {"etat"},
}
ORDER = {
    "client_id": str(uuid.uuid4()),
    "lignes": [{"produit_id": "550e8400-e29b-41d4-a716-446655440001", "quantite": 1}],
}


@pytest.fixture
def run(orchestrator, participants, store_url):
    """Run eight sagas, and return the text of /metrics, its samples, and the answers of the checkouts.

    The sagas are six checkouts (one confirmed, three refused, one with a lost reply, one stuck) and two orders (one
    created, one refused). On PostgreSQL two processes run them, and each process reports the sums of both.
    """
    server = orchestrator(WORKERS="2" if store_url.startswith("postgresql") else "1")

    def buy(client_id):
        url = f"{server.url}/api/commande/checkout"
        body = {"client_id": client_id, "magasin_id": 1}
        return requests.post(url, json=body, headers={"Connection": "close"}, timeout=120).json()

    for lines in (1, 1_000_000):
        order = ORDER | {"lignes": [ORDER["lignes"][0] | {"quantite": lines}]}
        requests.post(f"{server.url}/api/saga/commandes/", json=order, headers={"Connection": "close"}, timeout=120)
    answers = [buy(client_id) for client_id in (4, 1, 2, 3)]
    participants.add_fault("client", kind="lose_reply", times=1, method="POST")
    answers.append(buy(4))
    participants.add_fault("ventes", kind="fail", times=4, method="POST")
    answers.append(buy(4))
    yield *eventually(lambda: complete_metrics(server), "each process has counted its moves"), answers
    requests.post(f"{server.url}/api/v1/sagas/{answers[-1]['saga_id']}/retry", timeout=120)


def complete_metrics(server):
    """Return the text of /metrics and its samples, or None while one of the eight sagas still runs."""
    text = requests.get(f"{server.url}/metrics", timeout=5).text
    samples = defaultdict(dict)
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            samples[sample.name][frozenset(sample.labels.items())] = sample.value
    counted = [
        value(samples, "saga_total", status=status) for status in ("started", "completed", "compensated", "stuck")
    ]
    return (text, samples) if counted[0] == sum(counted[1:]) == 6 + 2 else None


def value(samples, name, **labels):
    return sum(v for own, v in samples[name].items() if labels.items() <= dict(own).items())


def test_every_metric_is_correct_and_without_personal_data(run):
    text, samples, answers = run
    for name, labels in NAMES.items():
        found = [set(dict(own)) - {"le"} for own in samples[name]]
        assert found, name
        assert all(own == labels for own in found), name
    assert value(samples, "saga_total", type="checkout", status="started") == 6
    assert value(samples, "saga_total", type="checkout", status="completed") == 2
    assert value(samples, "saga_total", type="checkout", status="compensated") == 3
    assert value(samples, "saga_total", type="checkout", status="stuck") == 1
    assert value(samples, "saga_stuck_total", state="STUCK_ENREGISTRER_VENTE") == 1
    assert value(samples, "saga_current", state="STUCK_ENREGISTRER_VENTE") == 1
    assert value(samples, "saga_compensations_total", type="checkout", step="reserver_stock") == 2
    assert value(samples, "saga_failures_total", type="checkout", step="payer") == 1
    assert value(samples, "saga_retries_total", saga="checkout", step="payer") == 1
    assert value(samples, "saga_step_duration_seconds_count", step="payer", outcome="unknown") == 1
    assert value(samples, "commande_etat_total", etat="CONFIRMEE") == 2
    assert value(samples, "saga_duration_seconds_count", type="checkout") == 5
    for one in answers:
        assert one["saga_id"] not in text
    assert not re.search(r"[0-9a-f]{8}-[0-9a-f]{4}-", text), "no id of anything is in a label"
    assert not re.search(r'endpoint="[^"]*/[0-9]+[/"]', text), "an endpoint is a template"


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
def test_reference_metric_equals_its_source(run):
    _text, samples, _answers = run
    for alias, source, saga in (
        ("saga_etapes_total", "saga_steps_total", "saga"),
        ("saga_echecs_total", "saga_failures_total", "type"),
        ("services_externes_calls_total", "saga_participant_calls_total", "saga"),
        ("services_externes_duree_seconds_sum", "saga_participant_call_duration_seconds_sum", "saga"),
        ("saga_duree_seconds_count", "saga_duration_seconds_count", "type"),
    ):
        own = value(samples, source, **{saga: "commande"})
        assert value(samples, alias) == pytest.approx(own), alias
        assert 0 < own < value(samples, source), f"{source} counts sagas that {alias} does not"
    assert value(samples, "saga_current") == 1
    assert value(samples, "saga_actives_current") == 0, "the one that is stuck is a checkout"


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
def test_size_metric_is_the_size_of_the_table(run):
    _text, samples, _answers = run
    transitions = {
        ("saga", definition.name, transition.source, str(transition.trigger), transition.dest)
        for definition in discover()
        for transition in definition.transitions
    } | {("saga", definition.name, "", "start", definition.initial) for definition in discover()}
    labels = [dict(own) for own in samples["saga_transitions_total"]]
    assert {("saga", own["saga"], own["source"], own["trigger"], own["dest"]) for own in labels} == transitions


@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
def test_processes_of_one_server_report_one_sum(orchestrator, participants):
    server = orchestrator(WORKERS="2")
    for _ in range(12):  # enough requests that each of the two processes gets some
        answer = requests.post(
            f"{server.url}/api/commande/checkout",
            json={"client_id": 4, "magasin_id": 1},
            headers={"Connection": "close"},
            timeout=120,
        )
        assert answer.status_code == 201

    def seen():
        text = requests.get(f"{server.url}/metrics", headers={"Connection": "close"}, timeout=5).text
        return re.search(r'(?m)^saga_total\{saga="checkout",status="completed",type="checkout"\} (\S+)$', text)[1]

    eventually(lambda: seen() == "12.0", "the other process has counted its moves")
    assert {seen() for _ in range(6)} == {"12.0"}, "whichever of the two is asked"
    actors = {
        move["actor"]
        for saga in requests.get(f"{server.url}/api/v1/sagas", timeout=5).json()["sagas"]
        for move in requests.get(f"{server.url}/api/v1/sagas/{saga['id']}/journal", timeout=5).json()["journal"]
        if move["actor"].startswith("engine")
    }
    assert len(actors) == 2, "both have had their share"
    participants.assert_balanced()

    workers = psutil.Process(server.process.pid).children()
    workers[0].kill()
    eventually(lambda: _others(server, workers[0]) >= len(workers), "the one that was killed has a successor")
    eventually(lambda: server.answers("/ready"), "the server goes on")
    text = requests.get(f"{server.url}/metrics", headers={"Connection": "close"}, timeout=5).text
    assert 'saga_total{saga="checkout",status="completed",type="checkout"} 12.0' in text, "what it has counted stays"


def _others(server, gone):
    return len([child for child in psutil.Process(server.process.pid).children() if child.pid != gone.pid])
