import pytest

from participants.ecommerce.settings import ShopSettings, ShopSettingsError


def test_public_orchestrator_url_defaults_to_the_servers():
    assert ShopSettings.from_environment({"ORCHESTRATOR_URL": "http://o:1/"}).public_url == "http://o:1"
    environment = {"ORCHESTRATOR_URL": "http://o:1", "ORCHESTRATOR_PUBLIC_URL": "https://shop.example/o"}
    assert ShopSettings.from_environment(environment).public_url == "https://shop.example/o"


@pytest.mark.parametrize("name", ["ORCHESTRATOR_URL", "ORCHESTRATOR_PUBLIC_URL", "PARTICIPANTS_URL"])
@pytest.mark.parametrize("url", ["nonsense", "ftp://x", "http://", "javascript:alert(1)", "http://x?y"])
def test_bad_url_is_refused_by_the_name_of_its_variable(name, url):
    with pytest.raises(ShopSettingsError, match=f"^{name} must be a URL"):
        ShopSettings.from_environment({name: url})


def test_the_keys_are_never_shown():
    assert "s3cret" not in repr(ShopSettings(orchestrator_api_key="s3cret", participants_api_key="s3cret"))
