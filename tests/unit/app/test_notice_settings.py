"""NOTIFY_FILE: each illegal setting is refused by its name, and no secret is in an error or a repr."""

from datetime import time

import pytest

from app.notice_settings import Channel, channels, notify_file
from app.settings import ConfigError
from tests.support.webhooks import OLD

MAIL = "kind = 'mail'\nhost = 'mail.test'\nsender = 'a@b.test'\nto = ['c@d.test']\n"


@pytest.fixture
def read(tmp_path):
    """Return a function that reads one table. In its text, OLD stands for a file with a secret."""
    (tmp_path / "secret").write_text(OLD)
    (tmp_path / "url").write_text("https://hooks.test/s3cret")

    def channel(settings, name="pager"):
        file = tmp_path / "notify.toml"
        text = settings.replace("OLD", f"'{tmp_path}/secret'").replace("URL", f"'{tmp_path}/url'")
        file.write_text(f"[{name}]\n{text}")
        (found,) = channels(notify_file({"NOTIFY_FILE": str(file)}, "NOTIFY_FILE", {}))
        return found

    return channel


def test_each_kind_of_channel_is_read(read):
    webhook = read("kind = 'webhook'\nurl = 'https://pager.test/x'\nsecret_file = OLD\nstuck_over = 5")
    assert (webhook.url, webhook.secret, webhook.stuck_over) == ("https://pager.test/x", OLD, 5)
    assert read("kind = 'slack'\nurl_file = URL").secret == "https://hooks.test/s3cret"
    mail = read(MAIL + "quiet = '22:00-06:30'")
    assert (mail.host, mail.port, mail.tls, mail.to) == ("mail.test", 587, "starttls", ("c@d.test",))
    assert mail.quiet == (time(22), time(6, 30))
    assert read(MAIL + "tls = 'tls'").port == 465


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ("url = 'https://x.test'", "kind must be webhook, slack or mail"),
        ("kind = 'webhook'\nurl = 'x'\nsecret_file = OLD", "url"),
        ("kind = 'webhook'\nurl = 'https://x.test'", "secret_file is not set"),
        ("kind = 'webhook'\nurl = 'https://x.test'\nsecret_file = URL", "secret_file must have whsec_ and 24 to 64"),
        ("kind = 'webhook'\nurl = 'https://x.test'\nsecret_file = '/nothing'", "/nothing cannot be read: No such file"),
        (
            "kind = 'slack'\nurl = 'https://x.test'",
            "url is no setting of slack; it has kind, stuck_over, quiet, url_file",
        ),
        ("kind = 'slack'\nurl_file = OLD", "url_file must contain an http:// or https:// URL"),
        (MAIL.replace("host = 'mail.test'\n", ""), "host is not set"),
        (MAIL + "user = 'ada'", "password_file is not set"),
        (MAIL + "password_file = OLD", "user is not set, and password_file is"),
        (MAIL.replace("['c@d.test']", "['c']"), "to must be a list of addresses"),
        (MAIL.replace("a@b.test", "a b@c.test"), "sender must be an address"),
        (MAIL + "port = 0", "port must be a whole number from 1 to 65535"),
        (MAIL + "stuck_over = true", "stuck_over must be a whole number"),
        (MAIL + "quiet = '25:00-06:00'", "quiet must be hours in UTC"),
        (MAIL + "quiet = '06:00-06:00'", "quiet must be hours in UTC"),
        (MAIL + "tls = 'ssl'", "tls must be starttls, tls or none"),
    ],
)
def test_illegal_setting_is_refused_by_its_name(read, settings, problem):
    with pytest.raises(ConfigError) as refused:
        read(settings)
    assert refused.value.message.startswith("NOTIFY_FILE: [pager]")
    assert problem in refused.value.message
    assert "\n" not in refused.value.message
    assert "s3cret" not in refused.value.message
    assert OLD not in refused.value.message


def test_repr_of_a_channel_has_no_secret(read):
    assert "s3cret" not in repr(read("kind = 'slack'\nurl_file = URL"))


@pytest.mark.parametrize(
    ("quiet", "hours"),
    [((time(22), time(7)), {22, 23, 0, 6}), ((time(9), time(17)), {9, 16}), (None, set())],
)
def test_quiet_hours_may_go_over_midnight(quiet, hours):
    channel = Channel(name="a", kind="slack", quiet=quiet)
    assert {hour for hour in (22, 23, 0, 6, 7, 9, 12, 16, 17, 21) if channel.is_quiet(time(hour))} >= hours
    assert not channel.is_quiet(time(7, 30))
    assert quiet is not None or not channel.is_quiet(time(3))
