from types import SimpleNamespace

import pytest
import trustme
from sqlalchemy import make_url
from sqlalchemy.dialects.postgresql.psycopg2 import PGDialect_psycopg2

from app import create_app
from app.config import SECRETS, Config, check_participants, check_serving, from_environment
from app.settings import ConfigError


def test_default_configuration_is_the_embedded_service():
    config = from_environment({})
    assert config == Config()
    assert config.embedded
    assert config.participant_url("stock") == "http://127.0.0.1:8010/stock"


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg2"])
def test_every_postgresql_url_uses_psycopg2(scheme):
    config = from_environment({"DATABASE_URL": f"{scheme}://u:p@h/d"})
    assert config.database_url == "postgresql+psycopg2://u:p@h/d"
    assert not config.embedded


def test_database_url_is_made_from_the_reference_variables():
    parts = {
        "DB_HOST": "db", "DB_PORT": "5433", "DB_USERNAME": "saga_user", "DB_PASSWORD": "p@ss/w:rd", "DB_DATABASE": "d",
    }  # fmt: skip
    assert from_environment(parts).database_url == "postgresql+psycopg2://saga_user:p%40ss%2Fw%3Ard@db:5433/d"


def test_a_url_overrides_the_parts():
    assert from_environment({"DATABASE_URL": "sqlite:///x.db", "DB_HOST": "db"}).database_url == "sqlite:///x.db"


def test_participant_may_have_its_own_url():
    config = from_environment({"PARTICIPANTS_URL": "http://kong:8000/api/", "PARTICIPANT_STOCK_URL": "https://s/"})
    assert config.participant_url("stock") == "https://s"
    assert config.participant_url("client") == "http://kong:8000/api/client"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "mysql://h/d"),
        ("DATABASE_URL", "sqlite://"),
        ("DATABASE_URL", "sqlite:///:memory:"),
        ("PARTICIPANTS_URL", "localhost:8010"),
        ("PARTICIPANTS_URL", "http://h/?a=b"),
        ("PARTICIPANT_STOCK_URL", "file:///etc/passwd"),
        ("BROKER_URL", "sqs://queue"),
        # A broker is only for several processes, but the default database, SQLite, allows only one process.
        ("BROKER_URL", "redis://localhost"),
        ("REDIS_URL", "localhost:6379"),
        ("RATE_LIMIT", "fast"),
        ("RATE_LIMIT", "0/second"),
        ("MAX_CLAIMS", "0"),
        ("BREAKER_FAILURES", "1.5"),
        ("BREAKER_OPEN_S", "-1"),
        ("GRACE_S", "0"),
        ("LEASE_S", "soon"),
        ("LEASE_S", "0"),
        ("WAIT_S", "nan"),
        ("THREADS", "inf"),
        ("TENANTS_AT_ONCE", "16"),
        ("TENANTS_AT_ONCE", "acme=0"),
        ("TENANTS_AT_ONCE", "acme=1.5"),
        ("TENANTS_AT_ONCE", "acme=16385"),
        ("TENANTS_AT_ONCE", "acme=2,acme=3"),
        ("TENANTS_AT_ONCE", "acme=2,"),
        ("TENANTS_AT_ONCE", "Acme=2"),
        ("LOG_LEVEL", "LOUD"),
        ("SECRET_KEY", "x" * 31),
        ("SECRET_KEY_FILE", "/nowhere"),
        ("API_AUTH", "false"),
        ("TRUSTED_PROXIES", "-1"),
        ("TRUSTED_PROXIES", "10.1.0.7"),
        ("TRUSTED_PROXIES", "10.1.0.1/16"),
        ("TRUSTED_PROXIES", "10.1.0.0/16,"),
        ("PARTICIPANTS_API_KEY", "a\nb"),
        ("DB_PASSWORD_FILE", "/nowhere"),
        ("DATABASE_URL", "postgresql://u:p@h:99999/d"),
        ("DATABASE_URL", "postgresql://u:p@h:abc/d"),
        ("DATABASE_URL", "postgresql://u:p@h1:5432,h2:x/d"),
        ("DATABASE_URL", "postgresql://u:p@ss@h/d"),
        ("REDIS_URL", "redis://h:99999"),
        ("REDIS_URL", "redis://[::1"),
        ("RATE_LIMIT", "9999999999/second"),
        ("PARTICIPANTS_CA_FILE", "/nowhere"),
        ("PARTICIPANTS_CA_FILE", "/"),
        ("PARTICIPANTS_CA_FILE", __file__),
    ],
)
def test_bad_setting_is_refused_by_name(name, value):
    with pytest.raises(ConfigError, match=name):
        from_environment({name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [("BROKER_URL", "amqp://h:abc//"), ("BROKER_URL", "redis://a:6379;redis://b:0"), ("WORKERS", "999")],
)
def test_bad_setting_for_many_machines_is_refused_by_name(name, value):
    with pytest.raises(ConfigError, match=name):
        from_environment({"DATABASE_URL": "postgresql://h/d", name: value})


@pytest.mark.parametrize("name", ["DB_PORT", "REDIS_PORT"])
@pytest.mark.parametrize("value", ["abc", "0", "65536", "-1"])
def test_bad_port_is_refused_by_name(name, value):
    with pytest.raises(ConfigError, match=name):
        from_environment({"DB_HOST": "db", "REDIS_HOST": "cache", name: value})


@pytest.mark.parametrize("name", ["LEASE_S", "WAIT_S", "RECOVERY_INTERVAL_S", "BREAKER_OPEN_S", "BREAKER_WINDOW_S"])
@pytest.mark.parametrize("value", ["inf", "-inf", "nan", "1e12", "1e400", "0", "1e-9", "-1", "", "soon"])
def test_time_too_long_for_the_clock_is_refused(name, value):
    with pytest.raises(ConfigError, match=f"{name} must be a number of seconds from 0.001 to 86400"):
        from_environment({name: value})


@pytest.mark.parametrize(
    "name", ["THREADS", "GRACE_S", "MAX_CLAIMS", "BREAKER_FAILURES", "TRUSTED_PROXIES", "WORKERS", "METRICS_PORT"]
)
@pytest.mark.parametrize("value", ["inf", "nan", "1e3", "1000000000000", "9" * 5000, "-1", "1.5"])
def test_too_large_count_is_refused(name, value):
    with pytest.raises(ConfigError, match=f"{name} must be a (whole )?number from"):
        from_environment({name: value})


#: Texts that Python parses as the number 5 or 10. An operator does not write them on purpose.
OTHER_NOTATIONS = ["1_0", "+5", " 5 ", "5\n", "1e1", "5.", "\u0665", "\uff15", "0x5"]


@pytest.mark.parametrize("name", ["LEASE_S", "DATABASE_STATEMENT_TIMEOUT_S", "THREADS", "METRICS_PORT", "DB_PORT"])
@pytest.mark.parametrize("value", OTHER_NOTATIONS)
def test_number_is_accepted_only_in_plain_notation(name, value):
    with pytest.raises(ConfigError, match=f"^{name} must be a (whole )?number "):
        from_environment({"DB_HOST": "db", name: value})


def test_a_number_is_read_in_plain_decimal_notation():
    config = from_environment({"LEASE_S": "007.50", "WAIT_S": ".5", "THREADS": "0064", "METRICS_PORT": "09100"})
    assert (config.lease_s, config.wait_s, config.threads, config.metrics_port) == (7.5, 0.5, 64, 9100)


def test_every_default_is_within_its_bounds():
    shown = {"DATABASE_URL": "postgresql://h/d"} | {
        name.upper(): f"{value:g}" for name, value in vars(Config()).items() if type(value) in (int, float)
    }
    assert from_environment(shown) == from_environment({"DATABASE_URL": "postgresql://h/d"})
    assert len(shown) > 10


URLS = ["PARTICIPANTS_URL", "PARTICIPANT_STOCK_URL"]


@pytest.mark.parametrize("name", URLS)
@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:99999", "http://127.0.0.1:abc", "http://127.0.0.1:0", "http://127.0.0.1:", "http://:8455",
        "http://[::1", "http://[::x]", "http://", "http:///stock", "http://a b", "http://a..b", "http://" + "a" * 64,
        "http://h#f", "http://h?", "ftp://h", "//h", "", "h:80", "http://a,b", "http://é",
    ],
)  # fmt: skip
def test_participant_url_that_cannot_be_called_is_refused(name, url):
    with pytest.raises(ConfigError, match=f"^{name} must be a URL such as"):
        from_environment({name: url})


@pytest.mark.parametrize(
    "url", ["http://h", "HTTPS://stock.internal:8443/api/v1", "http://[::1]:80", "http://a_b-c.d.", "http://h/@x"]
)
def test_participant_url_that_can_be_called_is_accepted(url):
    assert from_environment({"PARTICIPANT_STOCK_URL": url}).participant_url("stock") == url


@pytest.mark.parametrize("name", URLS)
@pytest.mark.parametrize(
    "url",
    ["http://bob:hunter2@stock", "http://hunter2@stock", "ftp://bob:hunter2@h", "http://h:x@hunter2", "bob:hunter2@h",
     "http://h/?token=hunter2", "http://[::1/bob:hunter2@h", "http://h?a=1&api_key=hunter2", "http://h#key=hunter2"],
)  # fmt: skip
def test_a_password_in_a_url_is_refused_and_not_shown(name, url):
    with pytest.raises(ConfigError, match=f"^{name} must") as refused:
        from_environment({name: url})
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("name", URLS)
@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://h?x=1", "'http://h?x=1'"), ("http://h/a/?x=1#f/", "'http://h/a/?x=1#f/'"), ("http:///", "'http:///'"),
        ("http://h?token=t&x=1", "'http://h?token=***&x=1'"), ("h" * 300, f"'{'h' * 199}…'"),
    ],
)  # fmt: skip
def test_bad_url_is_quoted_as_it_was_written(name, url, shown):
    with pytest.raises(ConfigError) as refused:
        from_environment({name: url})
    assert str(refused.value) == f"{name} must be a URL such as http://127.0.0.1:8010, not {shown}"


@pytest.mark.parametrize("name", ["DATABASE_URL", "BROKER_URL", "REDIS_URL"])
@pytest.mark.parametrize(
    "url", ["postgresql://u:hunter2@h:x/d", "redis://:hunter2@h:x", "amqp://u:hunter2@h:x", "x:hunter2"]
)
def test_a_password_of_a_server_is_not_shown(name, url):
    with pytest.raises(ConfigError) as refused:
        from_environment({name: url})
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    ("participant", "variable"),
    [
        ("stock", "PARTICIPANT_STOCK_URL"), ("Gamma", "PARTICIPANT_GAMMA_URL"),
        ("pay-svc", "PARTICIPANT_PAY_SVC_URL"), ("pay_svc2", "PARTICIPANT_PAY_SVC2_URL"),
    ],
)  # fmt: skip
def test_participant_has_its_own_variable(participant, variable):
    config = from_environment({variable: "http://own"})
    assert config.participant_url(participant) == "http://own"
    assert config.participant_url("other") == "http://127.0.0.1:8010/other"
    check_participants(config, [calling(participant)])


def calling(*participants):
    return SimpleNamespace(participants=participants, steps=(), at_end={})


def test_limits_of_tenants_are_read():
    assert from_environment({"TENANTS_AT_ONCE": "acme=48, *=16"}).tenants_at_once == {"acme": 48, "*": 16}
    assert from_environment({"TENANTS_AT_ONCE": ""}).tenants_at_once == {}


def test_misspelled_variable_is_refused_with_the_nearest_participant():
    config = from_environment({"PARTICIPANT_ALHPA_URL": "http://own"})
    with pytest.raises(ConfigError, match=r"PARTICIPANT_ALHPA_URL fits no .* did you mean PARTICIPANT_ALPHA_URL\?"):
        check_participants(config, [calling("beta", "alpha"), calling("gamma")])


def test_unknown_variable_is_refused_with_all_participants():
    config = from_environment({"PARTICIPANT_HOTEL_URL": "http://own"})
    with pytest.raises(ConfigError, match=r"they use PARTICIPANT_ALPHA_URL, PARTICIPANT_CLIENT_URL$"):
        check_participants(config, [calling("client", "alpha")])


def test_service_refuses_a_url_of_an_unknown_participant(sqlite_url):
    with pytest.raises(ConfigError, match="PARTICIPANT_STOKC_URL"):
        create_app(from_environment({"DATABASE_URL": sqlite_url, "PARTICIPANT_STOKC_URL": "http://h"}))


def test_a_private_authority_is_read_from_its_file(tmp_path):
    trustme.CA().cert_pem.write_to_path(tmp_path / "ca.pem")
    path = str(tmp_path / "ca.pem")
    assert from_environment({"PARTICIPANTS_CA_FILE": path}).participants_ca_file == path
    assert from_environment({"PARTICIPANTS_CA_FILE": ""}).participants_ca_file is None


@pytest.mark.parametrize(
    ("rest", "hosts", "ports"),
    [
        ("u@h1:5432,h2:5433/db?target_session_attrs=read-write", "h1,h2", "5432,5433"),
        ("u:p%40@h1,h2:5433/db", "h1,h2", ",5433"),
        ("u:p@[::1]:1,[fe80::2]:2/db", "::1,fe80::2", "1,2"),
        ("h1,h2,h3", "h1,h2,h3", None),
    ],
)
def test_several_hosts_in_libpq_s_form_reach_the_driver(rest, hosts, ports):
    url = make_url(from_environment({"DATABASE_URL": f"postgresql://{rest}"}).database_url)
    _, options = PGDialect_psycopg2().create_connect_args(url)
    assert options["host"] == hosts
    assert options.get("port", ",,").strip(",") == (ports or "").strip(",")
    assert options.get("password", "").startswith("p") is (":p" in rest)
    assert options.get("target_session_attrs") == ("read-write" if "read-write" in rest else None)
    assert options.get("dbname") == ("db" if "/db" in rest else None)


def test_one_host_and_a_socket_stay_unchanged_in_the_url():
    for rest in ["u:p@[::1]:5432/d?sslmode=require", "postgres@/d?host=/tmp/x", "/d", "u:p/?#w@h/d"]:
        assert (
            from_environment({"DATABASE_URL": f"postgresql://{rest}"}).database_url == f"postgresql+psycopg2://{rest}"
        )


def test_ipv6_hosts_of_the_reference_s_names_are_bracketed():
    config = from_environment({"DB_HOST": "::1", "REDIS_HOST": "fe80::1"})
    assert config.database_url == "postgresql+psycopg2://postgres:@[::1]:5432/saga_db"
    assert config.redis_url == "redis://[fe80::1]:6379"


def test_a_database_url_is_not_quoted_in_its_error():
    with pytest.raises(ConfigError) as refused:
        from_environment({"DATABASE_URL": "mysql://u:secret@h/d"})
    assert "secret" not in str(refused.value)


def test_redis_is_found_by_the_reference_s_names_too():
    assert from_environment({"REDIS_HOST": "cache", "REDIS_PORT": "6380"}).redis_url == "redis://cache:6380"
    assert from_environment({"REDIS_HOST": "cache"}).redis_url == "redis://cache:6379"
    assert from_environment({"REDIS_URL": "redis://a", "REDIS_HOST": "cache"}).redis_url == "redis://a"


def test_broker_requires_a_database_for_many_machines():
    settings = {"DATABASE_URL": "postgresql://h/d", "BROKER_URL": "amqp://user:pass@h//"}
    assert from_environment(settings).broker_url == "amqp://user:pass@h//"


def test_the_breaker_has_the_reference_s_defaults():
    config = from_environment({})
    assert (config.breaker_failures, config.breaker_open_s, config.breaker_window_s) == (5, 30.0, 60.0)


def test_api_requires_a_key_by_default():
    assert from_environment({}).api_auth
    assert from_environment({"API_AUTH": "", "HOST": "0.0.0.0"}).api_auth
    assert not from_environment({"API_AUTH": "off"}).api_auth


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost", ""])
def test_local_server_may_run_without_keys(host):
    assert not from_environment({"API_AUTH": "off", "HOST": host}).api_auth


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "example.org", "127.0.0.1.example.org", "localhost."])
def test_public_server_without_keys_needs_an_explicit_setting(host):
    with pytest.raises(ConfigError, match=r"API_AUTH=off would let everybody .* API_AUTH=off-for-everyone"):
        from_environment({"API_AUTH": "off", "HOST": host})
    assert not from_environment({"API_AUTH": "off-for-everyone", "HOST": host}).api_auth


def test_missing_secret_is_reported_with_the_command_to_make_one():
    with pytest.raises(ConfigError, match=r"SECRET_KEY is not set.*openssl rand -hex 32"):
        check_serving(from_environment({}))
    check_serving(from_environment({"SECRET_KEY": "x" * 32}))


def test_secret_from_a_file_is_shown_nowhere(tmp_path):
    (tmp_path / "secret").write_text(f"{'s' * 40}\n")
    config = from_environment({"SECRET_KEY_FILE": str(tmp_path / "secret")})
    assert config.secret_key == "s" * 40
    assert "sss" not in repr(config)


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_may_be_in_a_file(name, tmp_path):
    values = {
        "DATABASE_URL": "postgresql://u:p@h/d", "DB_PASSWORD": "p", "REDIS_URL": "redis://:p@h",
        "BROKER_URL": "redis://:p@h/1", "PARTICIPANTS_API_KEY": "k", "SECRET_KEY": "s" * 32, "AUDIT_KEY": "s" * 32,
        "OIDC_CLIENT_SECRET": "s", "DATABASE_SERVICE_PASSWORD": "s", "DATA_KEY": "A" * 43 + "=",
        "EVENTS_SECRETS": "acme:whsec_" + "A" * 43 + "=", "EVENTS_SIGNING_SECRETS": "whsec_" + "A" * 43 + "=",
    }  # fmt: skip
    others = {"DB_HOST": "db"}
    (tmp_path / "secret").write_text(values[name] + "\n")
    read = from_environment(others | {f"{name}_FILE": str(tmp_path / "secret")})
    assert read == from_environment(others | {name: values[name]}) != from_environment(others)


def test_a_secret_that_is_set_overrides_its_file(tmp_path):
    (tmp_path / "key").write_text("of the file")
    settings = {"PARTICIPANTS_API_KEY": "k", "PARTICIPANTS_API_KEY_FILE": str(tmp_path / "key")}
    assert from_environment(settings).participants_api_key == "k"


def test_key_is_hidden_where_the_settings_are_shown():
    assert "k-1" not in repr(from_environment({"PARTICIPANTS_API_KEY": "k-1"}))


@pytest.mark.parametrize(
    ("text", "origins"),
    [
        ("", ()),
        ("*", ("*",)),
        ("https://shop.example, http://localhost:3000", ("https://shop.example", "http://localhost:3000")),
    ],
)
def test_origins_of_pages_are_read(text, origins):
    assert from_environment({"CORS_ORIGINS": text}).cors_origins == origins


@pytest.mark.parametrize(
    "text", ["shop.example", "https://shop.example/", "https://*.example", "*, https://shop.example", "null", "ftp://x"]
)
def test_impossible_origin_is_refused(text):
    with pytest.raises(ConfigError, match="CORS_ORIGINS must be origins such as"):
        from_environment({"CORS_ORIGINS": text})
