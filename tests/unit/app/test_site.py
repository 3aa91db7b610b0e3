"""Under which names the service answers, and the pages of which origins may send a request that needs no key."""

import pytest
from flask import Flask

from app.access.site import Site
from app.config import from_environment
from app.errors import ForgedError
from app.settings import ConfigError

OFF = {"API_AUTH": "off"}
NAMED = {"TRUSTED_HOSTS": "Sagas.Example, other.example"}


def refused(check, settings, host="localhost:8009", **headers):
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    site = Site(from_environment(settings))
    with Flask(__name__).test_request_context(headers={"Host": host} | headers):
        try:
            getattr(site, check)()
        except ForgedError:
            return True
    return False


@pytest.mark.parametrize(
    ("settings", "host", "answered"),
    [
        *[(OFF, host, True) for host in ("localhost", "LOCALHOST:8009", "127.0.0.1:8009", "[::1]:8009", "10.1.2.3")],
        *[(OFF, host, False) for host in ("rebind.evil", "rebind.evil:8009", "localhost.evil", "127.0.0.1.evil", "")],
        *[(OFF, host, False) for host in ("[x]", "evil@[", "[::1]evil")],
        (OFF | {"PUBLIC_URL": "https://sagas.example/x"}, "sagas.example", True),
        (OFF | {"PUBLIC_URL": "https://sagas.example/x"}, "rebind.evil", False),
        (OFF | NAMED, "sagas.example:8009", True),
        (OFF | NAMED, "evil.sagas.example", False),
        (NAMED, "rebind.evil", False),  # with keys, too, when the names are listed
        ({}, "any.example", True),
    ],
)
def test_service_answers_only_under_its_own_names(settings, host, answered):
    assert refused("check_host", settings, host) != answered


@pytest.mark.parametrize(
    ("headers", "accepted"),
    [
        ({}, True),
        ({"Origin": "http://localhost:8009"}, True),
        ({"Origin": "http://localhost:8009", "Sec_Fetch_Site": "same-origin"}, True),
        ({"Origin": "https://proxied.example", "Sec_Fetch_Site": "same-origin"}, True),  # the proxy changed the Host
        ({"Sec_Fetch_Site": "none"}, True),
        ({"Sec_Fetch_Site": "same-site"}, False),
        ({"Sec_Fetch_Site": "cross-site"}, False),
        ({"Origin": "http://evil.example"}, False),
        ({"Origin": "http://localhost:8560"}, False),  # another program of this machine
        ({"Origin": "null"}, False),
        ({"Origin": "https://shop.example", "Sec_Fetch_Site": "cross-site"}, True),
        ({"Origin": "https://sagas.example", "Sec_Fetch_Site": "same-site"}, True),
    ],
)
def test_only_own_pages_may_send_a_request_without_a_key(headers, accepted):
    settings = OFF | {"CORS_ORIGINS": "https://shop.example", "PUBLIC_URL": "https://sagas.example/base"}
    assert refused("check_origin", settings, **headers) != accepted


@pytest.mark.parametrize("name", ["https://sagas.example", "sagas.example:8009", "*", "a b"])
def test_a_trusted_host_is_a_plain_name(name):
    with pytest.raises(ConfigError, match="TRUSTED_HOSTS must be host names such as"):
        from_environment({"TRUSTED_HOSTS": name})
