"""The description of the API is complete, committed, correct for every example, and shown without a network."""

import hashlib
import json
import re
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from app import create_app
from app.access.permissions import Role, need_of
from app.api.openapi.document import documented, text_of
from app.api.openapi.operation import operation_of
from app.config import from_environment
from app.services import services
from app.store.database import db

ROOT = Path(__file__).parents[3]
SWAGGER = ROOT / "app" / "static" / "swagger"


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    return create_app(from_environment({"DATABASE_URL": f"sqlite:///{tmp_path_factory.mktemp('openapi') / 'saga.db'}"}))


@pytest.fixture(scope="module")
def document(app):
    return json.loads(text_of(app))


def operations(document):
    return [(path, method, shown) for path, item in document["paths"].items() for method, shown in item.items()]


def of_pages(app, endpoint):
    """Return True for a page that people open in a browser, and for the static files of pages."""
    view = app.view_functions[endpoint]
    if operation_of(view) is not None:  # also an operation that only a signed-in person may use
        return False
    return (
        isinstance(need_of(endpoint, view), Role)
        or endpoint.startswith(("access.", "provider."))
        or endpoint in {"static", "admin_doors.show"}
    )


def test_every_route_is_documented(app):
    routes = {rule.rule for rule in app.url_map.iter_rules() if not of_pages(app, rule.endpoint)}
    assert routes == {rule.rule for rule, _ in documented(app)}


def test_the_committed_document_is_up_to_date(app):
    committed = (ROOT / "docs" / "openapi.json").read_text()
    assert committed == text_of(app), "run `flask --app app openapi > docs/openapi.json`"


def test_operation_ids_are_unique(document):
    names = [shown["operationId"] for _, _, shown in operations(document)]
    assert len(names) == len(set(names))


def test_every_error_is_a_problem_document(document):
    for path, method, shown in operations(document):
        for status, answer in shown["responses"].items():
            if status >= "400":
                schemas = {kind: content["schema"] for kind, content in answer["content"].items()}
                assert schemas == {"application/problem+json": {"$ref": "#/components/schemas/Problem"}}, (path, method)


def test_operation_with_a_body_documents_its_errors(document):
    for path, method, shown in operations(document):
        assert ("requestBody" in shown) == ({"400", "413", "415"} <= shown["responses"].keys()), (path, method)


def test_documented_schema_creates_every_saga_type(app, document):
    body = document["paths"]["/api/v1/sagas"]["post"]["requestBody"]["content"]["application/json"]
    names = {definition.name for definition in services(app).registry}
    assert body["schema"]["discriminator"]["mapping"].keys() == body["examples"].keys() == names
    assert len(body["schema"]["oneOf"]) == len(names)


def test_every_example_works_unchanged(client, document):
    pasted = 0
    for path, method, shown in operations(document):
        content = shown.get("requestBody", {}).get("content", {}).get("application/json", {})
        for name, example in content.get("examples", {}).items():
            answer = client.open(path, method=method.upper(), json=example["value"])
            assert answer.status_code in (200, 201, 202), (path, name, answer.get_data(as_text=True))
            pasted += 1
    assert pasted >= 10


def test_every_link_leads_to_an_operation(document):
    names = {shown["operationId"] for _, _, shown in operations(document)}
    links = [
        link
        for _, _, shown in operations(document)
        for answer in shown["responses"].values()
        for link in answer.get("links", {}).values()
    ]
    assert {link["operationId"] for link in links} <= names
    assert {"sagas_execute", "sagas_compensate", "checkout_show"} <= {link["operationId"] for link in links}


def test_document_is_built_once(app):
    first, second = (app.test_client().get("/openapi.json") for _ in range(2))
    assert first.content_type == "application/json"
    assert first.data == second.data == services(app).openapi


@pytest.mark.parametrize("path", ["/docs", "/api-docs"])
def test_swagger_page_has_a_strict_policy_and_all_files(app, path):
    answer = app.test_client().get(path)
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
    assert "unsafe" not in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    page = answer.get_data(as_text=True)
    for source in re.findall(r'(?:src|href)="([^"]+)"', page):
        with app.test_client().get(f"/{source}") as file:
            assert file.status_code == 200, source
    assert not re.search(r"<script>|<style|style=|https?://", page + (SWAGGER / "init.js").read_text())


def test_swagger_page_leaves_the_main_landmark_to_swagger_ui(app):
    page = app.test_client().get("/docs").text
    without_scripts = page[page.index("<noscript>") : page.index("</noscript>")]
    assert "<main>" in without_scripts
    assert "<main" not in page.replace(without_scripts, ""), "Swagger UI has its own, and a page has one"


def test_swagger_ui_files_have_the_recorded_sums():
    for digest, name in re.findall(r"^([0-9a-f]{64})  (\S+)$", (SWAGGER / "README.md").read_text(), re.MULTILINE):
        assert hashlib.sha256((SWAGGER / name).read_bytes()).hexdigest() == digest, name


def test_unstorable_text_is_refused_as_a_filter(client):
    for name in ("type", "state", "client", "store"):
        assert client.get("/api/v1/sagas", query_string={name: "a\x00b"}).status_code == 400, name
    db.session.rollback()


def test_a_moment_is_the_same_in_every_time_zone(client):
    data = {"type": "checkout", "data": {"client_id": 4, "magasin_id": 1}}
    created = datetime.fromisoformat(client.post("/api/v1/sagas", json=data).get_json()["saga"]["created_at"])
    for hours in (-22, 0, 10):
        before = (created - timedelta(minutes=1)).astimezone(timezone(timedelta(hours=hours))).isoformat()
        for name, found in (("created_from", 1), ("created_to", 0)):
            answer = client.get("/api/v1/sagas", query_string={name: before})
            assert answer.get_json()["pagination"]["total"] == found, (name, before)


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_moment_outside_the_years_is_refused(client, moment):
    for name in ("created_from", "created_to"):
        assert client.get("/api/v1/sagas", query_string={name: moment}).status_code == 400, name
