"""The own account of a person: the password, the sessions, their idle limit, and passwords that are guessed first."""

import pytest
from sqlalchemy import select, update

from app.access.permissions import Role
from app.access.sessions import SEEN_EVERY_S
from app.access.weak_passwords import is_weak
from app.config import Config
from app.store.access_models import SessionRow
from app.store.database import in_seconds, seconds_until
from app.store.login_attempts import OF_ONE_NAME
from tests.integration.access.conftest import PASSWORD

NEW = "a new passphrase"
IDLE_S = Config.session_idle_s


@pytest.fixture
def viewer(admin_service):
    return admin_service.browser(Role.VIEWER)


def change(browser, present=PASSWORD, password=NEW):
    return browser.post("/admin/account/password", present=present, password=password)


def test_person_changes_the_own_password_and_the_other_sessions_end(admin_service, viewer):
    elsewhere, colleague = admin_service.browser(Role.VIEWER), admin_service.browser(Role.OPERATOR)
    assert change(viewer).status_code == 303
    assert viewer.get("/admin/audit").status_code == 200
    assert elsewhere.get("/admin/audit").status_code == 303
    assert colleague.get("/admin/audit").status_code == 200
    assert admin_service.browser().sign_in("viewer", NEW).status_code == 303
    assert admin_service.browser().sign_in("viewer", PASSWORD).status_code == 401
    assert ("user:viewer", "user.password", "viewer") in admin_service.trail()


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ({"present": "wrong"}, "present: This is not your present password."),
        ({"password": "short"}, "password: Give 12 to 256"),
        ({"password": PASSWORD}, "password: Give another password"),
        ({"password": "password2026"}, "password: It is guessed first"),
        ({"password": "viewer-viewer-2026"}, "password: It is guessed first"),
    ],
)
def test_wrong_change_of_a_password_changes_nothing(admin_service, viewer, form, message):
    before = admin_service.trail()
    answer = change(viewer, **form)
    assert answer.status_code == 400
    assert message in answer.text
    assert admin_service.trail() == before
    assert admin_service.browser().sign_in("viewer").status_code == 303


def test_stolen_session_cannot_guess_the_password(viewer):
    for _ in range(OF_ONE_NAME):
        assert change(viewer, present="wrong").status_code == 400
    refused = change(viewer)
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "60")


def test_account_lists_the_own_sessions_and_ends_the_others(admin_service, viewer):
    elsewhere, colleague = admin_service.browser(Role.VIEWER), admin_service.browser(Role.OPERATOR)
    shown = viewer.get("/admin/account").text
    assert shown.count("127.0.0.1") == 2
    assert shown.count("(this session)") == 1
    assert viewer.post("/admin/account/sessions/end").status_code == 303
    assert elsewhere.get("/admin/account").status_code == 303
    assert colleague.get("/admin/account").status_code == 200
    assert viewer.get("/admin/account").text.count("127.0.0.1") == 1
    assert admin_service.trail()[-1] == ("user:viewer", "sign_out.others", "viewer")


def unused(admin_service, seconds):
    admin_service.run(update(SessionRow).values(seen_at=in_seconds(-seconds)))


def test_session_ends_when_it_is_not_used(admin_service, viewer):
    unused(admin_service, IDLE_S + 5)
    assert viewer.get("/admin/audit").status_code == 303
    assert viewer.get("/api/v1/sagas").status_code == 401


def test_session_goes_on_while_it_is_used(admin_service, viewer):
    for _ in range(2):
        unused(admin_service, IDLE_S - 5)
        assert viewer.get("/admin/audit").status_code == 200
    assert seen_s(admin_service) > -IDLE_S / 2


def test_page_that_updates_itself_keeps_no_session(admin_service, viewer):
    unused(admin_service, IDLE_S - 5)
    assert viewer.get("/admin", **{"HX-Request": "true", "Sec-Fetch-Mode": "cors"}).status_code == 200
    assert viewer.get("/diagrams/checkout.svg", **{"Sec-Fetch-Mode": "no-cors"}).status_code == 200
    assert seen_s(admin_service) < -IDLE_S / 2


def seen_s(admin_service):
    """Return when the only session was last used, in seconds from now."""
    with admin_service.engine.connect() as connection:
        return connection.scalar(select(seconds_until(SessionRow.seen_at)))


def test_last_use_of_a_session_is_written_once_a_minute(admin_service, viewer):
    unused(admin_service, SEEN_EVERY_S - 5)
    viewer.get("/admin/audit")
    assert seen_s(admin_service) < -SEEN_EVERY_S / 2
    unused(admin_service, SEEN_EVERY_S + 5)
    viewer.get("/admin/audit")
    assert seen_s(admin_service) > -SEEN_EVERY_S / 2


def test_session_of_an_earlier_release_goes_on(admin_service, viewer):
    admin_service.run(update(SessionRow).values(seen_at=None, started_at=None, address=None))
    assert viewer.get("/admin/account").status_code == 200


def test_person_whose_password_an_admin_has_set_chooses_another_one_first(admin_service):
    admin = admin_service.browser(Role.ADMIN)
    assert admin.post("/admin/users", name="eve", role="operator", password=NEW).status_code == 303
    eve = admin_service.browser()
    assert eve.sign_in("eve", NEW).status_code == 303
    for path in ("/admin", "/admin/sagas", "/api/v1/sagas"):
        assert eve.get(path).headers["Location"] == "/admin/account", path
    assert eve.post("/admin/participants/stock/pause", reason="x").status_code == 403
    assert eve.get("/admin", **{"HX-Request": "true"}).status_code == 403
    assert "An admin knows your password" in eve.get("/admin/account").text
    assert change(eve, NEW, "another passphrase").status_code == 303
    assert eve.get("/admin").status_code == 200


def test_password_that_an_admin_resets_must_be_changed_but_not_the_own_one(admin_service):
    admin = admin_service.browser(Role.ADMIN)
    assert admin.post("/admin/users/viewer/password", password=NEW).status_code == 303
    viewer = admin_service.browser()
    viewer.sign_in("viewer", NEW)
    assert viewer.get("/admin").headers["Location"] == "/admin/account"
    assert admin.post("/admin/users/admin/password", password=NEW).status_code == 303
    again = admin_service.browser()
    again.sign_in("admin", NEW)
    assert again.get("/admin").status_code == 200


def test_person_may_sign_out_before_the_change(admin_service):
    admin_service.browser(Role.ADMIN).post("/admin/users", name="eve", role="viewer", password=NEW)
    eve = admin_service.browser()
    eve.sign_in("eve", NEW)
    assert eve.post("/logout").status_code == 303
    assert "/login" in eve.get("/admin/account").headers["Location"]


@pytest.mark.parametrize(
    "password",
    [
        "aaaaaaaaaaaa", "abcabcabcabc", "123456789012", "password1234", "P@ssw0rd2026!", "Welcome2026Welcome",
        "qwertyuiop123", "Abcdefghijkl", "ada-ada-2026-saga", "ADA2026ADA2026", "letmein-letmein",
        "password password", "summer 2026!", "C0mputer-T1ger7", "Liverpool+Chelsea", "bonjour soleil 1",
        "Montag 2.11.2026",
    ],
)  # fmt: skip
def test_password_that_is_guessed_first_is_weak(password):
    assert is_weak(password, "ada")


@pytest.mark.parametrize(
    "password",
    [PASSWORD, NEW, "x7Kq-29Lm-pZ4t", "9f86d081884c7d659a2feaa0c55ad015", "ünïcödé söme", "密码很长很安全的一二三四"],
)
def test_other_password_is_not_weak(password):
    assert not is_weak(password, "ada")
