"""Errors that people meet are pages in plain words; programs get problem documents."""

import pytest
from sqlalchemy.exc import OperationalError

from app.access.permissions import Role
from app.access.principal import user
from app.errors import OtherReleaseError
from tests.integration.admin.conftest import seen

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}  # Firefox and Safari
CHROMIUM = {
    "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8,"
    "application/signed-exchange;v=b3;q=0.7"
}


@pytest.fixture
def away(monkeypatch):
    """Make the database unreachable for each request that reads the session."""

    def fail():
        raise OperationalError(
            "SELECT 1", {}, ConnectionError("server closed the connection"), connection_invalidated=True
        )

    monkeypatch.setattr("app.access.authorization.signed_in", fail)


@pytest.mark.parametrize("path", ["/admin/users", "/admin/keys"])
def test_viewer_gets_a_page_that_names_the_role(client, monkeypatch, path):
    monkeypatch.setattr("app.access.authorization.signed_in", lambda: user("eve", Role.VIEWER))
    answer = client.get(path)
    assert (answer.status_code, answer.mimetype) == (403, "text/html")
    assert "Your role may not do this" in seen(answer)
    assert "This needs the role admin, which eve does not have. Ask an admin for the role." in seen(answer)


@pytest.mark.parametrize("browser", [BROWSER, CHROMIUM], ids=["firefox", "chromium"])
@pytest.mark.parametrize("path", ["/", "/adnim", "/admin/nothing", "/sagas/17"])
def test_mistyped_address_is_a_page_in_a_browser(client, path, browser):
    answer = client.get(path, headers=browser)
    if path == "/" and answer.status_code == 200:
        pytest.skip("there is a start page")
    assert (answer.status_code, answer.mimetype) == (404, "text/html")
    assert "There is no such page" in seen(answer)


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/adnim", {}),
        ("/adnim", {"Accept": "*/*"}),
        ("/adnim", {"Accept": "application/json, text/plain, */*"}),
        ("/adnim", {"Accept": "application/problem+json, text/html;q=0.5"}),
        ("/api/v1/nothing", CHROMIUM),
    ],
)
def test_program_gets_a_problem_document(client, path, headers):
    answer = client.get(path, headers=headers)
    assert (answer.status_code, answer.mimetype) == (404, "application/problem+json")


def test_short_id_in_an_address_is_offered_to_the_search(client):
    assert 'name="q" value="2da1925b"' in client.get("/admin/sagas/2da1925b").text


def test_address_of_a_form_says_so_to_a_browser(client):
    answer = client.get("/logout", headers=BROWSER)
    assert (answer.status_code, answer.mimetype, answer.headers["Allow"]) == (405, "text/html", "OPTIONS, POST")
    assert "This address only takes a form" in seen(answer)


@pytest.mark.parametrize(
    ("sender", "leads_back"),
    [
        ("http://localhost/admin/sagas/1?entry=2", True), ("http://elsewhere/admin", False),
        ("http://localhost//elsewhere/admin", False), ("", False),
    ],
)  # fmt: skip
def test_error_of_a_form_leads_back_to_the_page_with_the_form(client, walk, monkeypatch, sender, leads_back):
    monkeypatch.setattr("app.access.authorization._lost_session", lambda: False)
    form = {"until": "2020-01-01T00:00", "reason": "later"}
    answer = client.post(
        f"/admin/sagas/{walk('succeeded').id}/case/snooze", data=form, headers={"Referer": sender, **BROWSER}
    )
    assert answer.status_code == 400
    assert ('href="/admin/sagas/1?entry=2">Back to the form' in answer.text) is leads_back
    assert ("Back to the form" in answer.text) is leads_back


@pytest.mark.parametrize("path", ["/admin", "/admin/sagas?type=checkout", "/admin/audit", "/admin/users"])
def test_page_without_a_database_tries_again_by_itself(client, away, path):
    answer = client.get(path)
    assert (answer.status_code, answer.mimetype) == (503, "text/html")
    assert "The database is not reachable" in seen(answer)
    assert "Idempotency-Key" not in seen(answer), "that is a word for programs"
    assert "data-retry-s" in answer.text
    assert f'href="{path}">Try again now' in answer.text


def test_form_without_a_database_is_not_sent_again_by_itself(client, away):
    answer = client.post("/admin/parked/7/retry", data={"reason": "x"})
    assert (answer.status_code, answer.mimetype) == (503, "text/html")
    assert "look before you send it again" in seen(answer)
    assert "data-retry-s" not in answer.text


def test_sign_in_without_a_database_is_a_page(client, monkeypatch):
    def fail(*_):
        raise OperationalError("SELECT 1", {}, ConnectionError("gone"), connection_invalidated=True)

    monkeypatch.setattr("app.access.authorization._check_form", lambda _largest: None)
    monkeypatch.setattr("app.store.login_attempts.LoginAttempts.register", fail)
    answer = client.post("/login", data={"name": "ada", "password": "x"})
    assert (answer.status_code, answer.mimetype) == (503, "text/html")
    assert "The database is not reachable" in seen(answer)


def test_other_temporary_error_says_why_and_tries_again(client, monkeypatch):
    def fail(*_args, **_more):
        raise OtherReleaseError("only a newer release has this table")

    monkeypatch.setattr("app.admin.sagas.newest", fail)
    answer = client.get("/admin/sagas")
    assert answer.status_code == 503
    assert "Only a newer release has this table." in seen(answer)
    assert "data-retry-s" in answer.text


def test_audit_takes_the_short_id_that_the_pages_show(client, walk):
    saga = walk("succeeded", "succeeded", "succeeded", "exhausted")
    client.post(f"/admin/sagas/{saga.id}", data={"action": "compensate", "seen": saga.state, "reason": "why not"})
    assert "why not" in seen(client.get(f"/admin/audit?saga={str(saga.id)[-8:]}"))
    assert "why not" in seen(client.get("/admin/audit?actor=ada")), "the name alone is enough"
    assert "No actions match" in seen(client.get("/admin/audit?actor=otto"))
    assert "No actions match" in seen(client.get("/admin/audit?saga=00000000"))
    refused = client.get("/admin/audit?saga=x")
    assert (refused.status_code, refused.mimetype) == (400, "text/html")
    assert "Give the id of a saga" in seen(refused)
