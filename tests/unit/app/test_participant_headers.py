"""Each header of a request has one source: the service, one setting, or the table."""

from types import SimpleNamespace

import pytest

from app.config import check_participants, from_environment
from app.settings import ConfigError
from machines.call import get, post


@pytest.fixture
def read(tmp_path):
    def read(toml, calls=(), **variables):
        (tmp_path / "p.toml").write_text(f"[flight]\n{toml}")
        config = from_environment({**variables, "PARTICIPANTS_FILE": str(tmp_path / "p.toml")})
        steps = [SimpleNamespace(calls=(call,)) for call in calls]
        return check_participants(config, [SimpleNamespace(participants=("flight",), steps=steps, at_end={})])["flight"]

    return read


OF_THE_SERVICE = [
    "Host", "content-length", "Transfer-Encoding", "Connection", "Accept-Encoding", "traceparent", "SAGA-ID",
    "Saga-Step", "Saga-Epoch", "Expect", "Upgrade", "TE", "Trailer", "Keep-Alive", "Proxy-Connection", "Saga-Reply-To",
]  # fmt: skip
ELSEWHERE = {
    "Content-Type": "it belongs to the body of each call",
    "Proxy-Authorization": "it belongs to the proxy",
    "Authorization": "it is a credential; write it as auth = ",
    "Idempotency-Key": "it has the key of each call",
}


@pytest.mark.parametrize(
    ("name", "problem"),
    [*((name, "the service itself sets it; take it out") for name in OF_THE_SERVICE), *ELSEWHERE.items()],
)
def test_header_of_the_service_is_refused_in_the_setting_headers(read, name, problem):
    with pytest.raises(ConfigError, match=rf"^PARTICIPANTS_FILE: \[flight\] headers has {name}, but {problem}"):
        read(f'headers = {{"{name}" = "x"}}')


@pytest.mark.parametrize("setting", ["idempotency_header", "auth.header", "auth.timestamp_header"])
@pytest.mark.parametrize("name", ["host", "Saga-Id", "Content-Type"])
def test_header_of_the_service_is_no_header_of_another_setting(read, setting, name):
    auth = {"type": "hmac", "key": "k", "header": "X-S", "canonical": "${body}"}
    if setting.startswith("auth."):
        auth[setting.removeprefix("auth.")] = name
    pairs = ", ".join(f'{each} = "{text}"' for each, text in auth.items())
    toml = f"auth = {{{pairs}}}" if setting.startswith("auth.") else f'{setting} = "{name}"'
    with pytest.raises(ConfigError, match=rf"^PARTICIPANTS_FILE: \[flight\] {setting} is {name}, but "):
        read(toml)


HMAC = 'auth = {type = "hmac", key = "k", canonical = "${body}${timestamp}", header = "X-S", timestamp_header = "%s"}'


@pytest.mark.parametrize(
    ("toml", "variables", "problem"),
    [
        ('headers = {"a" = "1", "A" = "2"}', {}, r"headers has A twice; keep one of them"),
        (HMAC % "x-s", {}, r"auth.header and auth.timestamp_header both set the header x-s; take one of them out"),
        (
            'idempotency_header = "Authorization"\nauth = {type = "bearer", token = "t"}',
            {},
            r"idempotency_header and auth both set the header Authorization",
        ),
        (
            'idempotency_header = "X-Request-Id"\nheaders = {"x-request-id" = "1"}',
            {},
            r"idempotency_header and headers both set the header x-request-id",
        ),
        (
            'headers = {"Api-Key" = "1"}\nauth = {type = "api_key", key = "k", header = "api-key"}',
            {},
            r"headers and auth.header both set the header api-key",
        ),
        (
            'headers = {"x-api-key" = "1"}',
            {"PARTICIPANTS_API_KEY": "k"},
            r"headers and PARTICIPANTS_API_KEY both set the header X-API-Key",
        ),
    ],
)
def test_header_with_two_settings_is_refused(read, toml, variables, problem):
    with pytest.raises(ConfigError, match=problem) as refused:
        read(toml, **variables)
    assert refused.value.message.startswith("PARTICIPANTS_FILE: [flight] ")


@pytest.mark.parametrize(
    ("toml", "setting"),
    [
        ('headers = {"Api-Version" = "1"}', r"PARTICIPANTS_FILE: \[flight\] headers"),
        ('idempotency_header = "api-version"', r"PARTICIPANTS_FILE: \[flight\] idempotency_header"),
        (
            'auth = {type = "api_key", key = "k", header = "API-VERSION"}',
            r"PARTICIPANTS_FILE: \[flight\] auth.header",
        ),
    ],
)
def test_header_of_a_setting_and_of_a_table_is_refused(read, toml, setting):
    calls = [get("flight", "/a"), post("flight", "/b", headers={"Api-Version": "version"})]
    with pytest.raises(ConfigError, match=rf"^{setting} sets the header Api-Version, but a table's call sets it as"):
        read(toml, calls)


@pytest.mark.parametrize(
    ("toml", "problem"),
    [
        ("headers = 1", "headers must be a table, such as"),
        ('headers = {"a b" = "1"}', "headers has 'a b', which is no header with one line of plain text"),
        ('headers = {"A" = 1}', "headers has 'A', which is no header with one line of plain text"),
        ('headers = {"A" = "é"}', "headers has 'A', which is no header with one line of plain text"),
    ],
)
def test_header_that_is_none_is_refused(read, toml, problem):
    with pytest.raises(ConfigError, match=rf"^PARTICIPANTS_FILE: \[flight\] {problem}"):
        read(toml)


def test_other_headers_of_a_table_are_legal(read):
    calls = [post("flight", "/b", headers={"Api-Version": "version"})]
    assert read('headers = {"Api-Region" = "eu"}', calls).headers == {"Api-Region": "eu"}


def test_table_may_derive_the_idempotency_key(read):
    calls = [post("flight", "/b", headers={"Idempotency-Key": "saga.key"})]
    assert read('idempotency_header = "X-Request-Id"', calls).idempotency_header == "X-Request-Id"
    assert read('auth = {type = "bearer", token = "t"}', calls).idempotency_header == "Idempotency-Key"


@pytest.mark.parametrize("kind", ["api_key", "hmac"])
def test_credential_in_any_header_may_be_in_authorization(read, kind):
    canonical = ', canonical = "${body}"' if kind == "hmac" else ""
    auth = read(f'auth = {{type = "{kind}", key = "k", header = "Authorization"{canonical}}}').auth
    assert auth["header"] == "Authorization"


def test_own_key_in_the_header_of_the_gateways_key_wins(read):
    toml = 'auth = {type = "api_key", key = "own"}'
    assert read(toml, PARTICIPANTS_API_KEY="gateway").headers == {}


def test_key_of_the_gateway_is_sent_beside_another_credential(read):
    auth = 'auth = {type = "bearer", token = "t"}'
    assert read(auth, PARTICIPANTS_API_KEY="gateway").headers == {"X-API-Key": "gateway"}


def test_any_key_in_a_header_is_legal_without_the_key_of_the_gateway(read):
    assert read('headers = {"X-API-Key" = "1"}').headers == {"X-API-Key": "1"}
    elsewhere = 'url = "https://f.test"\nheaders = {"X-API-Key" = "1"}'
    assert read(elsewhere, PARTICIPANTS_API_KEY="gateway").headers == {"X-API-Key": "1"}


def test_user_agent_may_be_another_one(read):
    assert read('headers = {"user-agent" = "shop/1"}').headers == {"user-agent": "shop/1"}


def test_key_of_the_gateway_is_in_no_repr(read):
    assert "s3cret" not in repr(read("", PARTICIPANTS_API_KEY="s3cret"))
