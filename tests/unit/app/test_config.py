import pytest

from app.config import Config, ConfigError, check_serving, from_environment


def test_nothing_set_is_the_embedded_service():
    config = from_environment({})
    assert config == Config()
    assert config.embedded
    assert config.participant_url("stock") == "http://127.0.0.1:8010/stock"


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg2"])
def test_every_postgresql_url_uses_psycopg2(scheme):
    config = from_environment({"DATABASE_URL": f"{scheme}://u:p@h/d"})
    assert config.database_url == "postgresql+psycopg2://u:p@h/d"
    assert not config.embedded


def test_the_parts_of_the_reference_make_a_url():
    parts = {
        "DB_HOST": "db", "DB_PORT": "5433", "DB_USERNAME": "saga_user", "DB_PASSWORD": "p@ss/w:rd", "DB_DATABASE": "d",
    }  # fmt: skip
    assert from_environment(parts).database_url == "postgresql+psycopg2://saga_user:p%40ss%2Fw%3Ard@db:5433/d"


def test_a_url_overrides_the_parts():
    assert from_environment({"DATABASE_URL": "sqlite:///x.db", "DB_HOST": "db"}).database_url == "sqlite:///x.db"


def test_a_participant_may_have_a_url_of_its_own():
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
        ("BROKER_URL", "redis://localhost"),  # beside SQLite, where one process is alone
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
        ("LOG_LEVEL", "LOUD"),
        ("SECRET_KEY", "x" * 31),
        ("SECRET_KEY_FILE", "/nowhere"),
        ("API_AUTH", "false"),
    ],
)
def test_a_setting_that_cannot_be_meant_is_refused_by_name(name, value):
    with pytest.raises(ConfigError, match=name):
        from_environment({name: value})


def test_a_database_url_is_not_quoted_in_its_error():
    with pytest.raises(ConfigError) as refused:
        from_environment({"DATABASE_URL": "mysql://u:secret@h/d"})
    assert "secret" not in str(refused.value)


def test_redis_is_found_by_the_reference_s_names_too():
    assert from_environment({"REDIS_HOST": "cache", "REDIS_PORT": "6380"}).redis_url == "redis://cache:6380"
    assert from_environment({"REDIS_HOST": "cache"}).redis_url == "redis://cache:6379"
    assert from_environment({"REDIS_URL": "redis://a", "REDIS_HOST": "cache"}).redis_url == "redis://a"


def test_a_broker_goes_with_a_database_for_many_machines():
    settings = {"DATABASE_URL": "postgresql://h/d", "BROKER_URL": "amqp://user:pass@h//"}
    assert from_environment(settings).broker_url == "amqp://user:pass@h//"


def test_the_breaker_has_the_reference_s_defaults():
    config = from_environment({})
    assert (config.breaker_failures, config.breaker_open_s, config.breaker_window_s) == (5, 30.0, 60.0)


def test_the_api_asks_for_a_key_unless_told_not_to():
    assert from_environment({}).api_auth
    assert from_environment({"API_AUTH": "", "HOST": "0.0.0.0"}).api_auth
    assert not from_environment({"API_AUTH": "off"}).api_auth


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost", ""])
def test_the_machine_itself_may_go_without_keys(host):
    assert not from_environment({"API_AUTH": "off", "HOST": host}).api_auth


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "example.org", "127.0.0.1.example.org", "localhost."])
def test_elsewhere_it_takes_as_many_words_to_go_without_keys(host):
    with pytest.raises(ConfigError, match=r"API_AUTH=off would let everybody .* API_AUTH=off-for-everyone"):
        from_environment({"API_AUTH": "off", "HOST": host})
    assert not from_environment({"API_AUTH": "off-for-everyone", "HOST": host}).api_auth


def test_who_serves_needs_a_secret_and_is_told_how_to_make_one():
    with pytest.raises(ConfigError, match=r"SECRET_KEY is not set.*openssl rand -hex 32"):
        check_serving(from_environment({}))
    check_serving(from_environment({"SECRET_KEY": "x" * 32}))


def test_a_secret_may_be_in_a_file_and_is_shown_nowhere(tmp_path):
    (tmp_path / "secret").write_text(f"{'s' * 40}\n")
    config = from_environment({"SECRET_KEY_FILE": str(tmp_path / "secret")})
    assert config.secret_key == "s" * 40
    assert "sss" not in repr(config)
