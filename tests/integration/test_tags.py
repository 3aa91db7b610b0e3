"""People find sagas by tags and by business reference: with the API, the pages and the command line."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from flask.testing import FlaskClient
from sqlalchemy import event, text

from app import create_app
from app.access.permissions import Role
from app.access.principal import user
from app.config import from_environment
from app.services import services
from app.store import retention
from app.store.database import db
from app.store.lists import SagaFilter, newest, page
from app.store.models import SagaTagRow
from app.views.states import final_states
from tests.support.servers import OPEN

SAGAS = Path(__file__).parents[1] / "support" / "tagged_sagas"
ADA = {"customer": "Ada", "ref": 1}


@pytest.fixture
def client(store_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[FlaskClient]:
    """Return a client of the application, signed in as operator. The participant is not reachable."""
    monkeypatch.setattr("app.access.authorization.signed_in", lambda: user("ada", Role.OPERATOR))
    monkeypatch.setattr("app.access.authorization._check_session", lambda: None)
    settings = {"DATABASE_URL": store_url, "SAGAS": str(SAGAS), "PARTICIPANTS_URL": "http://127.0.0.1:9"}
    app = create_app(from_environment(OPEN | settings))
    with app.app_context():
        yield app.test_client()
        services(app).runner.stop()
        db.session.remove()
        db.engine.dispose()


def start(client: FlaskClient, data: dict[str, Any], name: str = "parcel") -> str:
    made = client.post("/api/v1/sagas", json={"type": name, "data": data})
    assert made.status_code == 201, made.json
    return made.json["saga"]["id"]


def found(client: FlaskClient, query: str) -> list[str]:
    answer = client.get(f"/api/v1/sagas?sort=created_at&{query}")
    assert answer.status_code == 200, answer.json
    assert answer.json["pagination"]["total"] == len(answer.json["sagas"])
    return [saga["id"] for saga in answer.json["sagas"]]


@pytest.fixture
def sagas(client: FlaskClient) -> list[str]:
    """Return the ids of three parcels and a visit."""
    eve = {"customer": "Eve: the 2nd", "ref": 1, "gift": True, "note": "fast"}
    parcels = [start(client, data) for data in (ADA, ADA | {"ref": 2}, eve)]
    return [*parcels, start(client, {"customer": "Ada"}, "visit")]


def test_the_api_finds_sagas_by_their_tags(client, sagas):
    ada, second, eve, visit = sagas
    assert found(client, "tag=customer:Ada") == [ada, second, visit]
    assert found(client, "type=parcel&tag=customer:Ada") == [ada, second]
    assert found(client, "tag=customer:Ada&tag=ref:2") == [second]
    assert found(client, "tag=customer:Eve:%20the%202nd") == [eve]
    assert found(client, "tag=gift:true") == [eve]
    assert found(client, "tag=gift:false&status=pending") == [ada, second]
    assert found(client, "tag=note:fast") == [eve]
    assert found(client, "tag=customer:ada") == []


def test_the_api_finds_sagas_by_their_number(client, sagas):
    ada, second, eve, _ = sagas
    assert found(client, "order=1") == [ada, eve]
    assert found(client, "order=2&tag=customer:Ada") == [second]
    assert found(client, "order=3") == []


@pytest.mark.parametrize(
    ("query", "pointer", "detail"),
    [
        ("tag=customer", "/tag/0", "Not a tag with its value, such as customer:Ada."),
        ("tag=customer:", "/tag/0", "Not a tag with its value, such as customer:Ada."),
        (
            "tag=ref:1&tag=custmer:Ada",
            "/tag/1",
            "No table has the tag 'custmer'; the tags are customer, gift, note, ref.",
        ),
        ("tag=customer:%00", "/tag/0", "It has a NUL character in a text; leave it out; it cannot be stored."),
    ],
)
def test_a_wrong_tag_is_named_with_its_remedy(client, query, pointer, detail):
    answer = client.get(f"/api/v1/sagas?{query}")
    assert answer.status_code == 400
    assert answer.json["errors"] == [{"pointer": pointer, "detail": detail}]


def rows(client: FlaskClient, path: str) -> list[str]:
    page = client.get(path).get_data(as_text=True)
    return [
        saga_id for saga_id in [part.split('"')[0] for part in page.split("/admin/sagas/")[1:]] if len(saga_id) == 36
    ]


def test_the_pages_have_the_filter_words_of_the_api(client, sagas):
    ada, second, eve, visit = sagas
    assert rows(client, "/admin/sagas?tag=customer:Ada") == [visit, second, ada]
    assert rows(client, "/admin/sagas?tag=customer:Ada&tag=ref:2") == [second]
    assert rows(client, "/admin/sagas?order=1&client=Ada") == [ada]
    assert rows(client, "/admin/sagas?q=&tag=&order=1&store=") == [eve, ada]
    assert rows(client, "/admin/sagas?created_to=2020-01-31") == []
    assert rows(client, "/admin/sagas?created_from=2020-01-31&tag=ref:2") == [second]
    form = client.get("/admin/sagas?tag=customer:Ada&tag=ref:2").get_data(as_text=True)
    assert 'name="tag" value="customer:Ada"' in form
    assert 'name="tag" value="ref:2"' in form
    assert client.get("/admin/sagas?tag=nobody:Ada").status_code == 400


def test_the_next_page_keeps_every_tag(client, monkeypatch):
    monkeypatch.setattr("app.admin.sagas.PAGE", 1)
    for _ in range(2):
        start(client, ADA)
    page = client.get("/admin/sagas?tag=customer:Ada&tag=ref:1").get_data(as_text=True)
    following = page.split('rel="next" href="')[1].split('"')[0].replace("&amp;", "&")
    assert "tag=customer:Ada&tag=ref:1" in following.replace("%3A", ":")
    assert len(rows(client, following)) == 1


def test_the_page_of_stuck_sagas_narrows_its_groups_and_their_actions(client, sagas):
    stuck = text("UPDATE saga SET status = 'stuck', state = 'STUCK_SEND' WHERE definition = 'parcel'")
    db.session.execute(stuck)
    db.session.commit()
    assert sorted(rows(client, "/admin/stuck?tag=customer:Ada")) == sorted(sagas[:2])
    page = client.get("/admin/stuck?tag=customer:Ada").get_data(as_text=True)
    action = page.split('href="/admin/stuck/group?')[1].split('"')[0].replace("&amp;", "&")
    dry_run = client.get(f"/admin/stuck/group?{action}").get_data(as_text=True)
    assert "all 2 sagas" in dry_run
    assert "tag=customer:Ada" in dry_run.replace("%3A", ":")


def listed(client: FlaskClient, *options: str) -> Any:
    done = client.application.test_cli_runner().invoke(args=["saga", "list", "--json", *options])
    return [json.loads(line)["id"] for line in done.stdout.splitlines()] if done.exit_code == 0 else done


def test_the_command_line_has_the_filter_words_of_the_api(client, sagas):
    ada, second, eve, visit = sagas
    assert listed(client, "--tag", "customer=Ada") == [visit, second, ada]
    assert listed(client, "--tag", "customer=Ada", "--tag", "ref=2") == [second]
    assert listed(client, "--order", "1", "--client", "Ada") == [ada]
    assert listed(client, "--created-to", "2020-01-31") == []
    assert listed(client, "--order", "1", "--created-from", "2020-01-31T00:00:00+01:00") == [eve, ada]


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (("--tag", "customer"), "saga: --tag: 'customer' is no NAME=VALUE; try: saga list --tag customer=Ada\n"),
        (("--tag", "no=1"), "saga: --tag: No table has the tag 'no'; the tags are customer, gift, note, ref\n"),
        (("--created-from", "soon"), "saga: --created-from: Not a valid datetime\n"),
    ],
)
def test_a_wrong_filter_is_one_line_and_exit_code_2(client, options, error):
    done = listed(client, *options)
    assert (done.exit_code, done.stderr) == (2, error)


def test_a_batch_writes_tags_too(client):
    starts = [{"key": f"k{number}", "data": ADA | {"ref": number}} for number in (1, 2)]
    answer = client.post("/api/v1/sagas/parcel/batch", json={"starts": starts})
    ids = [result["saga"]["id"] for result in answer.json["results"]]
    assert [found(client, f"tag=ref:{number}") for number in (1, 2)] == [[ids[0]], [ids[1]]]


def test_the_saga_of_another_sender_with_the_same_key_has_its_tags(client):
    made = [services().sagas.create("parcel", ADA, key="k", by=by, sent=ADA) for by in ("key:shop", "key:mall")]
    assert found(client, "tag=customer:Ada") == [str(each.id) for each in made]


def test_a_start_that_fails_leaves_no_tag(client, monkeypatch):
    def fail(*_: Any) -> None:
        raise RuntimeError

    monkeypatch.setattr("app.store.instance.Instance.tags", property(fail))
    assert client.post("/api/v1/sagas", json={"type": "parcel", "data": ADA}).status_code == 500
    assert db.session.execute(text("SELECT count(*) FROM saga")).scalar_one() == 0


def test_tags_are_deleted_with_their_saga(client, sagas):
    db.session.execute(text("UPDATE saga SET status = 'completed' WHERE definition = 'parcel'"))
    db.session.commit()
    assert db.session.query(SagaTagRow).count() > 1
    assert retention.delete_ended([UUID(each) for each in sagas]) == 3
    assert [(row.name, row.value) for row in db.session.query(SagaTagRow)] == [("customer", "Ada")]


def test_an_index_finds_the_sagas_of_a_tag(client, sagas):
    asked: list[Any] = []
    event.listen(db.engine, "before_cursor_execute", lambda _c, _u, sql, given, *_: asked.append((sql, given)))
    registry = services().registry
    wanted = SagaFilter(definitions=("parcel",), tags=(("customer", "Ada"),))
    page(wanted, registry)
    newest(wanted, final_states(registry), 50)
    newest(SagaFilter(tags=(("customer", "Ada"), ("ref", "2"))), final_states(registry), 50)
    statements = [each for each in asked if "saga_tag" in each[0]]
    connection = db.session.connection()
    postgresql = db.engine.dialect.name == "postgresql"
    if postgresql:  # with few rows PostgreSQL would scan the table or its primary key, although an index exists
        connection.exec_driver_sql("SET enable_seqscan = off")
        connection.exec_driver_sql("ALTER TABLE saga_tag DROP CONSTRAINT saga_tag_pkey")
    explain = "EXPLAIN" if postgresql else "EXPLAIN QUERY PLAN"
    for sql, given in statements:
        plan = "\n".join(str(row[-1]) for row in connection.exec_driver_sql(f"{explain} {sql}", given))
        assert "saga_tag_value" in plan, plan
        assert "Seq Scan" not in plan, plan
        assert "SCAN saga" not in plan, plan
    db.session.rollback()
    assert len(statements) > 3
