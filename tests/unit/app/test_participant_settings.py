"""Settings of participants, from PARTICIPANTS_FILE and from variables."""

from types import SimpleNamespace

import pytest
import trustme

from app.config import check_participants, from_environment
from app.participant_settings.model import ParticipantSettings
from app.settings import ConfigError

NAMES = ("flight", "hotel", "pay-svc")


@pytest.fixture
def read(tmp_path):
    def read(toml: str = "", names=NAMES, steps=(), **variables: str) -> dict[str, ParticipantSettings]:
        if toml:
            (tmp_path / "participants.toml").write_text(toml)
            variables["PARTICIPANTS_FILE"] = str(tmp_path / "participants.toml")
        config = from_environment(variables)
        settings = check_participants(config, [SimpleNamespace(participants=names, steps=steps, at_end={})])
        assert all(config.participant_url(name) == found.url for name, found in settings.items())
        return settings

    return read


def test_every_setting_is_read_from_the_file(read, tmp_path):
    (tmp_path / "token").write_text("s3cret\n")
    flight = read(f"""
        [flight]
        url = "https://api.flight.test/v1/"
        auth = {{type = "bearer", token_file = "{tmp_path}/token"}}
        headers = {{"Api-Version" = "2026-01-01"}}
        idempotency_header = "X-Request-Id"
        timeout_s = 2.5
        concurrency = 20
        rate = "100/minute"
        proxy = "http://proxy.test:3128"
        health = "/health"
        title = "The airline's API"
    """)["flight"]
    assert (flight.url, flight.idempotency_header, flight.timeout_s) == (
        "https://api.flight.test/v1",
        "X-Request-Id",
        2.5,
    )
    assert (flight.concurrency, flight.rate, str(flight.proxy)) == (20, (100, 60.0), "proxy.test:3128")
    assert (flight.health, flight.headers) == ("/health", {"Api-Version": "2026-01-01"})
    assert (flight.title, flight.auth["token"]) == ("The airline's API", "s3cret")
    assert "s3cret" not in repr(flight)


def test_every_setting_is_read_from_variables(read, tmp_path):
    (tmp_path / "secret").write_text("s3cret")
    found = read(
        PARTICIPANT_PAY_SVC_URL="https://pay.test",
        PARTICIPANT_PAY_SVC_AUTH="oauth2",
        PARTICIPANT_PAY_SVC_AUTH_TOKEN_URL="https://login.test/token",
        PARTICIPANT_PAY_SVC_AUTH_CLIENT_ID="saga",
        PARTICIPANT_PAY_SVC_AUTH_CLIENT_SECRET_FILE=str(tmp_path / "secret"),
        PARTICIPANT_PAY_SVC_TIMEOUT_S="3",
        PARTICIPANT_PAY_SVC_RATE="5/second",
    )["pay-svc"]
    assert (found.auth["client_id"], found.auth["client_secret"]) == ("saga", "s3cret")
    assert (found.timeout_s, found.rate) == (3.0, (5, 1.0))


def test_error_names_the_variable_that_wins_over_the_file(read):
    with pytest.raises(ConfigError, match=r"^PARTICIPANT_FLIGHT_TIMEOUT_S must be a number of seconds"):
        read("[flight]\ntimeout_s = 1", PARTICIPANT_FLIGHT_TIMEOUT_S="soon")


def test_secret_without_its_kind_is_refused_in_variables_too(read):
    with pytest.raises(ConfigError, match=r"^PARTICIPANT_FLIGHT_AUTH is not set, but PARTICIPANT_FLIGHT_AUTH_TOKEN is"):
        read(PARTICIPANT_FLIGHT_AUTH_TOKEN="t")


def test_signed_text_may_have_several_lines(read):
    assert read(HMAC % 'canonical = "${method}\\n${body}"')["flight"].auth["canonical"] == "${method}\n${body}"


@pytest.mark.parametrize(("text", "number"), [("0.001", 0.001), ("86400", 86_400.0), (".5", 0.5)])
def test_bounds_of_a_timeout_are_legal(read, text, number):
    assert read(PARTICIPANT_FLIGHT_TIMEOUT_S=text)["flight"].timeout_s == number


def test_proxy_may_end_with_a_slash(read):
    assert str(read(PARTICIPANT_FLIGHT_PROXY="http://p:1/")["flight"].proxy) == "p:1"


def test_variable_in_lower_case_is_read(read):
    assert read(participant_flight_url="https://b.test")["flight"].url == "https://b.test"


@pytest.mark.parametrize(
    ("text", "rate"), [("1/second", (1, 1.0)), ("999999/minute", (999_999, 60.0)), ("5000/hour", (5000, 3600.0))]
)
def test_rate_has_three_periods(read, text, rate):
    found = read(PARTICIPANT_FLIGHT_RATE=text, PARTICIPANT_FLIGHT_CONCURRENCY="10000")["flight"]
    assert (found.rate, found.concurrency) == (rate, 10_000)


def test_variable_wins_over_the_file(read):
    toml = '[flight]\nurl = "https://a.test"\ntimeout_s = 1'
    flight = read(toml, PARTICIPANT_FLIGHT_URL="https://b.test")["flight"]
    assert (flight.url, flight.timeout_s) == ("https://b.test", 1.0)


def test_participant_without_settings_has_todays_defaults(read):
    assert read()["hotel"] == ParticipantSettings(url="http://127.0.0.1:8010/hotel")


def test_key_of_the_gateway_is_for_participants_below_its_url(read):
    found = read(
        PARTICIPANTS_URL="http://kong:8000/api",
        PARTICIPANTS_API_KEY="k-1",
        PARTICIPANT_FLIGHT_URL="https://api.flight.test",
        PARTICIPANT_HOTEL_URL="http://kong:8000/api/hotels",
    )
    keys = {name: settings.headers.get("X-API-Key") for name, settings in found.items()}
    assert keys == {"flight": None, "hotel": "k-1", "pay-svc": "k-1"}
    itself = read(PARTICIPANTS_URL="http://kong/", PARTICIPANTS_API_KEY="k", PARTICIPANT_FLIGHT_URL="http://kong")
    assert itself["flight"].headers == {"X-API-Key": "k"}
    elsewhere = read(
        PARTICIPANTS_URL="http://kong", PARTICIPANTS_API_KEY="k", PARTICIPANT_FLIGHT_URL="http://kong.evil"
    )
    assert "X-API-Key" not in elsewhere["flight"].headers


def test_proxy_of_the_environment_is_for_those_without_their_own(read):
    toml = '[flight]\nurl = "https://f.test"\n[hotel]\nurl = "https://h.test"\nproxy = "none"'
    found = read(toml, HTTPS_PROXY="http://me:s3cret@proxy.test:1")
    assert [str(found[name].proxy) for name in NAMES] == ["proxy.test:1", "None", "None"]
    assert "s3cret" not in repr(found)


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"])
def test_public_cas_of_the_environment_are_used(read, tmp_path, variable):
    trustme.CA().cert_pem.write_to_path(tmp_path / "ca.pem")
    assert read(**{variable: str(tmp_path / "ca.pem")})["hotel"].public_cas == str(tmp_path / "ca.pem")
    with pytest.raises(ConfigError, match=f"{variable}=/nowhere cannot be used: No such file"):
        read(**{variable: "/nowhere"})


@pytest.mark.parametrize(
    ("variable", "remedy"),
    [
        ("PARTICIPANT_FLIHGT_AUTH", r"fits no participant of the tables; did you mean PARTICIPANT_FLIGHT_AUTH\?"),
        ("PARTICIPANT_FLIGHT_TIMEOUTS", r"did you mean PARTICIPANT_FLIGHT_TIMEOUT_S\?"),
        ("PARTICIPANT_HOTEL_AUTH_TOKN", r"did you mean PARTICIPANT_HOTEL_AUTH_TOKEN\?"),
        ("PARTICIPANT_X", "they use PARTICIPANT_FLIGHT_URL, PARTICIPANT_HOTEL_URL, PARTICIPANT_PAY_SVC_URL$"),
    ],
)
def test_unknown_variable_is_refused_with_the_nearest(read, variable, remedy):
    with pytest.raises(ConfigError, match=f"^{variable} .*{remedy}"):
        read(**{variable: "1"})


def test_variable_of_two_participants_is_refused(read):
    with pytest.raises(ConfigError, match=r"PARTICIPANT_PAY_URL fits two participants .*; use PARTICIPANTS_FILE"):
        read(names=("pay", "PAY"), PARTICIPANT_PAY_URL="http://pay")


HMAC = '[flight]\nauth = {type = "hmac", key = "k", header = "X-S", %s}'
OAUTH = '[flight]\nauth = {type = "oauth2", client_id = "c", client_secret = "s", token_url = "http://t", %s}'


@pytest.mark.parametrize(
    ("toml", "problem"),
    [
        ("[flihgt]", r"PARTICIPANTS_FILE: \[flihgt\] is no participant of the tables; did you mean \[flight\]\?"),
        ("flight = 1", r"flight is no table; write \[flight\]"),
        ("[flight", "is no TOML"),
        ('[flight]\nurll = "http://f"', r"\[flight\] urll is no setting of a participant; did you mean url\?"),
        (
            '[flight]\nurl = "http://me:secret@f"',
            "must hold no user and no password; a credential is a setting of its own",
        ),
        ('[flight]\nurl = "ftp://f"', r"PARTICIPANTS_FILE: \[flight\] url must be a URL such as"),
        ('[flight]\nauth = "bearer"', r"\[flight\] auth must be a table|PARTICIPANT_FLIGHT_AUTH must be a table"),
        ('[flight]\nauth = {type = "barer"}', r"must be bearer, .* or hmac; did you mean bearer\?"),
        ('[flight]\nauth = {type = "bearer"}', "PARTICIPANT_FLIGHT_AUTH_TOKEN is not set, and bearer needs it"),
        ('[flight]\nauth = {token = "t"}', "PARTICIPANT_FLIGHT_AUTH is not set, but .*auth.token is; set it to"),
        (
            '[flight]\nauth = {type = "bearer", token = "t", user = "u"}',
            "auth.user is no setting of bearer, which has token",
        ),
        ('[flight]\nauth = {type = "bearer", token_file = "/no"}', "auth.token_file =/no cannot be read: No such file"),
        ('[flight]\nauth = {type = "bearer", token = "a\\nb"}', "must be one line"),
        (
            '[flight]\nauth = {type = "basic", password = "p"}',
            "PARTICIPANT_FLIGHT_AUTH_USER is not set, and basic needs it",
        ),
        ('[flight]\nauth = {type = "basic", user = "a:b", password = "p"}', "auth.user must have no colon"),
        ('[flight]\nauth = {type = "api_key", key = "k", header = "a b"}', "auth.header must be the name of a header"),
        ('[flight]\nauth = {type = "oauth2", client_id = "c", client_secret = "s"}', "AUTH_TOKEN_URL is not set"),
        (
            '[flight]\nauth = {type = "oauth2", client_id = "c", client_secret = "s", token_url = "x"}',
            "auth.token_url must be a URL",
        ),
        (
            '[flight]\nauth = {type = "hmac", key = "k", header = "X-S", canonical = "${methd}${body}"}',
            r"auth.canonical has \$\{methd\}; it may have \$\{method\}",
        ),
        ('[flight]\nauth = {type = "hmac", key = "k", header = "X-S", canonical = "${path}"}', "must contain .*body"),
        (
            '[flight]\nauth = {type = "hmac", key = "k", header = "X-S", canonical = "${body}", algorithm = "md5"}',
            "auth.algorithm must be one of sha256",
        ),
        (HMAC % 'canonical = "nobody"', "must contain .*body"),
        (HMAC % 'canonical = "${body}", value = "é${signature}"', "auth.value must be plain letters"),
        (HMAC % 'canonical = "${body}", value = "v1"', r"auth.value must contain \$\{signature\}"),
        (HMAC % 'canonical = "${body}", value = "${signature}$"', "auth.value has a \\$ without a name"),
        (HMAC % 'canonical = "${body}", encoding = "hax"', "auth.encoding must be hex or base64"),
        (HMAC % 'canonical = "${body}", timestamp = "minutes"', "auth.timestamp must be one of seconds, milliseconds"),
        (
            HMAC % 'canonical = "${body}${timestamp}"',
            r"auth.canonical has \$\{timestamp\}, which the participant does not learn; set timestamp_header",
        ),
        ('[flight]\nauth = {type = "bearer", token = "t", token_file = "/t"}', "auth.token_file is set, and .*is, too"),
        ('[flight]\nauth = {type = "bearer", token = "é"}', "auth.token must be one line of plain letters"),
        (OAUTH % 'client_auth = "post"', "auth.client_auth must be basic or body"),
        (OAUTH % 'scope = "é"', "auth.scope must be plain letters"),
        (OAUTH % 'audience = "é"', "auth.audience must be plain letters"),
        ((OAUTH % "").replace('"c"', '"é"').replace(", }", "}"), "auth.client_id must be plain letters"),
        ('[flight]\nauth = {type = "basic", user = "é", password = "p"}', "auth.user must be plain letters"),
        ('[flight]\nauth = {type = "api_key", key = "k", prefix = "é"}', "auth.prefix must be plain letters"),
        ('[flight]\nclient_key_file = "/k"', "CLIENT_CERT_FILE is not set, but .*client_key_file is; set both"),
        ('[flight]\nclient_cert_file = "/c"', "client_cert_file: /c cannot be read: No such file"),
        ('[flight]\nca_file = "/c"', r"PARTICIPANTS_FILE: \[flight\] ca_file=/c cannot be used: No such file"),
        ("[flight]\ntimeout_s = 0", "timeout_s must be a number of seconds from 0.001 to 86400, not '0'"),
        ("[flight]\ntimeout_s = true", "timeout_s must be a text or a number"),
        ("[flight]\nurl = []", r"\[flight\] url must be a text or a number"),
        ('[flight]\nhealth = "/a\\nb"', r"\[flight\] health must be one line of plain text"),
        ("[flight]\nconcurrency = 10001", "concurrency must be a number of calls from 1 to 10000, not '10001'"),
        ("[flight]\nconcurrency = 1.5", "concurrency must be a whole number"),
        ('[flight]\nrate = "often"', "rate must be a limit such as 100/second"),
        ('[flight]\nproxy = "socks5://p"', r"PARTICIPANTS_FILE: \[flight\] proxy must be the URL of an HTTP proxy"),
        *(
            (f'[flight]\nproxy = "{url}"', r"PARTICIPANTS_FILE: \[flight\] proxy must be the URL of an HTTP proxy")
            for url in ("http://p:99999", "http://:80", "https://p", "http://p/a", "http://p?a", "http://pé")
        ),
        (f'[flight]\ntitle = "{61 * "x"}"', r"\[flight\] title must have 60 characters at most"),
        ('[flight]\ntitle = "a\\nb"', r"\[flight\] title must be one line of plain text"),
        ('[flight]\nhealth = "health"', "health must be a path such as /health"),
        ('[flight]\nidempotency_header = "a b"', "idempotency_header must be the name of a header"),
        ('[flight]\nheaders = {"A" = "b\\nc"}', r"\[flight\] headers has 'A', which is no header"),
    ],
)
def test_half_configured_participant_is_refused_by_name(read, toml, problem):
    with pytest.raises(ConfigError, match=problem) as refused:
        read(toml)
    assert "\n" not in refused.value.message
    assert "secret" not in refused.value.message
    assert refused.value.exit_code == 2


@pytest.mark.parametrize(
    "setting",
    [
        *(f'algorithm = "{name}"' for name in ("sha256", "sha384", "sha512", "sha1")),
        *(f'encoding = "{name}"' for name in ("hex", "base64")),
        *(f'timestamp = "{name}"' for name in ("seconds", "milliseconds", "iso8601", "http_date")),
        'value = "t=${timestamp},v1=${signature}"',
    ],
)
def test_every_word_of_a_signature_is_legal(read, setting):
    canonical = "${method}${path}${query}${target}${host}${timestamp}${key}${body}${newline}"
    for body in ("${body}", "${body_sha256}"):
        toml = HMAC % f'canonical = "{canonical.replace("${body}", body)}", timestamp_header = "X-T", {setting}'
        name, _, word = setting.partition(" = ")
        assert read(toml)["flight"].auth[name] == word.strip('"')


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b" \n", "is empty"),
        (b"a\nb", "must be one line of plain letters, digits and signs"),
        ("é".encode(), "must be one line of plain letters, digits and signs"),
        (b"\xff", "cannot be read: it is no text"),
    ],
)
def test_file_without_a_secret_is_refused_by_name(read, tmp_path, content, problem):
    (tmp_path / "token").write_bytes(content)
    toml = f'[flight]\nauth = {{type = "bearer", token_file = "{tmp_path}/token"}}'
    with pytest.raises(ConfigError, match=rf"\[flight\] auth.token_file=? ?={tmp_path}/token {problem}$"):
        read(toml)


def test_secret_of_a_variable_wins_over_that_of_the_file(read, tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).write_text(name)
    in_file = f'[flight]\nauth = {{type = "bearer", token_file = "{tmp_path}/a"}}'
    as_text = '[flight]\nauth = {type = "bearer", token = "a"}'
    assert read(in_file, PARTICIPANT_FLIGHT_AUTH_TOKEN="b")["flight"].auth.files == {}
    found = read(as_text, PARTICIPANT_FLIGHT_AUTH_TOKEN_FILE=str(tmp_path / "b"))["flight"].auth
    assert (found["token"], found.files) == ("b", {"token": str(tmp_path / "b")})


def test_missing_file_is_refused_by_name(read):
    with pytest.raises(ConfigError, match="PARTICIPANTS_FILE=/nowhere cannot be read: No such file"):
        read(PARTICIPANTS_FILE="/nowhere")


def test_certificate_and_key_that_do_not_fit_are_refused(read, tmp_path):
    authority = trustme.CA()
    one, other = authority.issue_cert("one.test"), authority.issue_cert("other.test")
    one.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    one.private_key_pem.write_to_path(tmp_path / "key.pem")
    other.private_key_pem.write_to_path(tmp_path / "other.pem")
    toml = f'[flight]\nclient_cert_file = "{tmp_path}/cert.pem"\nclient_key_file = "{tmp_path}/%s.pem"'
    assert read(toml % "key")["flight"].client_cert_file == f"{tmp_path}/cert.pem"
    with pytest.raises(ConfigError, match="are no pair in PEM form"):
        read(toml % "other")


def test_no_secret_is_in_the_repr_of_the_configuration(tmp_path):
    (tmp_path / "p.toml").write_text('[flight]\nauth = {type = "bearer", token = "s3cret"}')
    file = {"PARTICIPANTS_FILE": str(tmp_path / "p.toml")}
    config = from_environment({**file, "PARTICIPANT_HOTEL_AUTH_TOKEN": "s3cret", "HTTPS_PROXY": "http://u:s3cret@p"})
    assert "s3cret" not in repr(config)
