"""The pages that start a saga: the form made from its table, again with the same data, and the start of a draft."""

import re
from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient

from app import create_app
from app.access.permissions import Role
from app.access.principal import user
from app.config import from_environment
from app.services import services
from app.store.access_models import AuditRow
from app.store.database import db
from app.store.models import SagaRow
from machines import Saga, amount, get, integer, list_of, optional, read, secret, text
from machines.registry import Registry
from tests.integration.admin.conftest import SETTINGS, seen
from tests.support.applications import opened

TABLE = Saga(
    name="gift", version=1, participants=("shop",),
    data={
        "person": text(high=20), "units": integer(1, 9, default=2), "price": amount(100), "code": secret(text(high=9)),
        "lines": optional(list_of({"sku": text()})), "note": text(low=0, high=500),
    },
    steps=[read("look", get("shop", "/people/{person}"), done="SENT", doing="LOOKING", refused="UNKNOWN")],
    initial="NEW", completed="SENT", compensated="DROPPED",
)  # fmt: skip
DATA = {"data.person": "12", "data.price": "59.90", "data.code": "0042", "data.units": "", "data.note": ""}


@pytest.fixture
def client(store_url: str, monkeypatch) -> Iterator[FlaskClient]:
    """Return a client that is signed in as operator, of a service with one saga. No participant is reachable."""
    monkeypatch.setattr("app.access.authorization.signed_in", lambda: user("ada", Role.OPERATOR))
    monkeypatch.setattr("app.access.authorization._check_session", lambda: None)
    monkeypatch.setattr("app.access.authorization._check_form", lambda _largest: None)
    monkeypatch.setattr("app.admin.start.WAIT_S", 0.0)
    monkeypatch.setattr("app.admin.saga.WAIT_S", 0.0)
    app = create_app(from_environment({"DATABASE_URL": store_url, **SETTINGS}), Registry([TABLE]))
    with opened(app):
        yield app.test_client()


def start(client, page="/admin/start/gift", **changed):
    """Open the form and send it with these values."""
    form = {"key": re.search('name="key" value="([^"]+)"', client.get(page).text)[1], "reason": "a test"} | DATA
    return client.post("/admin/start/gift", data=form | changed)


def audited():
    return [(row.actor, row.action, row.reason) for row in db.session.query(AuditRow)]


def test_the_form_has_an_input_for_each_field_of_the_table(client):
    page = client.get("/admin/start/gift").text
    assert re.findall(r'name="data\.(\w+)"', page) == list(TABLE.data)
    assert 'name="data.code" type="password"' in page
    assert 'name="data.units" type="text" value="2"' in page
    assert "integer, 1 to 9, optional" in page
    assert "Start …" in seen(client.get("/admin/start"))


def test_a_sent_form_starts_the_saga_with_typed_values_and_an_audit_row(client):
    answer = start(client)
    saga = db.session.query(SagaRow).one()
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/admin/sagas/{saga.id}")
    assert saga.data == {"person": "12", "units": 2, "price": 59.9, "code": "0042", "note": ""}
    assert (saga.status != "pending", saga.started_by) == (True, "user:ada")
    assert audited() == [("user:ada", "saga.start", "a test")]


def test_a_form_sent_twice_starts_one_saga(client):
    first, second = start(client, key="page-1"), start(client, key="page-1")
    assert first.headers["Location"] == second.headers["Location"]
    assert db.session.query(SagaRow).count() == 1
    assert len(audited()) == 1


def test_a_wrong_value_is_named_and_what_was_entered_stays(client):
    answer = start(client, **{"data.price": "many", "data.person": "Bo & Co"})
    assert answer.status_code == 400
    assert "price: Not a valid amount." in seen(answer)
    assert 'value="Bo &amp; Co"' in answer.text
    assert "0042" not in answer.text
    assert db.session.query(SagaRow).count() == 0


@pytest.mark.parametrize("changed", [{"reason": " "}, {"data.other": "1"}, {"again": "x"}, {"key": ""}])
def test_a_form_without_a_reason_or_with_another_field_starts_nothing(client, changed):
    assert start(client, **changed).status_code == 400
    assert db.session.query(SagaRow).count() == 0


def test_the_same_key_with_other_data_is_refused_and_the_form_gets_another_key(client):
    start(client, key="page-1")
    answer = start(client, key="page-1", **{"data.person": "Eve"})
    assert answer.status_code == 422
    assert 'name="key" value="page-1"' not in answer.text


def test_again_fills_the_form_and_keeps_the_secret(client):
    first = start(client, **{"data.person": "Ada", "data.lines": '[{"sku": "S-1"}]'}).headers["Location"]
    page = f"/admin/start/gift?again={first.rpartition('/')[2]}"
    form = client.get(page)
    assert 'value="Ada"' in form.text
    assert "S-1" in form.text
    assert "0042" not in form.text
    assert "empty: the same as before" in form.text
    start(client, again=first.rpartition("/")[2], **{"data.code": "", "data.person": "Bob"})
    made = {row.data["person"]: row.data["code"] for row in db.session.query(SagaRow)}
    assert made == {"Ada": "0042", "Bob": "0042"}
    assert f"again, with the data of {first.rpartition('/')[2]}: a test" in {row[2] for row in audited()}


def test_a_draft_is_started_from_its_page_with_an_audit_row(client):
    draft = services().sagas.create("gift", {"person": "A", "price": 1, "code": "0042", "units": 1, "note": ""})
    page = f"/admin/sagas/{draft.id}"
    assert "Start this saga" in seen(client.get(page))
    assert client.post(f"{page}/begin", data={"reason": ""}).status_code == 400
    assert client.post(f"{page}/begin", data={"reason": "the shop forgot it"}).status_code == 200
    assert db.session.get(SagaRow, draft.id).status != "pending"
    assert audited() == [("user:ada", "saga.start", "the shop forgot it")]
    assert client.post(f"{page}/begin", data={"reason": "again"}).status_code == 409
    assert len(audited()) == 1


def test_a_cancelled_draft_says_who_cancelled_it_and_names_no_failure(client):
    draft = services().sagas.create("gift", {"person": "A", "price": 1, "code": "0042", "units": 1, "note": ""})
    page = f"/admin/sagas/{draft.id}"
    assert "UNKNOWN" not in seen(client.get(page)).partition("Path")[0], "nobody was asked, also in the preview"
    client.post(page, data={"action": "compensate", "seen": draft.state, "reason": "made: twice"})
    words = seen(client.get(page))
    assert "Cancelled by ada: made: twice" in words
    assert "Last error" not in words
    assert "Cancelled by ada: made: twice" in seen(client.get("/admin/sagas?column=error"))


def test_a_viewer_starts_nothing(client, monkeypatch):
    monkeypatch.setattr("app.access.authorization.signed_in", lambda: user("eve", Role.VIEWER))
    assert "no saga that you may start" in seen(client.get("/admin/start"))
    assert client.get("/admin/start/gift").status_code == 403
    assert client.post("/admin/start/gift", data=DATA).status_code == 403


def test_an_unknown_type_is_a_404_that_names_the_types(client):
    answer = client.get("/admin/start/present")
    assert answer.status_code == 404
    assert "choose one of gift" in seen(answer)
