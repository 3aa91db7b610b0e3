"""Every link of a dashboard or an alert leads to exactly the sagas that it names."""

import itertools
import re
from urllib.parse import parse_qs, urlsplit

import pytest

from app.services import services
from deploy.observability.alerts import ALERTS
from deploy.observability.dashboards import dashboards
from deploy.observability.links import ORCHESTRATOR
from machines.discovery import discover
from machines.facts import facts

STUCK = "STUCK_ENREGISTRER_VENTE"
PAID = ("succeeded", "succeeded", "succeeded")
#: Values for the variables that Grafana and Prometheus replace.
VARIABLES = {
    "${orchestrator}": ORCHESTRATOR,
    "${saga:csv}": ",".join(discover().names),
    "${__data.fields.saga}": "checkout",
    "${__field.labels.saga}": "checkout",
    "${__field.labels.type}": "checkout",
    "${__field.labels.state}": STUCK,
    "{{ $labels.saga }}": "checkout",
    "{{ $labels.state }}": STUCK,
}


def links():
    """Yield every link of the panels, of their values and columns, and of the alerts."""
    panels = [panel for board in dashboards(facts(discover())) for panel in board.panels]
    for panel in panels:
        config = panel.field_config
        columns = [part for override in config.overrides for part in override.properties if part.id_val == "links"]
        yield from itertools.chain(panel.links or (), config.defaults.links or (), *(part.value for part in columns))
    yield from ({"url": alert.sagas_url} for alert in ALERTS if alert.sagas_url)


URLS = sorted({link["url"] if isinstance(link, dict) else link.url for link in links()})


@pytest.fixture
def stored_sagas(walk, client):
    """Store a saga of each status, and one of another table. Return the name, status and state of each, by its id."""
    made = [
        walk(*PAID),  # running
        walk(*PAID, "exhausted"),  # stuck
        walk(*PAID, "succeeded", "succeeded"),  # completed
        walk(*PAID, "refused"),  # compensating
        walk("succeeded", "refused"),  # compensated
    ]
    other = walk("succeeded", definition="order_saga", client_id=4, magasin_id=1, produits=[])
    pending = services(client.application).sagas.create("checkout", {"client_id": 4, "magasin_id": 1})
    assert len({saga.status for saga in made}) == len(made)
    found = {str(saga.id): ("checkout", saga.status, saga.state) for saga in (*made, pending)}
    return found | {str(other.id): ("order_saga", other.status, other.state)}


def named_sagas(url, stored_sagas):
    """Return the sagas that the link names."""
    asked = {name: values[0].split(",") for name, values in parse_qs(urlsplit(url).query).items()}
    statuses = ["stuck"] if "stuck" in asked else asked.get("status")
    return {
        saga_id
        for saga_id, (name, status, state) in stored_sagas.items()
        if name in asked["type"] and status in (statuses or [status]) and state in asked.get("state", [state])
    }


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("link", URLS)
def test_link_leads_to_the_sagas_that_it_names(client, stored_sagas, link):
    url = link
    for variable, value in VARIABLES.items():
        url = url.replace(variable, value)
    assert "$" not in url
    assert url.startswith(f"{ORCHESTRATOR}/admin/")
    answer = client.get(url.removeprefix(ORCHESTRATOR))
    assert answer.status_code == 200, answer.get_data(as_text=True)
    page = answer.get_data(as_text=True)
    assert set(re.findall(r'href="/admin/sagas/([0-9a-f-]{36})"', page)) == named_sagas(url, stored_sagas)


def test_there_are_links_of_each_kind():
    assert len(URLS) > 10
    assert {urlsplit(url.replace("${orchestrator}", ORCHESTRATOR)).path for url in URLS} == {"/admin/sagas"}
