"""An orchestrator that wants a key."""

import pytest


@pytest.fixture
def orchestrator_url(closed_orchestrator_url):
    return closed_orchestrator_url


def test_a_shop_that_is_not_let_in_says_which_setting_it_lacks(shop, form):
    for reply in (shop.get("/orders"), shop.post("/buy", data=form)):
        assert reply.status_code == 502
        assert "Set ORCHESTRATOR_API_KEY" in reply.text
