"""API keys: scopes, expiry, revocation, and API_AUTH=off."""

import hashlib

import pytest
from sqlalchemy import text, update

from app import create_app
from app.access.api_keys import KEY_CACHE_S, KeyRing
from app.access.key_limits import Requests
from app.access.permissions import Role, Scope
from app.config import from_environment
from app.errors import ConflictError, InvalidError, UnauthenticatedError
from app.shared_cache import SharedCache
from app.store.access_models import ApiKeyRow
from app.store.api_keys import ApiKeys
from app.store.database import in_seconds
from tests.support.applications import close

CREATE = {"type": "checkout", "data": {"client_id": 4, "magasin_id": 1}}
SAGAS = "/api/v1/sagas"


@pytest.fixture
def ask(admin_service):
    """Return a function that calls the API with the given headers and no cookie."""

    def ask(method="GET", path=SAGAS, json=None, **headers):
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return admin_service.app.test_client().open(path, method=method, headers=named, json=json)

    return ask


def test_key_is_accepted_in_either_header(admin_service, ask):
    key = admin_service.key(Scope.READ)
    assert ask(X_API_Key=key).status_code == 200
    assert ask(Authorization=f"Bearer {key}").status_code == 200
    assert ask(Authorization=f"bearer  {key} ").status_code == 200
    assert ask(Authorization=f"Basic {key}").status_code == 401


@pytest.mark.parametrize("key", ["", "saga_00000000_x", "Schlüssel", "a b", "x" * 5000])
def test_unknown_key_is_refused_with_a_remedy(ask, key):
    answer = ask(Authorization=f"Bearer {key}")
    assert answer.status_code == 401
    assert answer.content_type == "application/problem+json"
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert answer.get_json()["title"] == "Not signed in"


def test_refusal_names_the_missing_scope(admin_service, ask):
    answer = ask("POST", json=CREATE, X_API_Key=admin_service.key(Scope.READ))
    assert answer.status_code == 403
    assert answer.get_json()["detail"] == "this needs the scope start, which shop does not have"


def test_journal_and_audit_trail_name_the_key(admin_service, ask):
    key = admin_service.key(Scope.START, Scope.OPERATE, Scope.READ)
    saga_id = ask("POST", json=CREATE, X_API_Key=key).get_json()["saga"]["id"]
    answer = ask("POST", f"{SAGAS}/{saga_id}/compensate", json={"reason": "ordered twice"}, X_API_Key=key)
    assert answer.status_code == 200, answer.text
    journal = ask("GET", f"{SAGAS}/{saga_id}/journal", X_API_Key=key).get_json()["journal"]
    assert [row["actor"] for row in journal if row["reason"] == "ordered twice"] == ["key:shop"]
    assert admin_service.trail()[-1] == ("key:shop", "saga.cancel", "checkout")


def test_refused_move_leaves_no_audit_row(admin_service, ask):
    key = admin_service.key(*Scope)
    saga_id = ask("POST", json=CREATE, X_API_Key=key).get_json()["saga"]["id"]
    before = admin_service.trail()
    assert ask("POST", f"{SAGAS}/{saga_id}/retry", X_API_Key=key).status_code == 409
    assert ask("POST", f"{SAGAS}/{saga_id}/compensate", json={"reason": ""}, X_API_Key=key).status_code == 400
    assert admin_service.trail() == before


def test_stored_digest_is_no_valid_key(admin_service):
    key = admin_service.key(Scope.READ)
    with admin_service.engine.connect() as connection:
        row = connection.execute(text("SELECT * FROM api_key")).one()
    assert row.digest == hashlib.sha256(key.encode()).hexdigest()
    assert key.startswith(f"{row.prefix}_")
    assert key not in str(row)
    assert len(key.removeprefix(row.prefix)) > 40, "256 bits"
    assert key not in str(admin_service.trail())


def test_expired_key_is_refused(admin_service, ask):
    key = admin_service.key(Scope.READ)
    admin_service.run(update(ApiKeyRow.__table__).values(expires_at=in_seconds(-1)))
    assert ask(X_API_Key=key).status_code == 401


@pytest.fixture
def clock():
    return [0.0]


@pytest.fixture
def ring(admin_service, clock):
    requests = Requests(SharedCache(None, None), lambda: clock[0])
    return KeyRing(ApiKeys(admin_service.engine), ["checkout"], requests, lambda: clock[0])


def revoke(admin_service, ring, key):
    ring.keys.revoke(key.rpartition("_")[0] if key.count("_") == 2 else "_".join(key.split("_")[:2]), "cli:test")


def test_revoked_key_is_refused_within_the_cache_time(admin_service, ring, clock):
    key = admin_service.key(Scope.READ)
    assert ring.principal(key).actor == "key:shop"
    revoke(admin_service, ring, key)
    clock[0] += KEY_CACHE_S - 0.01
    assert ring.principal(key).actor == "key:shop", "it is believed for a moment, and costs no query"
    clock[0] += 0.02
    with pytest.raises(UnauthenticatedError):
        ring.principal(key)


def test_cached_key_is_refused_after_it_expires(admin_service, ring, clock):
    key = admin_service.key(Scope.READ)
    admin_service.run(update(ApiKeyRow.__table__).values(expires_at=in_seconds(1)))
    ring.principal(key)
    admin_service.run(update(ApiKeyRow.__table__).values(expires_at=in_seconds(-1)))
    clock[0] += 1.01
    with pytest.raises(UnauthenticatedError):
        ring.principal(key)


def test_cached_key_needs_no_query(admin_service, ring, monkeypatch):
    key = admin_service.key(Scope.READ)
    ring.principal(key)
    monkeypatch.setattr(ring.keys, "find_valid", None)
    assert ring.principal(key).scopes == {Scope.READ}


def test_two_keys_of_one_name_are_valid_at_once(admin_service, ring):
    first, second = admin_service.key(Scope.READ), admin_service.key(Scope.READ)
    with pytest.raises(ConflictError):
        admin_service.key(Scope.READ)
    assert admin_service.key(Scope.READ, name="other")
    assert {ring.principal(key).actor for key in (first, second)} == {"key:shop"}
    revoke(admin_service, ring, first)
    assert admin_service.key(Scope.READ)
    assert admin_service.trail()[-2][1:] == ("key.revoke", f"shop {'_'.join(first.split('_')[:2])}")


@pytest.mark.parametrize(
    ("name", "scopes", "days"),
    [("", [Scope.READ], 1), ("A b", [Scope.READ], 1), ("a", [], 1), ("a", [Scope.READ], 0), ("a", [Scope.READ], 367)],
)
def test_invalid_key_is_not_made(admin_service, ring, name, scopes, days):
    before = admin_service.trail()
    with pytest.raises(InvalidError):
        ring.make(name, scopes, days, "cli:test")
    assert admin_service.trail() == before


def test_signed_in_person_needs_the_csrf_token_for_a_change(admin_service):
    viewer, operator = admin_service.browser(Role.VIEWER), admin_service.browser(Role.OPERATOR)
    assert viewer.get(SAGAS).status_code == 200
    for browser, sent, code in ((viewer, True, 403), (operator, True, 201), (operator, False, 403)):
        headers = {"X-CSRFToken": browser.token, "Referer": "https://saga.example/admin"} if sent else {}
        answer = browser.client.post(SAGAS, json=CREATE, headers=headers, base_url="https://saga.example")
        assert answer.status_code == code, answer.text


@pytest.fixture
def open_app(store_url):
    app = create_app(from_environment({"DATABASE_URL": store_url, "API_AUTH": "off", "PARTICIPANTS_URL": "http://h:9"}))
    yield app
    close(app)


def test_api_auth_off_makes_every_sender_the_actor_api(open_app):
    client = open_app.test_client()
    saga_id = client.post(SAGAS, json=CREATE, headers={"X-API-Key": "whatever"}).get_json()["saga"]["id"]
    assert client.post(f"{SAGAS}/{saga_id}/compensate").status_code == 200
    journal = client.get(f"{SAGAS}/{saga_id}/journal").get_json()["journal"]
    assert {row["actor"] for row in journal if row["trigger"] == "cancel"} == {"api"}


def test_api_auth_off_still_refuses_pages_of_other_sites(open_app):
    answer = open_app.test_client().post(SAGAS, json=CREATE, headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 403


def test_api_auth_off_still_requires_sign_in_for_pages(open_app):
    assert open_app.test_client().get("/admin/users").status_code == 303


def test_idempotency_keys_belong_to_the_name_of_the_api_key(admin_service, ask):
    a, b = (admin_service.key(Scope.START, Scope.READ, name=name) for name in ("shop-a", "shop-b"))
    made = {key: ask("POST", json=CREATE, X_API_Key=key, Idempotency_Key="order-1") for key in (a, b)}
    ids = {key: answer.get_json()["saga"]["id"] for key, answer in made.items()}
    assert ids[a] != ids[b]
    assert "Idempotent-Replayed" not in made[b].headers
    assert ask(path=f"{SAGAS}/{ids[b]}", X_API_Key=b).get_json()["started_by"] == "key:shop-b"


def test_second_key_of_a_name_shares_its_idempotency_keys(admin_service, ask):
    old, new = (admin_service.key(Scope.START, name="shop") for _ in range(2))
    first = ask("POST", json=CREATE, X_API_Key=old, Idempotency_Key="order-1")
    again = ask("POST", json=CREATE, X_API_Key=new, Idempotency_Key="order-1")
    assert again.get_json()["saga"]["id"] == first.get_json()["saga"]["id"]
    assert again.headers["Idempotent-Replayed"] == "true"


def test_api_auth_off_answers_no_page_of_another_name(open_app):
    """A page whose name leads here by DNS rebinding could read the answers of the API."""
    client, rebound = open_app.test_client(), {"Host": "rebind.evil"}
    assert client.get(SAGAS, headers=rebound).status_code == 403
    assert client.post(SAGAS, json=CREATE, headers=rebound | {"Sec-Fetch-Site": "same-origin"}).status_code == 403
    assert client.post(SAGAS, json=CREATE, headers={"Origin": "http://evil"}).status_code == 403
    assert client.get("/health", headers=rebound).status_code == 200  # probes and Prometheus come with any name
