"""The URLs that a participant writes into its replies: a call goes only to a URL below the participant's own one."""

import pytest

from app.calls.addresses import LONGEST_URL, below
from machines.references import FillError

BASE = "https://pay.example/v2"


@pytest.mark.parametrize(
    ("address", "called"),
    [
        ("https://pay.example/v2/jobs/7", "https://pay.example/v2/jobs/7"),
        ("HTTPS://PAY.example:443/v2/jobs/7", "https://pay.example/v2/jobs/7"),
        ("//pay.example/v2/jobs/7", "https://pay.example/v2/jobs/7"),
        ("/v2/jobs/7?token=a%2Fb&x=1", "https://pay.example/v2/jobs/7?token=a%2Fb&x=1"),
        ("/v2/jobs/7#part", "https://pay.example/v2/jobs/7"),
        ("/v2", "https://pay.example/v2"),
        ("/v2/jobs/7..8", "https://pay.example/v2/jobs/7..8"),
    ],
)
def test_an_address_below_the_participants_own_is_called(address, called):
    assert below(BASE, address) == called


@pytest.mark.parametrize(
    "address",
    [
        "https://evil.example/v2/jobs/7", "//evil.example/v2", "https://pay.example.evil/v2/x", "https://169.254.169.254/v2",
        "http://pay.example/v2/jobs/7", "https://pay.example:8443/v2/jobs/7", "https://pay.example@evil.example/v2/x",
        "https://me:word@pay.example/v2/x", "https://pay.example:x/v2", "https://[::1/v2", "file:///v2/x", "v2/jobs",
        "javascript:/v2/x", "?x=1", "", "/", "/jobs/7", "/v20/jobs", "/v2/../admin", "/v2/%2e%2e/admin",
        "/v2/..%2fadmin", "/v2/%252e%252e/admin", "/v2/..\\admin", "/v2/..%5cadmin", "/v2/a b", "/v2/\r\nHost: evil",
        "/v2/é", f"/v2/{'x' * LONGEST_URL}",
    ],
)  # fmt: skip
def test_an_address_that_leads_elsewhere_is_refused(address):
    with pytest.raises(FillError):
        below(BASE, address)


def test_a_participant_without_a_path_has_its_whole_server():
    assert below("http://pay:8080", "/jobs/7") == "http://pay:8080/jobs/7"
    assert below("http://pay:8080", "http://pay:8080") == "http://pay:8080/"
    with pytest.raises(FillError):
        below("http://pay:8080", "http://pay/jobs/7")


def test_the_user_of_the_participants_own_url_stays_and_is_not_shown():
    assert below("https://me:word@pay.example", "https://pay.example/x") == "https://me:word@pay.example/x"
    with pytest.raises(FillError) as refused:
        below("https://me:word@pay.example", "https://evil.example/x")
    assert "word" not in str(refused.value)
