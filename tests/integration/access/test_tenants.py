"""A sender with a tenant sees and moves only the sagas of this tenant, at every route and on both databases."""

import re
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import func, insert, select, update

from app.access.permissions import Role, Scope
from app.errors import ConflictError, InvalidError
from app.services import services
from app.store.access_models import AuditRow
from app.store.audit import Entry
from app.store.bulk import BulkStore
from app.store.console_models import BulkItemRow, BulkJobRow, CaseRow, PresenceRow
from app.store.message_models import DeliveryRow, ParkedRow
from app.store.models import ArrivalRow, JournalRow, RequestKeyRow, SagaRow
from app.store.process_models import ScheduleRow
from app.store.tenants import act_for, acting_for, acting_tenant
from tests.integration.access.conftest import AT, Browser, hashed
from tests.integration.access.test_matrix import ROUTES, VALUES

SAGAS = "/api/v1/sagas"
#: The client of the other tenant's saga. Nothing else contains this number.
CLIENT = 777_123
#: A parameter in the path of a route: `<uuid:saga_id>`.
PARAMETER = re.compile(r"<(?:[a-z]+(?:\(.*?\))?:)?([a-z_]+)>")
_PAGES = ("viewer", "operator", "admin")
TABLES = (
    SagaRow, RequestKeyRow, JournalRow, ArrivalRow, CaseRow, PresenceRow, BulkJobRow, BulkItemRow, ScheduleRow,
    DeliveryRow, ParkedRow,
)  # fmt: skip
#: A schedule of the other tenant, and one of acme.
SCHEDULE, OWN_SCHEDULE = "nightly-of-other", "nightly-of-acme"
#: Id of a message to a webhook about the other tenant's saga, which was not delivered.
DELIVERY = 4711


class Program:
    """A program with an API key that has every scope, in its tenant."""

    def __init__(self, service, name, tenant=""):
        self.client = service.app.test_client()
        self.headers = {"X-API-Key": service.key(*Scope, name=name, tenant=tenant)}

    def send(self, method, path, body=None, **headers):
        return self.client.open(path, method=method, json=body, headers=self.headers | headers)

    def schedule(self, name, client_id=4):
        data = {"client_id": client_id, "magasin_id": 1}
        return self.send(
            "POST", "/api/v1/schedules", {"name": name, "type": "checkout", "data": data, "cron": "0 3 * * *"}
        )

    def draft(self, client_id=4, **headers):
        body = {"type": "checkout", "data": {"client_id": client_id, "magasin_id": 1}}
        answer = self.send("POST", SAGAS, body, **headers)
        assert answer.status_code in (200, 201), answer.text
        return answer.json["saga"]["id"]


@pytest.fixture
def acme(admin_service):
    return Program(admin_service, "acme-shop", "acme")


@pytest.fixture
def person(admin_service):
    """An operator of the tenant acme, signed in."""
    services(admin_service.app).users.add("otto", "operator", hashed(), "cli:test", tenant="acme")
    browser = Browser(admin_service.app.test_client())
    assert browser.sign_in("otto").status_code == 303
    return browser


@pytest.fixture
def acts_for():
    yield act_for
    act_for(None)


@pytest.fixture
def foreign(admin_service, acts_for):
    """The id of a stuck saga of the tenant other, with a case, a bulk job, a dead letter, a schedule and audit rows."""
    other = Program(admin_service, "other-shop", "other")
    saga_id = other.draft(CLIENT, **{"Idempotency-Key": "theirs"})
    letter = {"reason": "no such table", "body": f'{{"client": {CLIENT}}}', "tenant": "other"}
    admin_service.run(insert(ParkedRow).values(id=int(VALUES["parked_id"]), at=datetime.now(UTC), **letter))
    assert other.schedule(SCHEDULE, CLIENT).status_code == 201
    letter = {"webhook": "erp", "event": "stuck", "url": f"https://other.example/{CLIENT}", "attempts": 9}
    admin_service.run(
        insert(DeliveryRow).values(id=DELIVERY, saga_id=UUID(saga_id), seq=1, at=datetime.now(UTC), **letter)
    )
    admin_service.run(
        update(SagaRow).values(state="STUCK_STOCK_RESERVE", status="stuck", error=f"no stock for {CLIENT}")
    )
    olga = admin_service.browser(Role.OPERATOR)
    assert olga.post(f"/admin/sagas/{saga_id}/case/note", reason=f"asked {CLIENT}").status_code == 303
    acts_for("other")
    job = {"action": "retry", "reason": f"for {CLIENT}", "wanted": {}, "pace": 1.0}
    chosen = select(SagaRow.entered_at, SagaRow.id, SagaRow.state)
    entry = Entry(actor="user:olga", action="bulk.start", reason=f"for {CLIENT}")
    BulkStore(admin_service.engine).add(job, chosen, entry)
    acts_for(None)
    return saga_id


def stored(service):
    with service.engine.connect() as connection:
        return {table.__tablename__: connection.execute(select(table.__table__)).all() for table in TABLES}


def counts(service):
    with service.engine.connect() as connection:
        tables = (*TABLES, AuditRow)
        return {each.__tablename__: connection.scalar(select(func.count()).select_from(each)) for each in tables}


def requests(service, foreign):
    """Yield each route that needs a permission, its method, and its path to what belongs to another tenant."""
    with service.engine.connect() as connection:
        values = VALUES | {"saga_id": foreign, "name": "checkout", "job_id": connection.scalar(select(BulkJobRow.id))}
    values["delivery_id"] = DELIVERY
    for route, need in ROUTES.items():
        method, path = route.split(" ")
        values["name"] = SCHEDULE if "schedules" in path else "checkout"
        if need != "open":
            yield route, method, PARAMETER.sub(lambda found: str(values[found[1]]), path)


def assert_hidden(route, answer, foreign):
    hidden = any(
        each in route for each in ("saga_id", "job_id", "delivery_id", "parked_id", "/api/v1/schedules/<name>")
    )
    if hidden:
        assert answer.status_code == 404, (route, answer.status_code, answer.text)
    else:
        assert answer.status_code < 500, (route, answer.text)
        assert foreign not in answer.text, route
    assert str(CLIENT) not in answer.text, route


def test_no_route_shows_or_moves_a_saga_of_another_tenant_to_a_program(admin_service, acme, foreign):
    before = stored(admin_service)
    for route, method, path in requests(admin_service, foreign):
        if ROUTES[route] not in _PAGES:
            assert_hidden(route, acme.send(method, path, None if method == "GET" else {}), foreign)
    assert stored(admin_service) == before


def test_no_route_shows_or_moves_a_saga_of_another_tenant_to_a_person(admin_service, person, foreign):
    before = stored(admin_service)
    headers = {"Referer": f"{AT}/admin", "X-CSRFToken": person.token}
    form = {"reason": "because", "action": "retry", "found": "done", "hours": "1"}
    for route, method, path in requests(admin_service, foreign):
        body = {} if method == "GET" else {"data": form} if ROUTES[route] in _PAGES else {"json": {}}
        answer = person.client.open(path, method=method, base_url=AT, headers=headers, **body)
        assert_hidden(route, answer, foreign)
        answer.close()
    assert stored(admin_service) == before


def test_lists_and_pages_show_only_the_sagas_of_the_tenant(admin_service, acme, person, foreign):
    own = acme.draft()
    listed = acme.send("GET", SAGAS).json
    assert ([saga["id"] for saga in listed["sagas"]], listed["pagination"]["total"]) == ([own], 1)
    assert acme.send("GET", f"{SAGAS}?tenant=other").json["pagination"]["total"] == 0, "the filter opens nothing"
    assert own in person.get("/admin/sagas").text
    assert foreign in admin_service.browser(Role.VIEWER).get("/admin/sagas").text, "people of no tenant see all"


def test_tenant_moves_its_own_saga(acme, person):
    own = acme.draft()
    assert acme.send("POST", f"{SAGAS}/{own}/compensate", {"reason": "test"}).status_code < 300
    assert person.post(f"/admin/sagas/{own}/case/note", reason="looked at it").status_code == 303


def test_shared_figures_of_a_tenant_are_its_own(admin_service, person, foreign):
    viewer = admin_service.browser(Role.VIEWER)
    first, again, of_tenant = (who.get("/diagrams/checkout/heat.svg?window=7d") for who in (viewer, viewer, person))
    assert of_tenant.status_code == 200
    assert first.text == again.text != of_tenant.text, "the tenant has no saga there"
    assert person.get("/admin/rates").status_code == 200


def test_overview_counts_the_last_hour_of_the_tenant(admin_service, acme, person, foreign):
    admin_service.run(update(SagaRow).values(status="completed", state="CONFIRMEE"))
    row = re.compile(r'<td data-is="Completed" class="number"><a [^>]*>1</a></td>')
    for who, completed in ((admin_service.browser(Role.VIEWER), 1), (person, 0)):
        assert bool(row.search(who.get("/admin").text)) == bool(completed)


def test_what_is_for_all_tenants_is_refused_to_a_tenant(acme, person):
    assert "acme" in acme.send("GET", "/api/v1/participants").json["detail"]
    assert acme.send("GET", "/api/v1/participants").status_code == 403
    assert person.get("/admin/participants").status_code == 403
    assert 'href="/admin/participants"' not in person.get("/admin").text


def test_tenant_sees_retries_and_discards_its_own_dead_letters(admin_service, acme, person, foreign):
    letters = [
        {"id": number, "at": datetime.now(UTC), "reason": f"reason {number}", "body": "{}", "tenant": tenant}
        for number, tenant in ((101, "acme"), (102, "acme"), (103, None))
    ]
    admin_service.run(insert(ParkedRow).values(letters))
    assert [row["id"] for row in acme.send("GET", "/api/v1/events/parked").json["parked"]] == [101, 102]
    page = person.get("/admin/parked").text
    assert ("reason 101" in page, "reason 103" in page) == (True, False)
    assert acme.send("POST", "/api/v1/events/parked/101/retry").status_code == 400, "it is no event"
    assert acme.send("POST", "/api/v1/events/parked/101/discard", {"reason": "ours"}).status_code == 200
    assert person.post("/admin/parked/102/discard", reason="ours").status_code == 303
    assert acme.send("POST", "/api/v1/events/parked/103/discard", {"reason": "not ours"}).status_code == 404
    everybody = Program(admin_service, "root").send("GET", "/api/v1/events/parked").json["parked"]
    assert {row["id"] for row in everybody} == {int(VALUES["parked_id"]), 103}


def test_tenant_sees_and_changes_only_its_own_schedules(admin_service, acme, person, foreign):
    assert acme.schedule(OWN_SCHEDULE).status_code == 201
    assert [each["name"] for each in acme.send("GET", "/api/v1/schedules").json["schedules"]] == [OWN_SCHEDULE]
    assert acme.send("POST", f"/api/v1/schedules/{OWN_SCHEDULE}/pause", {}).status_code == 200
    assert acme.send("POST", f"/api/v1/schedules/{OWN_SCHEDULE}/resume", {}).status_code == 200
    page = person.get("/admin/schedules").text
    assert OWN_SCHEDULE in page
    assert SCHEDULE not in page
    assert 'href="/admin/schedules"' in person.get("/admin").text
    everything = admin_service.browser(Role.VIEWER).get("/admin/schedules").text
    assert (SCHEDULE in everything, OWN_SCHEDULE in everything) == (True, True)
    assert re.findall("tenant (acme|other)", everything) == ["acme", "other"]


def test_saga_of_a_tenants_schedule_belongs_to_the_tenant(admin_service, acme, foreign):
    assert acme.schedule(OWN_SCHEDULE).status_code == 201
    past = datetime.now(UTC) - timedelta(minutes=1)
    admin_service.run(update(ScheduleRow).where(ScheduleRow.name == OWN_SCHEDULE).values(next_at=past))
    schedules = services(admin_service.app).schedules
    schedules._tables.compare()
    schedules.start_due()
    (started,) = acme.send("GET", SAGAS).json["sagas"]
    assert acme.send("GET", f"/api/v1/schedules/{OWN_SCHEDULE}").json["last_saga_id"] == started["id"]
    with admin_service.engine.connect() as connection:
        assert connection.scalar(select(SagaRow.tenant).where(SagaRow.id == UUID(started["id"]))) == "acme"


def test_tenant_sees_and_moves_only_its_own_dead_letters(admin_service, acme, person, foreign):
    own = UUID(acme.draft())
    letter = {"webhook": "erp", "event": "stuck", "url": "https://acme.example", "attempts": 9, "error": "500"}
    admin_service.run(insert(DeliveryRow).values(id=7, saga_id=own, seq=1, at=datetime.now(UTC), **letter))
    assert [each["id"] for each in acme.send("GET", "/api/v1/webhooks/dead").json["messages"]] == [7]
    assert "https://acme.example" in person.get("/admin/webhooks").text
    assert acme.send("POST", "/api/v1/webhooks/7/redeliver", {"reason": "again"}).status_code == 200


def test_audit_page_of_a_tenant_shows_its_sagas_and_an_intact_trail(acme, person, foreign):
    own = acme.draft()
    person.post(f"/admin/sagas/{own}/case/note", reason="looked at it")
    page = person.get("/admin/audit").text
    assert own in page
    assert foreign not in page
    assert "user.add" not in page, "a row about no saga is for people of no tenant"
    assert "The chain is whole" in page
    assert person.post("/admin/account/sessions/end").status_code == 303, "such a row is appended, too"


def test_idempotency_key_belongs_to_the_tenant(admin_service, acme):
    programs = acme, Program(admin_service, "other-shop", "other"), Program(admin_service, "shop")
    first = [program.draft(**{"Idempotency-Key": "order-1"}) for program in programs]
    assert len(set(first)) == len(programs)
    assert [program.draft(**{"Idempotency-Key": "order-1"}) for program in programs] == first


def test_request_after_that_of_a_tenant_sees_all_sagas_again(admin_service, acme, foreign):
    assert acme.send("GET", f"{SAGAS}/{foreign}").status_code == 404
    assert acting_tenant() is None, "an open route, such as that of a participant's answer, is for all tenants"
    assert Program(admin_service, "shop").send("GET", f"{SAGAS}/{foreign}").status_code == 200


def test_database_itself_hides_the_rows_of_other_tenants(admin_service, acme, foreign, acts_for):
    acme.draft(**{"Idempotency-Key": "mine"})
    acts_for("acme")
    found = counts(admin_service)
    assert {name: rows for name, rows in found.items() if rows} == {"saga": 1, "request_key": 1, "journal": 1}
    with acting_for(None):
        everything = counts(admin_service)
    assert everything["saga"] == everything["journal"] == 2
    assert everything["audit"] > everything["saga_case"] == everything["bulk_item"] == 1


def test_name_of_a_key_stays_with_its_tenant(admin_service, acme):
    with pytest.raises(ConflictError, match="another tenant"):
        admin_service.key("read", name="acme-shop")


def test_admin_of_a_tenant_is_refused(admin_service, person):
    users = services(admin_service.app).users
    with pytest.raises(InvalidError, match="all tenants"):
        users.add("anna", "admin", hashed(), "cli:test", tenant="acme")
    with pytest.raises(InvalidError, match="all tenants"):
        users.change_role("otto", "admin", "cli:test")


@pytest.mark.parametrize("name", ["Acme", "a'b", "a%b", "a b", "x" * 65])
def test_tenant_with_an_illegal_name_is_refused(admin_service, name):
    with pytest.raises(InvalidError, match="1 to 64"):
        admin_service.key("read", name="mine", tenant=name)


def test_a_person_compares_with_no_saga_of_another_tenant(admin_service, acme, person, foreign):
    own = acme.draft()
    page = person.get(f"/admin/sagas/{own}/compare")
    assert page.status_code == 200
    assert foreign not in page.text
    assert str(CLIENT) not in page.text
    answer = person.get(f"/admin/sagas/{own}/compare?with={foreign}")
    assert answer.status_code == 404
    assert str(CLIENT) not in answer.text
    assert person.get(f"/admin/sagas/{own}/compare?with={acme.draft(5)}").status_code == 200
