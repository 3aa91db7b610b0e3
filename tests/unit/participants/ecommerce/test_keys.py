"""An orchestrator, and participants, that want a key."""

import pytest
from werkzeug.wrappers import Request, Response

from participants.ecommerce.http_client import HttpClient
from participants.ecommerce.settings import ShopSettings
from tests.unit.participants.ecommerce.conftest import served


class TestOrchestrator:
    @pytest.fixture
    def orchestrator_url(self, closed_url):
        return closed_url

    def test_a_shop_that_it_does_not_let_in_says_which_setting_it_lacks(self, shop, form):
        for reply in (shop.get("/orders"), shop.post("/buy", data=form)):
            assert reply.status_code == 502
            assert "Set ORCHESTRATOR_API_KEY" in reply.text


class TestParticipants:
    @pytest.fixture
    def neighbours_url(self, closed_url):
        return closed_url

    def test_a_shop_that_they_do_not_let_in_says_which_setting_it_lacks(self, shop, form):
        for reply in (shop.get("/"), shop.post("/buy", data=form)):
            assert reply.status_code == 502
            assert "Set PARTICIPANTS_API_KEY" in reply.text


def test_each_is_shown_the_key_that_is_its_own():
    settings = ShopSettings.from_environment({"ORCHESTRATOR_API_KEY": "o", "PARTICIPANTS_API_KEY": "p"})
    assert (settings.orchestrator_api_key, settings.participants_api_key) == ("o", "p")


@pytest.mark.parametrize("key", ["k", None])
def test_a_key_goes_along_with_each_call(key):
    @Request.application
    def echo(request):
        return Response(f'"{request.headers.get("X-API-Key", "none")}"')

    with served(echo) as url:
        calls = HttpClient("Somebody", url, key, "ITS_KEY")
        assert calls.read("/") == (key or "none")
        calls.close()
