"""API keys for some networks and with a rate, the notice before they expire, and the time of their last use."""

import json
import re
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from app.access.api_keys import NOTICE_S, USED_EVERY_S, KeyRing
from app.access.key_limits import MOST_NETWORKS, Rate, Requests
from app.access.permissions import Role, Scope
from app.errors import BusyError, InvalidError
from app.services import services
from app.shared_cache import SharedCache
from app.store.access_models import ApiKeyRow
from app.store.api_keys import ApiKeys
from app.store.database import in_seconds
from tests.support.statements import recorded

SAGAS = "/api/v1/sagas"


@pytest.fixture
def make(admin_service):
    """Return a function that makes a key with the scope read."""

    def make(name="shop", days=90, **limits):
        return services(admin_service.app).api_keys.make(name, [Scope.READ], days, "cli:test", **limits).secret

    return make


@pytest.fixture
def ask(admin_service):
    """Return a function that calls the API with a key, from an address."""

    def ask(key, address="127.0.0.1", **headers):
        sent = {"X-API-Key": key} | {name.replace("_", "-"): value for name, value in headers.items()}
        return admin_service.app.test_client().get(SAGAS, headers=sent, environ_overrides={"REMOTE_ADDR": address})

    return ask


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("10.1.2.3", 200),
        ("::ffff:10.1.2.3", 200),
        ("2001:db8:0:7::1", 200),
        ("192.0.2.7", 200),
        ("10.2.0.1", 403),
        ("192.0.2.8", 403),
        ("2001:db8:1::1", 403),
        ("nonsense", 403),
        ("", 403),
    ],
)
def test_key_is_accepted_from_its_networks_only(make, ask, address, status):
    key = make(networks=["10.1.0.0/16", "2001:db8::/48", "192.0.2.7"])
    answer = ask(key, address)
    assert answer.status_code == status, answer.text
    assert status == 200 or "for other networks" in answer.json["detail"]


def test_header_of_the_client_does_not_change_its_network(make, ask):
    key = make(networks=["10.1.0.0/16"])
    assert ask(key, "192.0.2.7", X_Forwarded_For="10.1.2.3").status_code == 403


def test_requests_beyond_the_rate_of_a_key_get_429_and_the_time_to_wait(make, ask):
    slow, other = make(rate_limit="2/day"), make("other")
    assert [ask(slow).status_code for _ in range(3)] == [200, 200, 429]
    answer = ask(slow)
    assert 0 < int(answer.headers["Retry-After"]) <= 86_400
    assert answer.content_type == "application/problem+json"
    assert ask(other).status_code == 200
    assert ask(make(rate_limit="2/day")).status_code == 200, "the next key of the same name is counted by itself"


def test_rate_begins_anew_with_each_window():
    now = [1000.0]
    requests, rate = Requests(SharedCache(None, None), lambda: now[0]), Rate.of("2/minute")
    requests.count("saga_1", rate)
    requests.count("saga_1", rate)
    with pytest.raises(BusyError) as refused:
        requests.count("saga_1", rate)
    now[0] += int(refused.value.headers["Retry-After"])
    requests.count("saga_1", rate)


@pytest.mark.parametrize(
    "limits",
    [
        {"networks": ["10.1.0.1/16"]},
        {"networks": ["nonsense"]},
        {"networks": ["10.1.0.0/33"]},
        {"networks": [f"10.1.0.{number}" for number in range(MOST_NETWORKS + 1)]},
        {"rate_limit": "0/minute"},
        {"rate_limit": "5"},
        {"rate_limit": "5/week"},
    ],
)
def test_illegal_limit_makes_no_key(admin_service, make, limits):
    before = admin_service.trail()
    with pytest.raises(InvalidError):
        make(**limits)
    assert admin_service.trail() == before


def expiry(ask, key):
    return ask(key).headers.get("Saga-Key-Expires")


def test_each_answer_to_a_key_that_expires_soon_says_when(admin_service, make, ask):
    soon, later = make("soon"), make("later")
    admin_service.run(update(ApiKeyRow).where(ApiKeyRow.name == "soon").values(expires_at=in_seconds(NOTICE_S - 60)))
    admin_service.run(update(ApiKeyRow).where(ApiKeyRow.name == "later").values(expires_at=in_seconds(NOTICE_S + 60)))
    with admin_service.engine.connect() as connection:
        moment = connection.scalar(select(ApiKeyRow.expires_at).where(ApiKeyRow.name == "soon"))
    assert expiry(ask, soon) == moment.isoformat(timespec="seconds")
    assert expiry(ask, later) is None


def test_metric_counts_the_programs_without_a_key_that_lasts(admin_service, make):
    def expiring():
        return re.search("^saga_api_keys_expiring (.*)$", metrics.get("/metrics").text, re.MULTILINE)[1]

    metrics = admin_service.app.test_client()
    make("a", days=3), make("b", days=3), make("b", days=90), make("c", days=90), make("d", days=3), make("d", days=5)
    admin_service.run(update(ApiKeyRow).where(ApiKeyRow.name == "c").values(expires_at=in_seconds(-5)))
    assert expiring() == "2.0", "a and d; b has a successor, and c has ended"


def last_used(admin_service):
    with admin_service.engine.connect() as connection:
        return connection.scalar(select(ApiKeyRow.last_used_at))


def test_last_use_is_written_once_a_minute_and_by_no_request(admin_service, make, monkeypatch):
    key, clock, keys = make(), [0.0], ApiKeys(admin_service.engine)
    ring = KeyRing(keys, [], Requests(SharedCache(None, None)), lambda: clock[0])
    ring.principal(key)
    statements = recorded(admin_service.engine, monkeypatch)
    ring.principal(key)
    assert statements == [], "a cached key costs no statement"
    assert last_used(admin_service) is None
    ring.write_used()
    first = last_used(admin_service)
    assert first is not None
    admin_service.run(update(ApiKeyRow).values(last_used_at=in_seconds(-2 * USED_EVERY_S)))
    clock[0] += USED_EVERY_S - 1
    ring.principal(key)
    ring.write_used()
    assert last_used(admin_service) < first
    clock[0] += 1
    ring.write_used()
    assert last_used(admin_service) >= first
    statements.clear()
    clock[0] += 2 * USED_EVERY_S
    ring.write_used()
    assert statements == [], "the key was not used again"


def test_two_processes_write_the_last_use_once(admin_service, make):
    key, written = make(), set()
    for _ in range(2):
        ring = KeyRing(ApiKeys(admin_service.engine), [], Requests(SharedCache(None, None)))
        ring.principal(key)
        ring.write_used()
        written.add(last_used(admin_service))
        admin_service.run(update(ApiKeyRow).values(last_used_at=in_seconds(-USED_EVERY_S / 2)))
    assert len(written) == 2
    assert min(written) < max(written) - timedelta(seconds=USED_EVERY_S / 3), "the second process wrote nothing"


def test_refused_use_is_no_use(admin_service, make, ask):
    key = make(networks=["10.1.0.0/16"])
    assert ask(key).status_code == 403
    services(admin_service.app).api_keys.write_used()
    assert last_used(admin_service) is None


def test_page_makes_a_key_with_limits_and_shows_them(admin_service):
    admin = admin_service.browser(Role.ADMIN)
    form = {"name": "shop", "scope": ["read"], "days": "10", "networks": "10.1.0.0/16, 2001:db8::/48"}
    assert admin.post("/admin/keys", **form, rate_limit="5/minute").status_code == 200
    shown = admin.get("/admin/keys").text
    assert "10.1.0.0/16, 2001:db8::/48, 5/minute" in shown
    assert "<b>soon</b>" in shown
    assert "never" in shown
    assert admin.post("/admin/keys", **form, rate_limit="many").status_code == 400


def test_command_line_makes_a_key_with_limits_and_lists_them(admin_service):
    runner = admin_service.app.test_cli_runner()
    options = ["--scope", "read", "--days", "3", "--network", "10.1.0.0/16", "--rate-limit", "5/minute"]
    assert runner.invoke(args=["saga", "key", "add", "shop", *options]).exit_code == 0
    listed = runner.invoke(args=["saga", "key", "list"]).output
    assert "10.1.0.0/16 5/minute" in listed
    assert "expires in 2d" in listed
    row = json.loads(runner.invoke(args=["saga", "key", "list", "--json"]).output)
    assert (row["networks"], row["rate_limit"], row["last_used_at"]) == (["10.1.0.0/16"], "5/minute", None)
    refused = runner.invoke(args=["saga", "key", "add", "other", *options[:4], "--network", "x"])
    assert (refused.exit_code, len(refused.output.strip().splitlines())) == (2, 1)
