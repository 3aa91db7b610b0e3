"""Behind a gateway: the address of the client, and the path prefix of the service."""

import re
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from app import create_app
from app.config import from_environment
from tests.support.applications import close
from tests.support.servers import OPEN

SAGAS = "/api/v1/sagas"


@pytest.fixture
def behind(store_url: str) -> Iterator[Callable[[int | str], FlaskClient]]:
    """Return a function that makes a client of an application behind the given number of proxies."""
    apps = []

    def application(proxies: int | str) -> FlaskClient:
        settings = OPEN | {"DATABASE_URL": store_url, "RATE_LIMIT": "2/day", "TRUSTED_PROXIES": str(proxies)}
        apps.append(create_app(from_environment(settings)))
        return apps[-1].test_client()

    yield application
    for app in apps:
        close(app)


def statuses(client: FlaskClient, *forwarded_for: str, peer: str = "127.0.0.1") -> list[int]:
    """Return the status of a request with each X-Forwarded-For. peer: the address of the connection."""
    return [
        client.get(SAGAS, headers={"X-Forwarded-For": address}, environ_overrides={"REMOTE_ADDR": peer}).status_code
        for address in forwarded_for
    ]


def test_rate_limit_counts_each_client_behind_a_gateway(behind):
    asked = statuses(behind(1), "198.51.100.1", "198.51.100.2", "198.51.100.1", "198.51.100.2", "198.51.100.1")
    assert asked == [200, 200, 200, 200, 429]


def test_only_the_address_that_the_gateway_added_counts(behind):
    asked = statuses(behind(1), *(f"203.0.113.{number}, 198.51.100.1" for number in range(3)))
    assert asked == [200, 200, 429]


def test_all_addresses_of_one_ipv6_network_count_as_one(behind):
    asked = statuses(behind(1), "2001:db8::1", "[2001:db8::2]:443", "2001:db8:0:0:ffff::3", "2001:db8:0:1::1")
    assert asked == [200, 200, 429, 200]


@pytest.mark.parametrize("garbage", ["x" * 3000, "unknown", "1.2.3", "198.51.100.1' OR 1=1", ""])
def test_invalid_address_counts_as_the_address_of_the_connection(behind, garbage):
    client = behind(1)
    assert statuses(client, garbage, f"{garbage}y", "127.0.0.1") == [200, 200, 429]


def test_forwarded_headers_are_ignored_without_a_gateway(behind):
    assert statuses(behind(0), "198.51.100.1", "198.51.100.2", "198.51.100.3") == [200, 200, 429]


#: The networks of the proxies in the tests below.
PROXIES = "10.1.0.0/16,fd00::/8"


@pytest.mark.parametrize("peer", ["10.1.0.7", "::ffff:10.1.0.7", "fd00::7"])
def test_client_behind_the_networks_of_the_proxies_is_counted_by_its_address(behind, peer):
    asked = statuses(behind(PROXIES), "198.51.100.1", "198.51.100.2", "198.51.100.1", "198.51.100.1", peer=peer)
    assert asked == [200, 200, 200, 429]


@pytest.mark.parametrize("peer", ["192.0.2.1", "10.2.0.7", "fe00::7", "nonsense"])
def test_header_of_a_connection_from_elsewhere_is_ignored(behind, peer):
    asked = statuses(behind(PROXIES), "198.51.100.1", "198.51.100.2", "198.51.100.3", peer=peer)
    assert asked == [200, 200, 429]


def test_client_is_the_last_address_that_is_no_proxy(behind):
    client = behind(PROXIES)
    forged = (f"203.0.113.{number}, 198.51.100.1, 10.1.0.9, fd00::1" for number in range(3))
    assert statuses(client, *forged, peer="10.1.0.7") == [200, 200, 429]
    assert statuses(client, "198.51.100.2", peer="10.1.0.7") == [200]


@pytest.mark.parametrize("named", ["x" * 3000, "198.51.100.1, unknown", ", " * 500, ""])
def test_client_behind_a_proxy_that_names_no_address_counts_as_the_proxy(behind, named):
    client = behind(PROXIES)
    assert statuses(client, named, "10.1.0.7", named, peer="10.1.0.7") == [200, 200, 429]


@pytest.mark.parametrize(("peer", "expected"), [("10.1.0.7", "/gate/static/"), ("192.0.2.1", '"/static/')])
def test_prefix_is_used_only_from_the_networks_of_the_proxies(behind, peer, expected):
    sent = {"X-Forwarded-Prefix": "/gate"}
    page = behind(PROXIES).get("/login", headers=sent, environ_overrides={"REMOTE_ADDR": peer}).text
    assert expected in page


@pytest.mark.parametrize(("proxies", "prefix"), [(1, "/saga-orchestrator"), (0, "")])
def test_location_contains_the_prefix_of_the_gateway(behind, proxies, prefix):
    items = [{"product_id": 456, "quantity": 1, "reason": "broken"}]
    data = {"sale_id": str(uuid.uuid4()), "customer_id": 1, "refund_amount": 1, "items": items}
    answer = behind(proxies).post(
        SAGAS,
        json={"type": "return_saga", "data": data},
        headers={"X-Forwarded-Prefix": "/saga-orchestrator"},
    )
    assert answer.status_code == 201, answer.json
    assert answer.headers["Location"] == f"{prefix}{SAGAS}/{answer.json['saga']['id']}"


def test_pages_behind_a_prefix_lead_to_pages_behind_it(behind):
    browser, sent = behind(1), {"X-Forwarded-Prefix": "/gate"}
    asked = browser.get("/admin/stuck?q=4", headers=sent)
    assert asked.location == "/gate/login?next=/gate/admin/stuck%3Fq%3D4"
    page = browser.get("/login", query_string={"next": "//evil.example"}, headers=sent).text
    assert 'value="/gate/admin"' in page, "where the person goes after signing in"
    links = re.findall(r'(?:href|src|action)="(/[^"]*)"', page)
    assert len(links) > 10
    assert [link for link in links if not link.startswith("/gate/")] == []


def test_no_template_has_the_path_of_a_page_without_the_prefix():
    templates = list((Path(create_app.__code__.co_filename).parent / "templates").rglob("*.html"))
    assert templates
    for template in templates:
        assert re.findall(r"""[\w-]+=["']/\w[^"']*""", template.read_text()) == [], template


@pytest.mark.parametrize(
    "prefix", ["//evil.example", "/a//evil.example", "https://evil.example", "/a, //evil.example", "\\evil"]
)
def test_prefix_that_leads_to_another_host_is_ignored(behind, prefix):
    shown = behind(1).get("/login", headers={"X-Forwarded-Prefix": prefix}).text
    assert "evil" not in shown
    assert 'src="/static/' in shown


@pytest.mark.parametrize("path", ["/api/v1/sagas", "/api/v1/sagas/nothing", "/api/v1/definitions"])
def test_answers_with_data_are_stored_in_no_shared_cache(behind, path):
    headers = behind(0).get(path).headers
    assert (headers["Cache-Control"], headers["X-Content-Type-Options"]) == ("no-store", "nosniff")
