"""Signing in and out: sessions, cookies, and the limit of failed attempts."""

import base64
import re
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from argon2.exceptions import VerificationError
from sqlalchemy import select, update
from werkzeug.middleware.proxy_fix import ProxyFix

from app.access import user_accounts
from app.access.permissions import Role
from app.services import services
from app.store.access_models import FailedSignInRow, LoginAttemptRow, SessionRow
from app.store.database import in_seconds
from app.store.login_attempts import ATTEMPT_WINDOW_S, KEPT_DAYS, OF_ALL_NAMES, OF_ONE_NAME
from tests.integration.access.conftest import AT, PASSWORD, Browser


def test_sign_in_redirects_to_the_requested_page(admin_service):
    browser = admin_service.browser()
    asked = browser.get("/admin/users?x=1")
    assert asked.status_code == 303
    assert asked.headers["Location"] == "/login?next=/admin/users%3Fx%3D1"
    assert 'value="/admin/users?x=1"' in browser.get(asked.headers["Location"]).text
    answer = browser.post("/login", name="admin", password=PASSWORD, next="/admin/users?x=1")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/admin/users?x=1")
    assert browser.get("/admin/users").status_code == 200
    assert admin_service.trail()[-1] == ("user:admin", "sign_in", "admin")


@pytest.mark.parametrize("elsewhere", ["//evil.example", "/\\evil.example", "https://evil.example", "evil", "/\t/evil"])
def test_sign_in_never_redirects_to_another_site(admin_service, elsewhere):
    answer = admin_service.browser().post("/login", name="admin", password=PASSWORD, next=elsewhere)
    assert answer.headers["Location"] == "/admin"


def test_cookie_is_host_only_and_http_only(admin_service):
    answer = admin_service.browser().post("/login", name="viewer", password=PASSWORD)
    cookie = answer.headers["Set-Cookie"]
    name, *flags = [part.strip() for part in cookie.split(";")]
    assert name.startswith("__Host-saga=")
    assert set(flags) == {"Secure", "HttpOnly", "Path=/", "SameSite=Strict"}


@pytest.mark.parametrize(("name", "password"), [("admin", "wrong"), ("admin", ""), ("nobody", PASSWORD), ("", "")])
def test_wrong_password_does_not_reveal_whether_the_user_exists(admin_service, name, password):
    answer = admin_service.browser().post("/login", name=name, password=password)
    assert answer.status_code == 401
    assert "Name, password or code is wrong." in answer.text
    (failed,) = services(admin_service.app).login_attempts.failures(9)
    assert (failed.name, failed.times) == ("admin" if name == "admin" else "", 1)


def test_many_wrong_passwords_are_one_row_and_a_metric_and_leave_the_audit_trail_alone(admin_service):
    before, browser = admin_service.trail(), admin_service.browser()
    admin = admin_service.browser(Role.ADMIN)

    def counted():
        return float(re.search('saga_refused_senders_total{kind="person"} (.*)', browser.get("/metrics").text)[1])

    earlier = counted()
    answers = [browser.post("/login", name="viewer", password="wrong").status_code for _ in range(OF_ONE_NAME + 1)]
    assert answers == [401] * OF_ONE_NAME + [429]
    (failed,) = services(admin_service.app).login_attempts.failures(9)
    assert (failed.name, failed.times, failed.last_address) == ("viewer", OF_ONE_NAME, "127.0.0.1")
    assert counted() - earlier == OF_ONE_NAME + 1
    assert f"{OF_ONE_NAME} within the hour" in admin.get("/admin/users").text
    assert [row[1] for row in admin_service.trail()[len(before) :]] == ["sign_in"]


def test_failed_sign_ins_are_forgotten_after_their_days(admin_service):
    attempts = services(admin_service.app).login_attempts
    attempts.failed("viewer", "192.0.2.1")
    admin_service.run(update(FailedSignInRow).values(hour=in_seconds(-(KEPT_DAYS + 1) * 86_400)))
    attempts.failed("admin", "192.0.2.1")
    assert [row.name for row in attempts.failures(9)] == ["admin"]


def test_requests_with_a_wrong_key_are_a_metric(admin_service):
    client = admin_service.app.test_client()

    def counted():
        return float(re.search('saga_refused_senders_total{kind="program"} (.*)', client.get("/metrics").text)[1])

    earlier = counted()
    assert client.get("/api/v1/sagas", headers={"X-API-Key": "saga_wrong"}).status_code == 401
    assert counted() == earlier + 1


def test_unknown_name_is_stored_nowhere(admin_service, capsys):
    """A person may type the password into the field of the name by mistake."""
    admin_service.browser().post("/login", name="hunter2hunter2", password="x")
    assert "hunter2" not in str(admin_service.trail()) + capsys.readouterr().out


def test_sign_in_starts_a_new_session(admin_service):
    browser = admin_service.browser()
    before = browser.cookie.value
    browser.sign_in("viewer")
    planted = Browser(admin_service.app.test_client())
    planted.client.set_cookie("__Host-saga", before, domain="saga.example", secure=True)
    assert planted.get("/admin/audit").status_code == 303


def test_second_sign_in_ends_the_previous_session(admin_service):
    browser = admin_service.browser(Role.ADMIN)
    copied = Browser(admin_service.app.test_client())
    copied.client.set_cookie("__Host-saga", browser.cookie.value, domain="saga.example", secure=True)
    assert copied.get("/admin/audit").status_code == 200
    browser.sign_in("viewer")
    assert copied.get("/admin/audit").status_code == 303


def test_copied_cookie_is_useless_after_sign_out(admin_service):
    browser = admin_service.browser(Role.ADMIN)
    copied = browser.cookie.value
    assert browser.post("/logout").status_code == 303
    assert browser.get("/admin/audit").status_code == 303
    browser.client.set_cookie("__Host-saga", copied, domain="saga.example", secure=True)
    assert browser.get("/admin/audit").status_code == 303


def test_session_expires(admin_service):
    browser = admin_service.browser(Role.VIEWER)
    admin_service.run(update(SessionRow.__table__).values(ends_at=in_seconds(-1)))
    assert browser.get("/admin/audit").status_code == 303


def test_stored_session_digest_is_no_valid_cookie(admin_service):
    """The database stores only a digest of each session's token. The digest does not allow anybody to sign in."""
    browser = admin_service.browser(Role.ADMIN)
    with admin_service.app.app_context():
        row = SessionRow.query.one()
    assert row.id not in base64.urlsafe_b64decode(browser.cookie.value.partition(".")[0] + "==").decode()
    assert len(row.id) == 64


def test_htmx_request_without_session_redirects_the_whole_page(admin_service):
    answer = admin_service.browser().get("/admin/audit", **{"HX-Request": "true"})
    assert answer.status_code == 401
    assert "HX-Redirect" not in answer.headers, "the page loads itself again, so that the sign-in leads back to it"


def test_form_of_an_ended_session_leads_to_the_sign_in_and_back_to_its_page(admin_service):
    browser = admin_service.browser(Role.OPERATOR)
    admin_service.run(update(SessionRow.__table__).values(ends_at=in_seconds(-1)))

    def sent_from(page):
        headers = {"Referer": page, "X-CSRFToken": browser.token}
        path = "/admin/participants/stock/pause"
        return browser.client.post(path, base_url="https://saga.example", headers=headers, data={"reason": "x"})

    answer = sent_from("https://saga.example/admin/participants?q=4")
    assert (answer.status_code, answer.location) == (303, "/login?next=/admin/participants%3Fq%3D4")
    assert sent_from("https://evil.example/admin").status_code == 401
    browser.client.delete_cookie("__Host-saga", domain="saga.example")  # signed out in another tab
    answer = sent_from("https://saga.example/admin/participants?q=4")
    assert (answer.status_code, answer.location) == (303, "/login?next=/admin/participants%3Fq%3D4")
    assert sent_from("https://evil.example/admin").status_code == 403


def test_repeated_failures_block_even_the_right_password(admin_service):
    browser = admin_service.browser()
    for _ in range(OF_ONE_NAME):
        assert browser.post("/login", name="admin", password="wrong").status_code == 401
    refused = browser.post("/login", name="admin", password=PASSWORD)
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "60")
    assert browser.get("/admin/audit").status_code == 303


def guess(browser, name, address="127.0.0.1", password="wrong"):
    form = {"name": name, "password": password, "csrf_token": browser.token}
    place = {"base_url": "https://saga.example", "environ_base": {"REMOTE_ADDR": address}}
    return browser.client.post("/login", data=form, headers={"Referer": "https://saga.example/"}, **place).status_code


def test_failures_from_another_address_do_not_block_an_operator(admin_service):
    browser = admin_service.browser()
    assert [guess(browser, "admin", "10.0.0.9") for _ in range(OF_ONE_NAME + 3)][-1] == 429
    assert guess(browser, "viewer", "10.0.0.9") == 401
    assert guess(browser, "admin", "10.0.0.1", PASSWORD) == 303


def test_failures_of_one_address_are_limited_across_names(admin_service):
    browser = admin_service.browser()
    codes = [guess(browser, f"u{number}") for number in range(OF_ALL_NAMES + 1)]
    assert codes == [401] * OF_ALL_NAMES + [429]


def test_blocked_sign_in_is_free_after_a_minute(admin_service):
    browser = admin_service.browser()
    for _ in range(OF_ONE_NAME + 10):
        guess(browser, "admin")
    with admin_service.app.app_context():
        assert LoginAttemptRow.query.count() == OF_ONE_NAME, "those that were not looked at are not counted"
    admin_service.run(update(LoginAttemptRow.__table__).values(at=in_seconds(-ATTEMPT_WINDOW_S - 0.1)))
    assert guess(browser, "admin", password=PASSWORD) == 303


def test_right_password_resets_the_failures(admin_service):
    browser = admin_service.browser()
    for _ in range(3):
        for _ in range(OF_ONE_NAME - 1):
            assert guess(browser, "admin") == 401
        assert browser.sign_in("admin").status_code == 303


def test_pages_run_only_scripts_of_this_service(admin_service):
    browser = admin_service.browser(Role.ADMIN)
    nonces = set()
    for path in ("/login", "/admin/users", "/admin/keys", "/admin/audit"):
        answer = browser.get(path)
        policy = dict(part.strip().split(" ", 1) for part in answer.headers["Content-Security-Policy"].split(";"))
        assert policy["default-src"] == policy["base-uri"] == policy["frame-ancestors"] == "'none'"
        assert policy["form-action"] == "'self'"
        assert "unsafe" not in str(policy)
        nonces.add(re.search("'nonce-([^']+)'", policy["script-src"])[1])
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cache-Control"] == "no-store"
        assert not re.search(r"<script>|<style|style=|\son\w+=|javascript:", answer.text), path
    assert len(nonces) == 4


def test_forged_address_is_stored_nowhere(admin_service, monkeypatch):
    admin_service.app.wsgi_app = ProxyFix(admin_service.app.wsgi_app, x_for=1)
    browser = admin_service.browser()
    form = {"name": "admin", "password": "wrong", "csrf_token": browser.token}
    headers = {"Referer": AT, "X-Forwarded-For": "z" * 3000}
    answer = browser.client.post("/login", base_url=AT, data=form, headers=headers)
    assert answer.status_code == 401
    with admin_service.engine.connect() as connection:
        assert connection.execute(select(LoginAttemptRow.address)).scalars().all() == ["127.0.0.1"]


def test_parallel_sign_ins_hash_one_password_at_a_time(admin_service, monkeypatch):
    """Each hash takes 19 MiB, so parallel hashes could exhaust the memory."""
    hashing, most, counting = 0, 0, threading.Lock()
    may_end = threading.Event()

    class Hasher:
        def verify(self, _known, _password):
            nonlocal hashing, most
            with counting:
                hashing += 1
                most = max(most, hashing)
            may_end.wait(10)
            with counting:
                hashing -= 1
            raise VerificationError

    user_accounts.matches("x", None)  # this call caches the real hash of an unknown user's password
    browsers = [admin_service.browser() for _ in range(32)]
    monkeypatch.setattr(user_accounts, "_HASHER", Hasher())
    monkeypatch.setattr(user_accounts, "LONGEST_WAIT_S", 0.2)
    with ThreadPoolExecutor(32) as pool:
        answers = list(
            pool.map(lambda number: browsers[number].post("/login", name=f"n{number}", password="x"), range(32))
        )
    may_end.set()
    assert most == user_accounts.HASHED_AT_ONCE
    assert {answer.status_code for answer in answers} == {429}
    assert all(int(answer.headers["Retry-After"]) > 0 for answer in answers)


def test_password_change_is_refused_when_hashing_is_busy(admin_service, monkeypatch):
    browser = admin_service.browser(Role.ADMIN)
    monkeypatch.setattr(user_accounts, "LONGEST_WAIT_S", 0.0)
    answer = browser.post("/admin/users/viewer/password", password="a new passphrase")
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "2")
