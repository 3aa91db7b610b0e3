"""Pages of other sites may use the API only when CORS_ORIGINS lists them, and never with a cookie."""

import pytest

from app import create_app
from app.config import from_environment
from tests.support.applications import close
from tests.support.servers import OPEN

SHOP, PATH = "https://shop.example", "/api/v1/sagas"
SAGA = {"type": "checkout", "data": {"client_id": 4, "magasin_id": 1}}
ASKS = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type,x-api-key"}
ALLOWED = "Access-Control-Allow-Origin"


@pytest.fixture
def serving(store_url):
    made = []

    def make(**settings):
        app = create_app(from_environment(OPEN | {"DATABASE_URL": store_url} | settings))
        made.append(app)
        return app.test_client()

    yield make
    for app in made:
        close(app)


def test_cors_is_off_by_default(serving):
    client = serving()
    for answer in (client.options(PATH, headers=ASKS | {"Origin": SHOP}), client.get(PATH, headers={"Origin": SHOP})):
        assert not [name for name, _ in answer.headers if name.startswith("Access-Control")]


def test_listed_origin_may_call_and_read(serving):
    client = serving(CORS_ORIGINS=f"https://other.example, {SHOP}")
    leave = client.options(PATH, headers=ASKS | {"Origin": SHOP})
    assert (leave.status_code, leave.headers[ALLOWED]) == (200, SHOP)
    assert {"content-type", "x-api-key"} <= set(leave.headers["Access-Control-Allow-Headers"].lower().split(", "))
    assert "POST" in leave.headers["Access-Control-Allow-Methods"]
    made = client.post(PATH, json=SAGA, headers={"Origin": SHOP, "Sec-Fetch-Site": "cross-site"})
    assert (made.status_code, made.headers[ALLOWED]) == (201, SHOP)
    assert "Location" in made.headers["Access-Control-Expose-Headers"]
    assert "Origin" in made.headers["Vary"]
    assert client.get(f"{PATH}/x", headers={"Origin": SHOP}).headers[ALLOWED] == SHOP, "an error can be read too"


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "https://shop.example.evil.com", "http://shop.example", "null"]
)
def test_unlisted_origin_may_not_call(serving, origin):
    client = serving(CORS_ORIGINS=SHOP)
    assert ALLOWED not in client.options(PATH, headers=ASKS | {"Origin": origin}).headers
    answer = client.post(PATH, json=SAGA, headers={"Origin": origin, "Sec-Fetch-Site": "cross-site"})
    assert (answer.status_code, ALLOWED in answer.headers) == (403, False)


@pytest.mark.parametrize("origins", [SHOP, "*"])
def test_no_origin_may_send_credentials(serving, origins):
    client = serving(CORS_ORIGINS=origins)
    for answer in (client.options(PATH, headers=ASKS | {"Origin": SHOP}), client.get(PATH, headers={"Origin": SHOP})):
        assert answer.headers[ALLOWED] in (SHOP, "*")
        assert "Access-Control-Allow-Credentials" not in answer.headers


def test_wildcard_origin_may_read_but_not_change_without_api_auth(serving):
    client = serving(CORS_ORIGINS="*")
    from_a_page = {"Origin": SHOP, "Sec-Fetch-Site": "cross-site"}
    assert client.get(PATH, headers=from_a_page).headers[ALLOWED] == "*"
    assert client.post(PATH, json=SAGA, headers=from_a_page).status_code == 403


def test_operator_pages_have_no_cors(serving):
    client = serving(CORS_ORIGINS="*")
    for path in ("/login", "/admin/", "/metrics", "/health"):
        assert ALLOWED not in client.get(path, headers={"Origin": SHOP}).headers
