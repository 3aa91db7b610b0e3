"""Sign-in at an OpenID Connect provider: who gets in, with what rights, and which forged answers are refused."""

import base64
import hmac
import json
import re
import shutil
from urllib.parse import parse_qs, urlsplit

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey

from app import create_app
from app.access import user_accounts
from app.config import from_environment
from app.services import services
from app.store import audit
from app.store.database import db
from tests.integration.access.conftest import AT, PASSWORD, AdminService, Browser
from tests.support.oidc_provider import CLIENT_ID, CLIENT_SECRET, oidc_provider

CALLBACK = f"{AT}/login/oidc/callback"
ROLES = "sagas-admins=admin; sagas-operators=operator; sagas=viewer; acme=operator@acme; globex=viewer@globex"


@pytest.fixture
def provider():
    with oidc_provider(CALLBACK) as provider:
        yield provider


@pytest.fixture
def store_url(sqlite_url, sqlite_template, tmp_path):
    """Use SQLite only; a sign-in at a provider does not depend on the database."""
    shutil.copy(sqlite_template, tmp_path / "saga.db")
    return sqlite_url


@pytest.fixture
def make(store_url, provider):
    made = []

    def service(**settings):
        settings = {
            "DATABASE_URL": store_url, "SECRET_KEY": "0" * 32, "OIDC_ISSUER": provider.issuer,
            "OIDC_CLIENT_ID": CLIENT_ID, "OIDC_CLIENT_SECRET": CLIENT_SECRET, "OIDC_REDIRECT_URL": CALLBACK,
            "OIDC_ROLES": ROLES,
        } | settings  # fmt: skip
        app = create_app(from_environment(settings))
        with app.app_context():
            made.append(AdminService(app, db.engine))
        return made[-1]

    yield service
    for each in made:
        services(each.app).runner.stop()
        each.engine.dispose()


@pytest.fixture
def service(make):
    return make()


class Visitor(Browser):
    """A browser that goes to the provider and comes back."""

    def go(self, path="/login/oidc"):
        """Start to sign in, and return the path with which the provider sends the browser back."""
        return self.at_provider(self.get(path).headers["Location"])

    @staticmethod
    def at_provider(url):
        import requests  # noqa: PLC0415  the only use

        parts = urlsplit(requests.get(url, allow_redirects=False, timeout=5).headers["Location"])
        assert f"{parts.scheme}://{parts.netloc}{parts.path}" == CALLBACK
        return f"{parts.path}?{parts.query}"

    def enter(self, path="/login/oidc"):
        return self.get(self.go(path))

    @property
    def flow(self):
        return self.client.get_cookie("__Host-saga-sign-in", domain="saga.example")


def visitor(service):
    return Visitor(service.app.test_client())


def claims_of(provider, **changed):
    def tamper(_header, claims, _key):
        claims |= changed
        for name in [name for name, value in claims.items() if value is None]:
            del claims[name]

    provider.tamper = tamper


def refused(service, browser, answer, words, status=401):
    assert answer.status_code == status, answer.text
    assert words in answer.text
    assert browser.flow is None, "the next attempt begins anew"
    assert browser.get("/admin/audit").status_code == 303, "nobody is signed in"
    assert services(service.app).users.find("ada") is None
    return True


def test_person_signs_in_at_the_provider_and_the_trail_names_the_person(service, provider):
    browser = visitor(service)
    assert "/login/oidc?next=" in browser.get("/login?next=/admin/audit").text
    answer = browser.enter("/login/oidc?next=/admin/audit")
    assert answer.status_code == 200
    assert 'content="0;url=/admin/audit"' in answer.text, "the page itself leads on, so the strict cookie is sent"
    assert "SameSite=Strict" in next(each for each in answer.headers.getlist("Set-Cookie") if "__Host-saga=" in each)
    page = browser.get("/admin/audit")
    assert page.status_code == 200
    assert re.search(r"ada</a> <span[^>]*>\(operator\)", page.text)
    assert service.trail() == [("oidc", "user.add", "ada"), ("user:ada", "sign_in", "ada")]
    (last, first) = audit.page(service.engine, limit=2)
    assert last.after == {"address": "127.0.0.1", "issuer": provider.issuer, "subject": "4711"}
    assert first.after == {"role": "operator", "issuer": provider.issuer, "subject": "4711"}


def test_request_to_the_provider_has_pkce_a_state_and_a_nonce_that_differ_each_time(service):
    asked = [
        parse_qs(urlsplit(visitor(service).get("/login/oidc").headers["Location"]).query, strict_parsing=True)
        for _ in range(2)
    ]
    for each in asked:
        assert each["code_challenge_method"] == ["S256"]
        assert (each["client_id"], each["redirect_uri"], each["scope"]) == ([CLIENT_ID], [CALLBACK], ["openid profile"])
        assert CLIENT_SECRET not in str(each)
    for name in ("state", "nonce", "code_challenge"):
        assert len(asked[0][name][0]) >= 32
        assert asked[0][name] != asked[1][name]


@pytest.mark.parametrize(
    "changed",
    [
        {"nonce": "of another sign-in"}, {"nonce": None}, {"aud": ["another-service"]}, {"aud": None},
        {"aud": ["another-service"], "azp": CLIENT_ID},
        {"aud": [CLIENT_ID, "other"]}, {"aud": [CLIENT_ID, "other"], "azp": "other"},
        {"iss": "https://evil.example"}, {"iss": None}, {"exp": 1_700_000_000}, {"exp": None}, {"sub": None},
        {"at_hash": "wrong"}, {"nbf": 1 << 33},
    ],
    ids=str,
)  # fmt: skip
def test_token_that_is_not_for_this_sign_in_is_refused(service, provider, changed):
    claims_of(provider, **changed)
    browser = visitor(service)
    answer = browser.enter()
    assert refused(service, browser, answer, "token is not valid")


def unsigned(header, claims, sign=lambda _text: b""):
    def encoded(part):
        return base64.urlsafe_b64encode(part).decode().rstrip("=")

    text = ".".join(encoded(json.dumps(part).encode()) for part in (header, claims))
    return f"{text}.{encoded(sign(text.encode()))}"


@pytest.mark.parametrize(
    "tamper",
    [
        lambda _, claims, _key: unsigned({"alg": "none"}, claims),
        lambda _, claims, key: unsigned({"alg": "none", "kid": key.kid}, claims),
        lambda header, claims, _key: unsigned(header, claims),
        lambda _, claims, _key: jwt.encode({"alg": "HS256"}, claims, OctKey.import_key(CLIENT_SECRET), ["HS256"]),
        lambda _, claims, key: unsigned(
            {"alg": "HS256", "kid": key.kid},
            claims,
            lambda text: hmac.digest(key.as_pem(private=False), text, "sha256"),
        ),
        lambda header, claims, _key: jwt.encode(header, claims, RSAKey.generate_key(2048), ["RS256"]),
        lambda *_: "no.token.at-all",
    ],
    ids=["none", "none-with-kid", "no-signature", "client-secret", "public-key-as-secret", "other-key", "rubbish"],
)
@pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")
def test_token_that_the_provider_has_not_signed_is_refused(service, provider, tamper):
    provider.tamper = tamper
    browser = visitor(service)
    answer = browser.enter()
    assert refused(service, browser, answer, "token is not valid")


def test_provider_may_change_its_keys(service, provider):
    assert visitor(service).enter().status_code == 200
    provider.rotate()
    assert visitor(service).enter().status_code == 200
    asked = len(provider.asked)
    assert visitor(service).enter().status_code == 200
    assert "/realm/keys" not in provider.asked[asked:], "the keys are cached"


def test_code_works_once(service, provider):
    browser = visitor(service)
    browser.get("/login/oidc")
    kept = browser.flow.value
    back = browser.at_provider(browser.get("/login/oidc").headers["Location"])
    kept = browser.flow.value
    assert browser.get(back).status_code == 200
    browser.look()
    assert "this browser has not begun" in browser.get(back).text.lower()
    thief = visitor(service)
    thief.client.set_cookie("__Host-saga-sign-in", kept, domain="saga.example", secure=True)
    answer = thief.get(back)
    assert (answer.status_code, "has not accepted its own code" in answer.text) == (401, True)
    assert thief.get("/admin/audit").status_code == 303


def test_answer_without_the_state_of_this_browser_is_refused(service):
    browser, neighbour = visitor(service), visitor(service)
    back = browser.go()
    state = parse_qs(urlsplit(back).query)["state"][0]
    for path in (back.replace(state, "x" * len(state)), back.replace("state=", "stat="), back.replace(state, "é")):
        browser.go()
        assert refused(service, browser, browser.get(path), "another attempt")
    foreign = neighbour.go()
    assert refused(service, visitor(service), visitor(service).get(foreign), "This browser has not begun")
    browser.go()
    assert refused(service, browser, browser.get(foreign), "another attempt"), "nobody is signed in as somebody else"


def test_code_of_another_flow_is_refused_by_its_challenge(service):
    browser, neighbour = visitor(service), visitor(service)
    stolen = parse_qs(urlsplit(neighbour.go()).query)["code"][0]
    back = browser.go()
    own = parse_qs(urlsplit(back).query)["code"][0]
    assert refused(service, browser, browser.get(back.replace(own, stolen)), "has not accepted its own code")


def test_flow_ends_after_ten_minutes(service, monkeypatch):
    browser = visitor(service)
    back = browser.go()
    monkeypatch.setattr("app.admin.provider._LASTS_S", -1)
    assert refused(service, browser, browser.get(back), "ten minutes")


@pytest.mark.parametrize("elsewhere", ["//evil.example", "https://evil.example", "/\\evil.example", "evil"])
def test_sign_in_at_the_provider_never_leads_to_another_site(service, elsewhere):
    answer = visitor(service).enter(f"/login/oidc?next={elsewhere}")
    assert 'content="0;url=/admin"' in answer.text
    assert "evil" not in answer.text


def test_answer_of_another_provider_is_refused(service):
    browser = visitor(service)
    assert refused(service, browser, browser.get(f"{browser.go()}&iss=https://evil.example"), "another provider")


def test_refusal_of_the_provider_is_a_page_without_its_words(service):
    browser = visitor(service)
    state = parse_qs(urlsplit(browser.go()).query)["state"][0]
    path = f"/login/oidc/callback?error=access_denied&error_description=<b>call 555</b>&state={state}"
    answer = browser.get(path)
    assert refused(service, browser, answer, "The provider has not let you in")
    assert "555" not in answer.text


@pytest.mark.parametrize(
    ("groups", "rights"),
    [
        (["sagas"], ("viewer", None)),
        (["sagas", "sagas-admins", "other"], ("admin", None)),
        (["acme"], ("operator", "acme")),
        (["acme", "sagas"], ("viewer", None)),
        ("globex", ("viewer", "globex")),
    ],
)
def test_groups_decide_the_role_and_the_tenant(service, provider, groups, rights):
    provider.person["groups"] = groups
    assert visitor(service).enter().status_code == 200
    user = services(service.app).users.find("ada")
    assert (user.role, user.tenant) == rights


@pytest.mark.parametrize(
    ("groups", "words"),
    [([], "none of your groups"), (None, "none of your groups"), ([["sagas"]], "none of your groups"),
     (["Sagas"], "none of your groups"), (["acme", "globex"], "tenants acme and globex")],
)  # fmt: skip
def test_person_without_a_right_group_is_refused(service, provider, groups, words):
    provider.person["groups"] = groups
    browser = visitor(service)
    assert refused(service, browser, browser.enter(), words)


def test_other_groups_change_the_role_at_the_next_sign_in(service, provider):
    visitor(service).enter()
    provider.person["groups"] = ["acme"]
    visitor(service).enter()
    user = services(service.app).users.find("ada")
    assert (user.role, user.tenant) == ("operator", "acme")
    (row,) = [row for row in audit.page(service.engine, limit=9) if row.action == "user.role"]
    assert (row.actor, row.before, row.after) == (
        "oidc", {"role": "operator"}, {"role": "operator", "tenant": "acme"},
    )  # fmt: skip


def test_groups_and_the_name_may_be_in_the_user_info_alone(service, provider):
    provider.only_info = ("groups", "preferred_username")
    browser = visitor(service)
    assert browser.enter().status_code == 200
    assert "ada" in browser.get("/admin/audit").text


def test_user_info_of_another_person_is_refused(service, provider):
    provider.only_info = ("groups",)
    browser = visitor(service)
    back = browser.go()
    provider.person = provider.person | {"sub": "666", "groups": ["sagas-admins"]}
    assert refused(service, browser, browser.get(back), "user info is that of another person")


def test_name_of_a_local_account_gives_nobody_this_account(service, provider):
    services(service.app).users.add("root", "admin", user_accounts.hashed(PASSWORD), "cli:test")
    provider.person |= {"preferred_username": "Root", "groups": ["sagas-admins"]}
    browser = visitor(service)
    assert refused(service, browser, browser.enter(), "the name root is that of another account".capitalize(), 409)
    assert service.browser().sign_in("root").status_code == 303


def test_same_name_of_another_person_gives_nobody_the_account(service, provider):
    visitor(service).enter()
    provider.person |= {"sub": "4712"}
    browser = visitor(service)
    assert browser.enter().status_code == 409
    assert browser.get("/admin/audit").status_code == 303


def test_person_with_another_name_at_the_provider_keeps_the_account(service, provider):
    visitor(service).enter()
    provider.person |= {"preferred_username": "ada.lovelace"}
    browser = visitor(service)
    browser.enter()
    assert service.trail()[-1] == ("user:ada", "sign_in", "ada")


@pytest.mark.parametrize("name", ["", "a b", "<b>", 7, None, "x" * 65])
def test_name_that_can_be_no_account_is_refused(service, provider, name):
    provider.person["preferred_username"] = name
    browser = visitor(service)
    assert refused(service, browser, browser.enter(), "OIDC_NAME_CLAIM")


def test_account_without_a_password_cannot_sign_in_with_one(service):
    visitor(service).enter()
    for password in ("", "\x00", "x" * 20):
        assert service.browser().sign_in("ada", password).status_code == 401


def test_admin_cannot_give_a_person_of_the_provider_a_role_or_a_password(service, provider):
    provider.person["groups"] = ["sagas-admins"]
    browser = visitor(service)
    browser.enter()
    page = browser.get("/admin/users").text
    assert provider.issuer in page
    assert "/admin/users/ada/role" not in page
    browser.token = re.search('name="csrf_token" value="([^"]+)"', page)[1]
    assert browser.post("/admin/users/ada/role", role="viewer").status_code == 409
    assert browser.post("/admin/users/ada/password", password="a new passphrase").status_code == 409
    assert "your organisation" in browser.get("/admin/account").text
    assert browser.post("/admin/account/second-factor/new", present="").status_code == 409


def test_command_moves_a_local_account_to_the_provider(service, provider):
    services(service.app).users.add("ada", "viewer", user_accounts.hashed(PASSWORD), "cli:test")
    local = service.browser()
    local.sign_in("ada")
    result = service.app.test_cli_runner().invoke(args=["saga", "user", "single-sign-on", "ada"])
    assert (result.exit_code, result.output) == (0, f"ada signs in at {provider.issuer} now.\n")
    assert local.get("/admin/audit").status_code == 303, "the session has ended"
    assert service.browser().sign_in("ada").status_code == 401
    browser = visitor(service)
    assert browser.enter().status_code == 200
    assert services(service.app).users.find("ada").subject == "4711"


def test_removed_person_returns_only_when_an_admin_says_so(service):
    visitor(service).enter()
    services(service.app).users.remove("ada", "cli:test")
    assert visitor(service).enter().status_code == 409
    service.app.test_cli_runner().invoke(args=["saga", "user", "single-sign-on", "ada"])
    assert visitor(service).enter().status_code == 200


def test_sign_out_ends_the_session_and_offers_the_sign_out_of_the_provider(service, provider):
    browser = visitor(service)
    browser.enter()
    browser.token = re.search('name="csrf_token" value="([^"]+)"', browser.get("/admin/audit").text)[1]
    answer = browser.post("/logout")
    assert f'href="{provider.issuer}/sign-out?client_id={CLIENT_ID}"' in answer.text
    assert browser.get("/admin/audit").status_code == 303


def test_local_accounts_can_be_switched_off(make):
    before = make()
    services(before.app).users.add("root", "admin", user_accounts.hashed(PASSWORD), "cli:test")
    local = before.browser()
    local.sign_in("root")
    after = make(LOCAL_ACCOUNTS="off")
    page = visitor(after).get("/login").text
    assert "Password" not in page
    assert "/login/oidc" in page
    kept = Browser(after.app.test_client())
    kept.client.set_cookie("__Host-saga", local.cookie.value, domain="saga.example", secure=True)
    assert kept.get("/admin/audit").status_code == 303, "the session of a local account has ended"
    kept.token = local.token
    assert kept.post("/login", name="root", password=PASSWORD).status_code == 403
    assert visitor(after).enter().status_code == 200


def test_session_ends_when_the_provider_is_another_one(make, store_url):
    before = make()
    browser = visitor(before)
    browser.enter()
    after = create_app(from_environment({"DATABASE_URL": store_url, "SECRET_KEY": "0" * 32}))
    kept = Browser(after.test_client())
    kept.client.set_cookie("__Host-saga", browser.cookie.value, domain="saga.example", secure=True)
    assert kept.get("/admin/audit").status_code == 303
    assert kept.get("/login/oidc").status_code == 404
    with after.app_context():
        db.engine.dispose()


@pytest.mark.parametrize("status", [500, 302, 404])
def test_provider_that_does_not_answer_is_a_page(service, provider, status):
    provider.broken = status
    browser = visitor(service)
    answer = browser.get("/login/oidc")
    assert (answer.status_code, "does not answer as it should" in answer.text) == (503, True)
    provider.broken = None
    back = browser.go()
    provider.broken = status
    assert browser.get(back).status_code in (401, 503)
    provider.broken = None
    assert browser.enter().status_code == 200


def test_few_sign_ins_ask_the_provider_at_once(service, monkeypatch):
    monkeypatch.setattr("app.access.oidc._LONGEST_WAIT_S", 0)
    provider = services(service.app).provider
    with provider._asking(), provider._asking(), provider._asking(), provider._asking():
        answer = visitor(service).get("/login/oidc")
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "2")
