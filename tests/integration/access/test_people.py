"""The pages of users and keys, and their rows in the audit trail."""

import re

import pytest
from sqlalchemy import text

from app.access.permissions import Role
from app.store.audit import Entry, page, record, verify
from tests.integration.access.conftest import PASSWORD

NEW = "a password of eve's"


@pytest.fixture
def admin(admin_service):
    return admin_service.browser(Role.ADMIN)


def test_admin_adds_a_user_who_can_sign_in(admin_service, admin):
    answer = admin.post("/admin/users", name="eve", role="operator", password=NEW)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/admin/users")
    assert "eve may sign in now." in admin.get("/admin/users").text
    assert admin_service.browser().sign_in("eve", NEW).status_code == 303
    (row,) = [row for row in page(admin_service.engine, limit=10) if row.target == "eve" and row.action == "user.add"]
    assert (row.actor, row.before, row.after) == ("user:admin", None, {"role": "operator"})


@pytest.mark.parametrize(
    ("form", "status", "message"),
    [
        ({"name": "eve", "role": "operator", "password": "short"}, 400, "password: Give 12 to 256"),
        ({"name": "Eve <script>", "role": "operator", "password": NEW}, 400, "name: Give 1 to 64"),
        ({"name": "eve", "role": "god", "password": NEW}, 400, "role: Give one of viewer, operator, admin"),
        ({"name": "viewer", "role": "operator", "password": NEW}, 409, "there is a user viewer already"),
        ({}, 400, "role: "),
    ],
)
def test_invalid_user_form_shows_the_error_and_changes_nothing(admin_service, admin, form, status, message):
    before = admin_service.trail()
    answer = admin.post("/admin/users", **form)
    assert answer.status_code == status
    assert message in answer.text
    assert "<script>" not in answer.text
    assert NEW not in answer.text
    assert admin_service.trail() == before


def test_changed_role_applies_to_the_next_request(admin_service, admin):
    browser = admin_service.browser(Role.OPERATOR)
    assert admin.post("/admin/users/operator/role", role="admin").status_code == 303
    assert browser.get("/admin/users").status_code == 200
    assert admin.post("/admin/users/operator/role", role="viewer").status_code == 303
    assert browser.get("/admin/users").status_code == 403
    rows = [(row.before, row.after) for row in page(admin_service.engine, limit=2)]
    assert rows == [({"role": "admin"}, {"role": "viewer"}), ({"role": "operator"}, {"role": "admin"})]


def test_new_password_ends_the_earlier_sessions(admin_service, admin):
    browser = admin_service.browser(Role.OPERATOR)
    assert admin.post("/admin/users/operator/password", password=NEW).status_code == 303
    assert browser.get("/admin/audit").status_code == 303
    assert admin_service.browser().sign_in("operator", PASSWORD).status_code == 401
    assert admin_service.browser().sign_in("operator", NEW).status_code == 303


def test_removed_user_is_signed_out_at_once(admin_service, admin):
    browser = admin_service.browser(Role.OPERATOR)
    assert admin.post("/admin/users/operator/remove").status_code == 303
    assert browser.get("/admin/audit").status_code == 303
    assert admin_service.browser().sign_in("operator").status_code == 401


def test_name_of_a_removed_user_who_has_acted_is_given_to_nobody_else(admin_service, admin):
    form = {"name": "operator", "role": "viewer", "password": NEW}
    admin_service.browser(Role.OPERATOR)
    assert admin.post("/admin/users/operator/remove").status_code == 303
    refused = admin.post("/admin/users", **form)
    assert refused.status_code == 409
    assert "the audit trail names an earlier user operator" in refused.text
    assert admin_service.browser().sign_in("operator", NEW).status_code == 401
    assert admin.post("/admin/users", **form, same_person="on").status_code == 303
    assert admin_service.browser().sign_in("operator", NEW).status_code == 303


def test_name_of_a_removed_user_who_never_acted_is_free(admin):
    assert admin.post("/admin/users/operator/remove").status_code == 303
    assert admin.post("/admin/users", name="operator", role="viewer", password=NEW).status_code == 303


@pytest.mark.parametrize(("path", "form"), [("role", {"role": "viewer"}), ("remove", {})])
def test_last_admin_cannot_be_removed(admin_service, admin, path, form):
    answer = admin.post(f"/admin/users/admin/{path}", **form)
    assert answer.status_code == 409
    assert "admin is the last admin; make another one first" in answer.text
    admin.post("/admin/users", name="eve", role="admin", password=NEW)
    assert admin.post(f"/admin/users/admin/{path}", **form).status_code == 303


def test_new_key_is_shown_once_and_works(admin_service, admin):
    answer = admin.post("/admin/keys", name="shop", scope=["read", "start"], days="30")
    key = re.search('id="made">([^<]+)<', answer.text)[1]
    assert key not in admin.get("/admin/keys").text
    assert key.encode() not in str(admin.cookie).encode()
    assert admin_service.app.test_client().get("/api/v1/sagas", headers={"X-API-Key": key}).status_code == 200
    prefix = "_".join(key.split("_")[:2])
    assert admin_service.trail()[-1] == ("user:admin", "key.add", f"shop {prefix}")
    assert admin.post(f"/admin/keys/{prefix}/revoke").status_code == 303
    assert "is revoked" in admin.get("/admin/keys").text
    assert admin.post(f"/admin/keys/{prefix}/revoke").status_code == 409


@pytest.mark.parametrize(
    "wrong", [{"days": "0"}, {"days": "x"}, {"days": "9" * 5000}, {"scope": ["god"]}, {"scope": []}, {"name": "<b>"}]
)
def test_invalid_key_form_shows_the_error(admin_service, admin, wrong):
    answer = admin.post("/admin/keys", **({"name": "shop", "scope": ["read"], "days": "30"} | wrong))
    assert answer.status_code == 400
    assert f"{next(iter(wrong))}" in re.search('role="alert">([^<]+)<', answer.text)[1]


def test_audit_page_filters_by_actor_and_saga(admin_service, admin):
    admin.post("/admin/users", name="eve", role="viewer", password=NEW)
    everything = admin.get("/admin/audit")
    assert "The chain is whole: 5 rows are as written" in everything.text
    assert [int(n) for n in re.findall('data-is="No" class="number">(\\d+)<', everything.text)] == [5, 4, 3, 2, 1]
    assert "role: viewer" in everything.text
    hers = admin.get("/admin/audit?actor=user:admin").text
    assert [int(n) for n in re.findall('class="number">(\\d+)<', hers)] == [5, 4]
    assert "No actions match these filters" in admin.get(f"/admin/audit?saga={'0' * 32}").text
    assert admin.get("/admin/audit?saga=x").status_code == 400
    assert admin.get("/admin/audit?before=x").status_code == 400


def test_nul_in_a_name_is_not_found(admin_service, admin):
    assert admin.post("/admin/users/e%00ve/remove").status_code == 404
    assert admin.post("/admin/keys/e%00ve/revoke").status_code == 404
    assert admin.post("/admin/users", name="e\x00ve", role="viewer", password=NEW).status_code == 400
    assert admin.get("/admin/audit?actor=e%00ve").status_code == 400
    assert admin_service.browser().sign_in("e\x00ve").status_code == 401


def test_audit_page_is_split_into_pages(admin_service, admin):
    for number in range(60):
        record(admin_service.engine, Entry(actor="nobody", action="try", target=f"n{number}"))
    first = admin.get("/admin/audit?actor=nobody").text
    older = re.search('class="button" href="([^"]+)"', first)[1].replace("&amp;", "&")
    numbers = [int(n) for it in (first, admin.get(older).text) for n in re.findall('class="number">(\\d+)<', it)]
    assert numbers == sorted(numbers, reverse=True)
    assert len(numbers) == len(set(numbers)) == 60
    assert "actor=nobody" in older


def test_audit_page_shows_that_the_trail_was_changed(admin_service, admin):
    if admin_service.engine.dialect.name == "sqlite":
        admin_service.run(text("DROP TRIGGER audit_no_update"))
    else:
        admin_service.run(text("ALTER TABLE audit DISABLE TRIGGER USER"))
    admin_service.run(text("UPDATE audit SET actor = 'user:mallory' WHERE seq = 2"))
    assert verify(admin_service.engine).broken == 2
    assert "The chain is broken at row 2" in admin.get("/admin/audit").text


def test_audit_page_escapes_every_text(admin_service, admin):
    record(admin_service.engine, Entry(actor="nobody", action="try", target="<img src=x onerror=alert(1)>"))
    assert "<img src=x" not in admin.get("/admin/audit").text
