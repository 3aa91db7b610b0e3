"""Saved views of the lists: who sees and changes them, and what of it is in the audit trail."""

import re
from html import unescape

import pytest
from sqlalchemy import select

from app.access.permissions import Role
from app.services import services
from app.store import saved_views
from app.store.console_models import SavedViewRow
from tests.integration.access.conftest import Browser, hashed

QUERY = "status=stuck&type=checkout&sort=-took&column=order&column=took"
SAVE = f"/admin/views/sagas?{QUERY}"


def views(browser, page="sagas"):
    """Return the saved views on the page of a list: name → address."""
    (section,) = re.findall(r'<section class="views".*?</section>', browser.get(f"/admin/{page}").text, re.DOTALL)
    return {name: unescape(url) for url, name in re.findall(r'<li><a href="([^"]+)"[^>]*>([^<]+)</a>', section)}


def id_of(browser, name, page="sagas"):
    text = browser.get(f"/admin/{page}").text
    (found,) = re.findall(
        rf'/([0-9a-f-]{{36}})/delete[^>]*>(?:(?!</form>).)*aria-label="Delete {name}"', text, re.DOTALL
    )
    return found


def changes(service):
    return [row for row in service.trail() if row[1].startswith("view.")]


@pytest.fixture
def otto(admin_service):
    return admin_service.browser(Role.OPERATOR)


@pytest.fixture
def eve(admin_service):
    return admin_service.browser(Role.VIEWER)


def member(service, name, tenant):
    services(service.app).users.add(name, "operator", hashed(), "cli:test", tenant=tenant)
    browser = Browser(service.app.test_client())
    assert browser.sign_in(name).status_code == 303
    return browser


def test_own_view_opens_the_list_as_it_was_saved_and_nobody_else_sees_it(admin_service, otto, eve):
    answer = eve.post(f"{SAVE}&after=&q=", name=" my stuck ")
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/admin/sagas?{QUERY}")
    assert views(eve) == {"my stuck": f"/admin/sagas?{QUERY}"}
    page = eve.get(f"/admin/sagas?{QUERY}").text
    assert (
        '?status=stuck&amp;type=checkout&amp;sort=-took&amp;column=order&amp;column=took" aria-current="page">my stuck'
        in page
    )
    assert views(otto) == views(admin_service.browser(Role.ADMIN)) == views(eve, "stuck") == {}
    assert changes(admin_service) == [], "nobody else sees it"


def test_view_of_this_name_is_saved_again(otto):
    otto.post(SAVE, name="mine")
    otto.post("/admin/views/sagas?status=running", name="mine")
    assert views(otto) == {"mine": "/admin/sagas?status=running"}


def test_shared_view_is_seen_by_all_and_audited(admin_service, otto, eve):
    assert otto.post("/admin/views/stuck?case=free", name="to take", shared="true").status_code == 303
    assert views(eve, "stuck") == {"to take": "/admin/stuck?case=free"}
    assert "of operator" in eve.get("/admin/stuck").text
    view_id = id_of(otto, "to take", "stuck")
    assert otto.post(f"/admin/views/stuck/{view_id}/rename", name="free").status_code == 303
    assert views(eve, "stuck") == {"free": "/admin/stuck?case=free"}
    assert otto.post(f"/admin/views/stuck/{view_id}/delete").status_code == 303
    assert views(eve, "stuck") == {}
    who = "user:operator"
    assert changes(admin_service) == [
        (who, "view.save", "to take"),
        (who, "view.rename", "free"),
        (who, "view.delete", "free"),
    ]


def test_view_that_is_no_longer_shared_is_audited_once_more(admin_service, otto, eve):
    otto.post(SAVE, name="mine", shared="true")
    otto.post(SAVE, name="mine")
    assert views(eve) == {}
    assert [action for _, action, _ in changes(admin_service)] == ["view.save"] * 2


def test_viewer_shares_no_view(admin_service, eve):
    assert eve.post(SAVE, name="mine", shared="true").status_code == 403
    assert views(eve) == {}


def test_shared_view_is_changed_by_its_owner_or_an_admin(admin_service, otto, eve):
    otto.post(SAVE, name="ours", shared="true")
    otto.post("/admin/views/sagas", name="private")
    ours, private = id_of(otto, "ours"), id_of(otto, "private")
    assert eve.post(f"/admin/views/sagas/{ours}/delete").status_code == 403
    assert eve.post(f"/admin/views/sagas/{private}/delete").status_code == 404
    root = admin_service.browser(Role.ADMIN)
    assert root.post(f"/admin/views/sagas/{private}/rename", name="x").status_code == 404
    assert root.post(f"/admin/views/sagas/{ours}/delete").status_code == 303
    assert views(otto) == {"private": "/admin/sagas"}


def test_name_is_given_once_and_is_no_markup(otto):
    for name in ("one", "two"):
        otto.post(SAVE, name=name)
    assert otto.post(f"/admin/views/sagas/{id_of(otto, 'two')}/rename", name="one").status_code == 409
    assert otto.post(SAVE, name=" ").status_code == 400
    assert otto.post(SAVE, name="x" * 61).status_code == 400
    otto.post(SAVE, name="<b>bold</b>")
    assert "<b>bold</b>" not in otto.get("/admin/sagas").text
    assert list(views(otto)) == ["&lt;b&gt;bold&lt;/b&gt;", "one", "two"]


@pytest.mark.parametrize("query", ["status=nothing", "column=secret", "sort=x", "nothing=x", "q=" + "x" * 201])
def test_view_of_a_list_that_cannot_be_shown_is_refused(otto, query):
    assert otto.post(f"/admin/views/sagas?{query}", name="mine").status_code == 400
    assert views(otto) == {}


def test_views_stay_within_their_tenant(admin_service, otto):
    anna, bert = member(admin_service, "anna", "acme"), member(admin_service, "bert", "other")
    anna.post(SAVE, name="of acme", shared="true")
    otto.post(SAVE, name="of all", shared="true")
    assert list(views(anna)) == list(views(member(admin_service, "axel", "acme"))) == ["of acme"]
    assert (list(views(bert)), list(views(otto))) == ([], ["of all"])
    ours = id_of(anna, "of acme")
    assert bert.post(f"/admin/views/sagas/{ours}/delete").status_code == 404
    assert list(views(anna)) == ["of acme"]


def test_removed_person_leaves_only_shared_views(admin_service, otto, eve):
    otto.post(SAVE, name="private")
    otto.post(SAVE, name="ours", shared="true")
    services(admin_service.app).users.remove("operator", "cli:test")
    assert list(views(eve)) == ["ours"]
    with admin_service.engine.connect() as connection:
        assert connection.execute(select(SavedViewRow.name)).scalars().all() == ["ours"]


def test_person_saves_a_limited_number_of_views(otto, monkeypatch):
    monkeypatch.setattr(saved_views, "MOST_VIEWS", 1)
    otto.post(SAVE, name="one")
    assert otto.post(SAVE, name="two").status_code == 409
    assert otto.post("/admin/views/sagas", name="one").status_code == 303
    assert views(otto) == {"one": "/admin/sagas"}
