"""/admin/schedules: an admin changes schedules, others only see them."""

import pytest

from app.access.permissions import Role
from app.access.principal import user
from app.store.access_models import AuditRow
from app.store.database import db
from app.store.process_models import ScheduleRow
from tests.integration.admin.conftest import seen

FORM = {
    "name": "nightly", "type": "checkout", "data": '{"client_id": 4, "magasin_id": 1}', "cron": "0 3 * * *",
    "zone": "Europe/Paris", "overlap": "skip",
}  # fmt: skip
PATH = "/admin/schedules"


@pytest.fixture
def admin(client, monkeypatch):
    monkeypatch.setattr("app.access.authorization.signed_in", lambda: user("ada", Role.ADMIN))
    return client


def test_an_admin_adds_pauses_resumes_and_removes_a_schedule(admin):
    assert "There are no schedules." in seen(admin.get(PATH))
    assert admin.post(PATH, data=FORM).status_code == 303
    page = seen(admin.get(PATH))
    assert "The schedule nightly is added." in page
    assert "0 3 * * * Europe/Paris" in page
    assert admin.post(f"{PATH}/nightly/pause").status_code == 303
    assert "paused" in seen(admin.get(PATH))
    assert admin.post(f"{PATH}/nightly/resume").status_code == 303
    assert admin.post(f"{PATH}/nightly/remove").status_code == 303
    assert "There are no schedules." in seen(admin.get(PATH))
    rows = db.session.query(AuditRow).order_by(AuditRow.seq)
    assert [(row.actor, row.action) for row in rows] == [
        ("user:ada", f"schedule.{action}") for action in ("add", "pause", "resume", "remove")
    ]


def test_an_admin_changes_what_differs_in_the_form(admin):
    admin.post(PATH, data=FORM)
    given = {name: FORM[name] for name in ("zone", "overlap") if name in FORM} | {"cron": "0 5 * * *", "data": ""}
    assert admin.post(f"{PATH}/nightly/change", data=given).status_code == 303
    page = seen(admin.get(PATH))
    assert "The schedule nightly is changed." in page
    assert "0 5 * * * Europe/Paris" in page
    (row,) = db.session.query(AuditRow).filter_by(action="schedule.change")
    assert (row.before, row.after) == ({"cron": "0 3 * * *"}, {"cron": "0 5 * * *"})
    refused = admin.post(f"{PATH}/nightly/change", data=given)
    assert "Nothing to change" in seen(refused)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"cron": "0 3 * *"}, "cron: Not five fields"),
        ({"data": "{"}, "Nothing was changed: data: "),
        ({"data": "[]"}, "Nothing was changed: data must be a JSON object"),
        ({"data": "{}"}, "data, client_id: Missing data for required field."),
    ],
)
def test_a_wrong_form_is_shown_again_with_its_problem(admin, changed, words):
    answer = admin.post(PATH, data=FORM | changed)
    assert answer.status_code == 400
    assert words in seen(answer)
    assert 'value="nightly"' in answer.get_data(as_text=True)
    assert db.session.query(ScheduleRow).count() == 0


def test_a_taken_name_is_a_conflict_and_an_unknown_one_is_not_found(admin):
    admin.post(PATH, data=FORM)
    answer = admin.post(PATH, data=FORM)
    assert (answer.status_code, "there is a schedule nightly already" in seen(answer)) == (409, True)
    assert admin.post(f"{PATH}/weekly/pause").status_code == 404


def test_an_operator_sees_schedules_and_changes_none(client, admin, monkeypatch):
    admin.post(PATH, data=FORM)
    monkeypatch.setattr("app.access.authorization.signed_in", lambda: user("eve", Role.OPERATOR))
    page = client.get(PATH).get_data(as_text=True)
    assert "nightly" in page
    assert "<form" not in page.split("<main")[1]
    assert client.post(f"{PATH}/nightly/remove").status_code == 403
    assert client.post(PATH, data=FORM).status_code == 403
    assert db.session.query(ScheduleRow).count() == 1
