"""The settings of who may sign in: what is refused at the start of the service."""

import pytest

from app.config import from_environment
from app.settings import ConfigError
from app.sign_in_settings import Grant

WHOLE = {
    "OIDC_ISSUER": "https://login.example/realms/shop/",
    "OIDC_CLIENT_ID": "sagas",
    "OIDC_CLIENT_SECRET": "s",
    "OIDC_REDIRECT_URL": "https://sagas.example/login/oidc/callback",
    "OIDC_ROLES": "CN=Sagas,OU=It = admin ; acme=operator@acme;",
}


def test_provider_is_read_with_its_groups():
    config = from_environment(WHOLE)
    assert config.oidc_issuer == WHOLE["OIDC_ISSUER"], "tokens name the issuer exactly so"
    assert config.oidc_roles == (
        Grant(group="CN=Sagas,OU=It", role="admin"), Grant(group="acme", role="operator", tenant="acme"),
    )  # fmt: skip
    assert WHOLE["OIDC_CLIENT_SECRET"] == config.oidc_client_secret
    assert "oidc_client_secret" not in repr(config)


def test_secret_of_the_client_can_be_in_a_file(tmp_path):
    file = tmp_path / "secret"
    file.write_text("from a file\n")
    config = from_environment(WHOLE | {"OIDC_CLIENT_SECRET": "", "OIDC_CLIENT_SECRET_FILE": str(file)})
    assert config.oidc_client_secret == "from a file"


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"LOCAL_ACCOUNTS": "false"}, "LOCAL_ACCOUNTS must be on or off"),
        ({"OIDC_ISSUER": "", "LOCAL_ACCOUNTS": "off"}, "nobody could sign in"),
        ({"OIDC_ISSUER": ""}, "OIDC_ISSUER is not"),
        ({"OIDC_ISSUER": "http://login.example"}, "OIDC_ISSUER must begin with https://"),
        ({"OIDC_ISSUER": "login.example"}, "OIDC_ISSUER must be a URL"),
        ({"OIDC_CLIENT_ID": ""}, "OIDC_CLIENT_ID is not set"),
        ({"OIDC_CLIENT_SECRET": ""}, "OIDC_CLIENT_SECRET or OIDC_CLIENT_SECRET_FILE is not set"),
        ({"OIDC_REDIRECT_URL": ""}, "OIDC_REDIRECT_URL is not set"),
        ({"OIDC_REDIRECT_URL": "https://sagas.example"}, "must end with /login/oidc/callback"),
        ({"OIDC_REDIRECT_URL": "http://sagas.example/login/oidc/callback"}, "must begin with https://"),
        ({"OIDC_SCOPES": "profile"}, "must contain openid"),
        ({"OIDC_ROLES": ""}, "OIDC_ROLES is not set"),
        ({"OIDC_ROLES": "sagas"}, "must be groups with their roles"),
        ({"OIDC_ROLES": "sagas=root"}, "must be groups with their roles"),
        ({"OIDC_ROLES": "=admin"}, "must be groups with their roles"),
        ({"OIDC_ROLES": "sagas=viewer@ACME"}, "must be groups with their roles"),
        ({"OIDC_ROLES": "sagas=admin@acme"}, "the role admin of one tenant"),
    ],
)
def test_settings_with_which_nobody_could_sign_in_are_refused(changed, words):
    with pytest.raises(ConfigError, match=words.replace("(", r"\(")):
        from_environment(WHOLE | changed)
