import pytest

from app.config import check_webhooks, from_environment
from app.settings import ConfigError
from machines.discovery import discover
from tests.support.webhooks import NEW, OLD, webhooks_file

SHOP = """
[shop]
url = "https://shop.example/hooks/saga"
prefix = "https://shop.example/hooks"
secrets_file = SECRET
sagas = ["checkout"]
"""


@pytest.fixture
def read(tmp_path):
    """Return a function that reads the text of a WEBHOOKS_FILE."""

    def read_text(text, secret=OLD, **environ):
        file = str(webhooks_file(tmp_path, text, secret))
        return check_webhooks(from_environment({"WEBHOOKS_FILE": file, **environ}), discover())

    return read_text


def test_without_the_setting_there_are_no_webhooks():
    assert not check_webhooks(from_environment({}), discover())


def test_webhook_has_its_defaults(read):
    shop = read(SHOP).by_name["shop"]
    assert (shop.attempts, shop.timeout_s, shop.sagas) == (12, 10.0, {"checkout"})
    assert shop.events == {"completed", "compensated", "stuck"}


def test_no_repr_shows_a_secret(read):
    assert "shop.example" in repr(read(SHOP).by_name["shop"])
    assert OLD not in repr(read(SHOP).by_name["shop"])
    assert NEW not in repr(from_environment({"WEBHOOK_SHOP_SECRETS": NEW}))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[shop", "is no TOML"),
        ("shop = 1", r"shop is no table; write \[shop\]"),
        ("[Shop]\nurl = 'https://a.example'", "the name must be lower-case letters"),
        ("[shop]\nsecrets_file = SECRET", r"\[shop\] url is not set, and there is no prefix"),
        (
            "[shop]\nprefix = 'https://a.example'\nsecrets_file = SECRET\nsagas = ['checkout']",
            "url is not set, and sagas",
        ),
        ("[shop]\nurl = 'https://a.example'\nsaga = ['checkout']", "saga is no setting; did you mean sagas"),
        (
            "[shop]\nurl = 'https://a.example'\nsagas = ['chekout']\nsecrets_file = SECRET",
            "has 'chekout'; use checkout",
        ),
        ("[shop]\nurl = 'https://a.example'\nsagas = 'checkout'\nsecrets_file = SECRET", "must be a list of texts"),
        ("[shop]\nurl = 'https://a.example'\nevents = ['ended']\nsecrets_file = SECRET", "use compensated, completed"),
        ("[shop]\nurl = 'https://a.example'\nevents = []\nsecrets_file = SECRET", "events is empty"),
        ("[shop]\nurl = 'https://a.example'\nattempts = 0\nsecrets_file = SECRET", "whole number from 1 to 50"),
        ("[shop]\nurl = 'https://a.example'\nattempts = 1.5\nsecrets_file = SECRET", "whole number from 1 to 50"),
        ("[shop]\nurl = 'https://a.example'\ntimeout_s = 60\nsecrets_file = SECRET", "number from 0.1 to 20"),
        ("[shop]\nurl = 'https://a.example'\ntimeout_s = true\nsecrets_file = SECRET", "number from 0.1 to 20"),
        ("[shop]\nurl = 'ftp://a.example'\nsecrets_file = SECRET", "must be a URL"),
        ("[shop]\nurl = 'https://ada:pw@a.example'\nsecrets_file = SECRET", "no user and no password"),
        ("[shop]\nprefix = 'https://a.example/x/../y'\nsecrets_file = SECRET", "no . or .. in its path"),
        (
            "[shop]\nurl = 'https://a.example'",
            "secrets_file is not set; name a file with the secret, or set WEBHOOK_SHOP",
        ),
        ("[shop]\nurl = 'https://a.example'\nsecrets_file = '/none/such'", "/none/such cannot be read: No such file"),
        (
            "[shop]\nurl = 'http://10.1.2.3/x'\nsecrets_file = SECRET",
            "private address 10.1.2.3; add its network to WEBH",
        ),
        ("[shop]\nurl = 'http://[::1]/x'\nsecrets_file = SECRET", "private address ::1"),
        ("[shop]\nprefix = 'http://169.254.169.254'\nsecrets_file = SECRET", "private address 169.254.169.254"),
    ],
)
def test_wrong_setting_is_refused_with_its_name(read, text, says):
    with pytest.raises(ConfigError, match=says):
        read(text)


@pytest.mark.parametrize("secret", ["hello", "whsec_", "whsec_c2hvcnQ=", "whsec_%%%%", f"{OLD}  {NEW}", f"{OLD} x"])
def test_secret_of_another_form_is_refused_without_showing_it(read, secret):
    for environ in ({}, {"WEBHOOK_SHOP_SECRETS": secret}):
        with pytest.raises(ConfigError, match="must be whsec_ and 24 to 64 bytes in base64") as refused:
            read(SHOP, secret=secret, **environ)
        assert secret not in str(refused.value).replace("whsec_ and", "").replace("whsec_$", "")


def test_secrets_of_the_variable_win(read):
    both = read(SHOP, WEBHOOK_SHOP_SECRETS=f"{NEW} {OLD}").by_name["shop"].keys()
    assert both == [b"the new secret of the shop", b"the old secret of the shop"]


def test_variable_of_no_webhook_is_refused(read):
    with pytest.raises(
        ConfigError, match="WEBHOOK_SHOPP_SECRETS belongs to no webhook; there may be: WEBHOOK_SHOP_SEC"
    ):
        read(SHOP, WEBHOOK_SHOPP_SECRETS=OLD)


def test_secret_in_a_file_is_read_again(read, tmp_path, monkeypatch):
    shop = read(SHOP).by_name["shop"]
    (tmp_path / "secret").write_text(f"{NEW} {OLD}")
    assert len(shop.keys()) == 1
    shop.secrets._next_look = 0.0
    assert len(shop.keys()) == 2


@pytest.mark.parametrize(
    "named",
    [
        "shop",
        "https://shop.example/hooks/saga",
        "https://shop.example/hooks/orders/17",
        "https://shop.example/hooks/a/",
    ],
)
def test_start_may_name_a_webhook_or_an_address_below_its_prefix(read, named):
    assert read(SHOP).named(named).name == "shop"


@pytest.mark.parametrize(
    "named",
    [
        "", "other", "https://shop.example", "https://shop.example/hooksevil", "https://shop.example/",
        "https://shop.example/hooks/../admin", "https://shop.example/hooks/%2e%2e/admin",
        "https://shop.example/hooks/%2E%2E%2Fadmin", "https://shop.example/hooks/..", "https://shop.example/hooks/a\\b",
        "https://shop.example/hooks//x", "https://shop.example/hooks/x?to=y", "https://shop.example/hooks/x#y",
        "http://shop.example/hooks/x", "https://shop.example:8443/hooks/x", "https://shop.example.evil/hooks/x",
        "https://ada@shop.example/hooks/x", "https://shop.example@evil.example/hooks/x", "HTTPS://shop.example/hooks/x",
        "https://evil.example/https://shop.example/hooks/x", "https://shop.example/hooks/x y",
        "https://shop.example/hooks/\u00e9", "https://shop.example/hooks/x\n",
        "https://shop.example/hooks/" + "x" * 2000,
    ],
)  # fmt: skip
def test_start_may_not_name_any_other_address(read, named):
    assert read(SHOP).named(named) is None


def test_webhook_without_a_url_cannot_be_named(read):
    only = read("[shop]\nprefix = 'https://a.example/h'\nsecrets_file = SECRET")
    assert only.named("shop") is None
    assert only.named("https://a.example/h/1").name == "shop"


PRIVATE = [
    "10.0.0.1", "127.0.0.1", "169.254.169.254", "192.168.1.1", "172.16.0.1", "100.64.0.1", "0.0.0.0", "224.0.0.1",
    "255.255.255.255", "::1", "::", "fe80::1", "fe80::1%eth0", "fd00::1", "ff02::1", "::ffff:10.0.0.1",
    "::ffff:127.0.0.1", "64:ff9b::10.0.0.1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::a00:1", "2002:0a00:0001::1",
    "::10.0.0.1", "2001:db8::1",
]  # fmt: skip


@pytest.mark.parametrize("address", PRIVATE)
def test_private_address_is_refused(read, address):
    assert not read(SHOP).allows(address)


@pytest.mark.parametrize(
    "address", ["93.184.215.14", "2606:2800:220:1::1", "::ffff:93.184.215.14", "64:ff9b::5db8:d70e"]
)
def test_public_address_is_allowed(read, address):
    assert read(SHOP).allows(address)


def test_networks_of_the_setting_are_allowed_and_no_others(read):
    webhooks = read(SHOP, WEBHOOK_NETWORKS="10.1.0.0/16, ::1/128")
    assert [webhooks.allows(each) for each in ("10.1.2.3", "::ffff:10.1.2.3", "::1", "10.2.0.1", "127.0.0.1")] == [
        True, True, True, False, False,
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["10.0.0.1/8", "private", "10.0.0.0/33"])
def test_wrong_network_is_refused(text):
    with pytest.raises(ConfigError, match="WEBHOOK_NETWORKS must be networks such as"):
        from_environment({"WEBHOOK_NETWORKS": text})


def test_each_receiver_is_a_target_once(read):
    webhooks = read(SHOP + "[books]\nurl = 'https://b.example'\nsecrets_file = SECRET\nevents = ['stuck']")

    def targets(saga, named, event="completed"):
        return [(each["webhook"], each["url"]) for each in webhooks.targets(saga, named, event)]

    own = ("shop", "https://shop.example/hooks/saga")
    assert targets("checkout", None) == targets("checkout", "shop") == targets("checkout", own[1]) == [own]
    assert targets("checkout", "https://shop.example/hooks/7") == [own, ("shop", "https://shop.example/hooks/7")]
    assert targets("order_saga", None) == targets("order_saga", "books") == []
    assert targets("order_saga", "books", "stuck") == [("books", "https://b.example")]
    assert targets("order_saga", "gone") == [("gone", "")]
