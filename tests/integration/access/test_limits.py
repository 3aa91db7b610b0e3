"""An API key with limits sees and moves only the sagas within them: of some types, or those it has started itself."""

import shutil
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from app.access.grants import granted
from app.access.permissions import Scope
from app.access.principal import key
from app.access.signals import require_role
from app.errors import ForbiddenError
from app.store.models import SagaRow
from tests.integration.access.test_matrix import ROUTES, VALUES

CHECKOUT = {"client_id": 4, "magasin_id": 1}
PURCHASE = {
    "store_id": 1, "customer_id": 123, "payment_method": "credit_card", "amount": 29.99,
    "items": [{"product_id": 456, "quantity": 1, "price": 29.99}],
}  # fmt: skip
COMMANDE = {
    "client_id": "550e8400-e29b-41d4-a716-446655440000",
    "lignes": [{"produit_id": "550e8400-e29b-41d4-a716-446655440001", "quantite": 1}],
}
SAGAS = "/api/v1/sagas"


@pytest.fixture
def store_url(sqlite_url, sqlite_template, tmp_path):
    """Use SQLite only; permissions do not depend on the database."""
    shutil.copy(sqlite_template, tmp_path / "saga.db")
    return sqlite_url


class Program:
    """A program with an API key."""

    def __init__(self, service, name, *grants):
        self.client = service.app.test_client()
        self.headers = {"X-API-Key": service.key(*grants, name=name)}

    def send(self, method, path, body=None):
        return self.client.open(path, method=method, json=body, headers=self.headers)

    def draft(self, saga_type="checkout", data=CHECKOUT):
        answer = self.send("POST", SAGAS, {"type": saga_type, "data": data})
        assert answer.status_code == 201, answer.text
        return answer.json["saga"]["id"]


@pytest.fixture
def program(admin_service):
    return lambda name, *grants: Program(admin_service, name, *grants)


@pytest.fixture
def other(program):
    """Another program, which may do everything."""
    return program("other", *Scope)


def of_api():
    return sorted(route for route, need in ROUTES.items() if need in set(Scope) and "/replies/" not in route)


def test_saga_of_another_program_is_answered_like_one_that_does_not_exist(program, other):
    shop = program("shop", "read:own", "start:own", "operate:own")
    foreign, own = other.draft(), shop.draft()
    asked = 0
    for route in of_api():
        if "saga_id" not in route or "/api/saga/" in route:
            continue
        method, path = route.split(" ")
        answers = {}
        for saga_id in (foreign, own, VALUES["saga_id"]):
            url = path.replace("<uuid:saga_id>", saga_id).replace("<name>", "paid")
            answers[saga_id] = shop.send(method, url)
        assert answers[foreign].status_code == 404, route
        detail = answers[foreign].json["detail"]
        assert detail.replace(foreign, "ID") == answers[VALUES["saga_id"]].json["detail"].replace(
            VALUES["saga_id"], "ID"
        )
        if not route.endswith("/signals/<name>"):  # this saga waits for no signal
            assert answers[own].status_code not in (403, 404), route
        asked += 1
    assert asked > 8
    assert other.send("GET", f"{SAGAS}/{foreign}").json["status"] == "pending", "nothing has moved it"


def test_no_answer_to_a_limited_key_has_a_saga_of_another_program(program, other):
    shop = program("shop", "read:own", "start:own", "operate:own")
    foreign, own = other.draft(data=CHECKOUT | {"client_id": 777_123}), shop.draft()
    for route in of_api():
        method, path = route.split(" ")
        if "saga_id" in route or method != "GET":
            continue
        for name, value in VALUES.items():
            path = path.replace(f"<{name}>", "checkout" if name == "name" else value)
        answer = shop.send(method, path.replace("<any(svg,puml,dot,mmd,md):kind>", "svg"))
        assert foreign not in answer.text, route
        assert "777123" not in answer.text, route
    listed = shop.send("GET", SAGAS).json
    assert ([saga["id"] for saga in listed["sagas"]], listed["pagination"]["total"]) == ([own], 1)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/v1/schedules"),
        ("GET", "/api/v1/events/parked"),
        ("GET", "/diagrams/checkout/heat.svg?window=1h"),
        ("POST", "/api/v1/schedules"),
    ],
)
def test_view_of_more_than_one_saga_is_refused_to_a_limited_key(program, method, path):
    answer = program("shop", "read:checkout", "operate:checkout").send(method, path, {})
    assert answer.status_code == 403
    assert "for all sagas" in answer.json["detail"]


def test_difference_of_two_versions_counts_only_sagas_that_the_key_may_read(admin_service, program, other):
    other.draft("purchase_saga", PURCHASE)
    path = "/diagrams/purchase_saga/diff.md?from=1&to=2"
    nobody = other.send("GET", path).text
    admin_service.run(update(SagaRow).values(definition_version=1))
    everybody = other.send("GET", path).text
    assert everybody != nobody
    for name, grant, seen in (
        ("own", "read:own", nobody),
        ("returns", "read:return_saga", nobody),
        ("purchases", "read:purchase_saga", everybody),
    ):
        assert program(name, grant).send("GET", path).text == seen


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (SAGAS, {"type": "purchase_saga", "data": PURCHASE}),
        (f"{SAGAS}/purchase_saga", PURCHASE),
        (f"{SAGAS}/purchase_saga?start_at=TOMORROW", PURCHASE),
        (f"{SAGAS}/purchase_saga/batch", {"starts": [{"key": "1", "data": PURCHASE}]}),
        ("/api/saga/commandes/", {}),
    ],
)
def test_key_starts_no_saga_of_another_type(program, path, body):
    shop = program("shop", "start:checkout", "read")
    answer = shop.send("POST", path.replace("TOMORROW", f"{datetime.now(UTC) + timedelta(days=1):%FT%TZ}"), body)
    assert answer.status_code == 403, answer.text
    assert "needs the scope start:" in answer.json["detail"]
    assert shop.send("GET", SAGAS).json["sagas"] == []


def test_list_shows_the_types_and_own_sagas_of_a_key(program, other):
    auditor = program("auditor", "read:purchase_saga", "read:checkout:own", "start")
    purchase, own = other.draft("purchase_saga", PURCHASE), auditor.draft()
    other.draft()
    assert {saga["id"] for saga in auditor.send("GET", SAGAS).json["sagas"]} == {purchase, own}
    other.draft("commande", COMMANDE)
    assert auditor.send("GET", "/api/saga/sagas/").json["sagas"] == []


def test_move_is_answered_without_steps_to_a_key_that_may_not_read(program, other):
    saga_id = other.draft()
    starter = program("starter", "start")
    answer = starter.send("POST", f"{SAGAS}/{saga_id}/execute")
    assert answer.status_code in (200, 202)
    assert answer.json["saga"]["id"] == saga_id
    assert "steps" not in answer.json["saga"]
    assert "data" not in answer.json["saga"]


@pytest.mark.parametrize(
    ("grants", "allowed"),
    [
        (["operate"], True),
        (["operate:order"], True),
        (["operate:own"], False),
        (["operate:order:own"], False),
        (["operate:refund"], False),
        (["operate:refund", "operate:order"], True),
        (["start", "read"], False),
    ],
)
def test_approval_counts_only_from_a_key_that_may_operate_this_saga(grants, allowed):
    class Step:
        name = "approve"

        class waits:  # noqa: N801
            role = "operator"

    saga = SagaRow(definition="order", started_by="key:other")
    if allowed:
        require_role(Step, key("shop", grants), saga)
    else:
        with pytest.raises(ForbiddenError, match="needs the role operator"):
            require_role(Step, key("shop", grants), saga)


def test_scope_without_limits_wins_over_one_with_limits():
    assert granted(["read:own", "read", "start:checkout"])[1].keys() == {Scope.START}


@pytest.mark.parametrize(
    "grant", ["read:chekout", "write", "read:", "read:own:checkout", "read:checkout:mine", "start:a:b", ":own", ""]
)
def test_grant_that_cannot_be_meant_is_refused(admin_service, grant):
    done = admin_service.app.test_cli_runner().invoke(args=["saga", "key", "add", "shop", "--scope", grant])
    assert done.exit_code == 2
    assert "grant" in done.output or "no type of saga" in done.output
    assert len(done.output.strip().splitlines()) == 1
