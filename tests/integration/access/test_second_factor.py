"""The second factor: set up with a code, asked for at each sign-in, and removed by its owner or an admin."""

import base64
import html
import re
import time

import pytest
from sqlalchemy import select, update

from app.access import second_factor
from app.access.permissions import Role
from app.access.second_factor import code_of, matching_step, secret_of
from app.services import services
from app.store.access_models import UserRow
from tests.integration.access.conftest import PASSWORD

#: Secret and codes of RFC 6238, appendix B (SHA-1, the last six digits).
RFC_SECRET = b"12345678901234567890"
RFC_CODES = {59: "287082", 1111111109: "081804", 1234567890: "005924", 2000000000: "279037"}


@pytest.mark.parametrize(("moment", "code"), RFC_CODES.items())
def test_code_is_that_of_the_standard(moment, code):
    assert code_of(RFC_SECRET, moment // 30) == code


@pytest.mark.parametrize(("late_s", "accepted"), [(-61, False), (-30, True), (0, True), (30, True), (61, False)])
def test_code_of_the_neighbouring_period_is_accepted(late_s, accepted):
    step = matching_step(RFC_SECRET, RFC_CODES[1234567890], lambda: 1234567890.0 + late_s)
    assert (step == 1234567890 // 30) is accepted


@pytest.mark.parametrize("code", ["", "28708", "2870822", "28708x", "\u0662\u0668\u0667\u0660\u0668\u0662"])
def test_text_that_is_no_code_is_refused(code):
    assert matching_step(RFC_SECRET, code, lambda: 59.0) is None


def test_secret_depends_on_the_key_the_name_and_the_seed():
    secrets = {secret_of(key * 32, name, seed) for key in "ab" for name in ("ada", "eve") for seed in ("x", "y")}
    assert len(secrets) == 8
    assert {len(secret) for secret in secrets} == {20}


@pytest.fixture
def clock(monkeypatch):
    """The time of the codes, in seconds."""
    now = [time.time()]
    monkeypatch.setattr(second_factor.matching_step, "__defaults__", (lambda: now[0],))
    return now


@pytest.fixture
def viewer(admin_service, clock):
    """A viewer who has set up a second factor. The secret of the app is in `viewer.secret`."""
    browser = admin_service.browser(Role.VIEWER)
    shown = html.unescape(browser.post("/admin/account/second-factor/new", present=PASSWORD).text)
    key = re.search("<code>([A-Z2-7]{32})</code>", shown)[1]
    assert f"otpauth://totp/Sagas%3Aviewer?secret={key}&issuer=Sagas" in shown
    browser.secret = base64.b32decode(key)
    assert browser.post("/admin/account/second-factor", code=code(browser, clock)).status_code == 303
    return browser


def code(browser, clock):
    return code_of(browser.secret, int(clock[0] // 30))


def sign_in(admin_service, password=PASSWORD, code=""):
    return admin_service.browser().post("/login", name="viewer", password=password, code=code).status_code


def test_sign_in_needs_password_and_code(admin_service, viewer, clock):
    assert sign_in(admin_service) == 401
    assert sign_in(admin_service, code="000000") == 401
    assert sign_in(admin_service, "wrong", code(viewer, clock)) == 401
    spaced = f"{code(viewer, clock)[:3]} {code(viewer, clock)[3:]}"
    assert sign_in(admin_service, code=spaced) == 303


def test_code_is_accepted_once(admin_service, viewer, clock):
    used = code(viewer, clock)
    assert sign_in(admin_service, code=used) == 303
    assert sign_in(admin_service, code=used) == 401
    clock[0] += 30
    assert sign_in(admin_service, code=code(viewer, clock)) == 303
    assert sign_in(admin_service, code=used) == 401, "an earlier code that was not used is of no use either"


def test_answer_to_a_wrong_code_is_that_to_a_wrong_password(admin_service, viewer):
    answers = [
        admin_service.browser().post("/login", name="viewer", password=password, code="000000")
        for password in (PASSWORD, "wrong")
    ]
    shown = {re.sub('"[^"]{30,}"|nonce="[^"]*"', "", answer.text) for answer in answers}
    assert len(shown) == 1


def test_factor_counts_only_after_a_code_of_it(admin_service, clock):
    browser = admin_service.browser(Role.VIEWER)
    assert browser.post("/admin/account/second-factor", code="000000").status_code == 400
    browser.post("/admin/account/second-factor/new", present=PASSWORD)
    wrong = browser.post("/admin/account/second-factor", code="000000")
    assert wrong.status_code == 400
    assert "code: This is not the present code" in wrong.text
    assert "otpauth:" in wrong.text, "the key is shown again"
    assert sign_in(admin_service) == 303


def test_stolen_session_sets_up_no_factor(admin_service, clock):
    browser = admin_service.browser(Role.VIEWER)
    refused = browser.post("/admin/account/second-factor/new", present="wrong")
    assert refused.status_code == 400
    assert "otpauth:" not in refused.text


def test_owner_removes_the_factor_with_the_password_only(admin_service, viewer):
    assert viewer.post("/admin/account/second-factor/remove", present="wrong").status_code == 400
    assert sign_in(admin_service) == 401
    assert viewer.post("/admin/account/second-factor/remove", present=PASSWORD).status_code == 303
    assert sign_in(admin_service) == 303
    assert [row[1] for row in admin_service.trail()].count("user.second_factor") == 2


def test_admin_removes_the_factor_of_a_person_who_has_lost_it(admin_service, viewer):
    admin = admin_service.browser(Role.ADMIN)
    assert "Remove only the second factor" in admin.get("/admin/users").text
    assert admin.post("/admin/users/viewer/second-factor/remove").status_code == 303
    assert sign_in(admin_service) == 303


def test_command_removes_a_factor(admin_service, viewer):
    done = admin_service.app.test_cli_runner().invoke(args=["saga", "user", "remove-factor", "viewer"])
    assert (done.exit_code, done.output) == (0, "viewer signs in with the password alone now.\n")
    assert sign_in(admin_service) == 303
    assert admin_service.app.test_cli_runner().invoke(args=["saga", "user", "remove-factor", "x"]).exit_code == 6


def test_database_alone_does_not_make_codes(admin_service, viewer):
    with admin_service.engine.connect() as connection:
        seed = connection.scalar(select(UserRow.factor_seed).where(UserRow.name == "viewer"))
    assert secret_of("0" * 32, "viewer", seed) == viewer.secret
    assert secret_of("1" * 32, "viewer", seed) != viewer.secret


def test_factor_of_another_user_is_of_no_use(admin_service, viewer, clock):
    """Who can write to the database cannot give a user the factor of another one."""
    with admin_service.engine.connect() as connection:
        seed = connection.scalar(select(UserRow.factor_seed).where(UserRow.name == "viewer"))
    admin_service.run(update(UserRow).where(UserRow.name == "admin").values(factor_seed=seed))
    answer = admin_service.browser().post("/login", name="admin", password=PASSWORD, code=code(viewer, clock))
    assert answer.status_code == 401


def test_accepted_code_is_not_accepted_by_another_process(admin_service, viewer):
    users = services(admin_service.app).users
    seed = users.find("viewer").factor_seed
    assert [users.accept_code("viewer", seed, step) for step in (7, 7, 6, 8)] == [True, False, False, True]
