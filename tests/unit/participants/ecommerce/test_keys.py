"""The shop with an orchestrator and participants that require an API key."""

import pytest
from werkzeug.wrappers import Request, Response

from participants.ecommerce.http_client import HttpClient
from participants.ecommerce.settings import ShopSettings
from tests.unit.participants.ecommerce.conftest import served


class TestOrchestrator:
    @pytest.fixture
    def orchestrator_url(self, closed_url):
        return closed_url

    def test_shop_names_the_missing_key_of_the_orchestrator(self, shop, form):
        for reply in (shop.get("/orders"), shop.post("/buy", data=form)):
            assert reply.status_code == 502
            assert "Set ORCHESTRATOR_API_KEY" in reply.text


class TestParticipants:
    @pytest.fixture
    def neighbours_url(self, closed_url):
        return closed_url

    def test_shop_names_the_missing_key_of_the_participants(self, shop, form):
        for reply in (shop.get("/"), shop.post("/buy", data=form)):
            assert reply.status_code == 502
            assert "Set PARTICIPANTS_API_KEY" in reply.text


def test_each_service_receives_only_its_own_key():
    settings = ShopSettings.from_environment({"ORCHESTRATOR_API_KEY": "o", "PARTICIPANTS_API_KEY": "p"})
    assert (settings.orchestrator_api_key, settings.participants_api_key) == ("o", "p")


@pytest.mark.parametrize("key", ["k", None])
def test_each_call_contains_its_key(key):
    @Request.application
    def echo(request):
        return Response(f'"{request.headers.get("X-API-Key", "none")}"')

    with served(echo) as url:
        calls = HttpClient("Somebody", url, key, "ITS_KEY")
        assert calls.read("/") == (key or "none")
        calls.close()
