"""The list of sagas as a file, the columns of the list, and the search box of every page."""

import csv
import io
import json
import re
from datetime import timedelta

import pytest
from sqlalchemy import update

from app.admin import export
from app.store.database import db, in_seconds
from app.store.lists import ORDERS
from app.store.models import SagaRow
from tests.integration.admin.conftest import seen

DONE = ("succeeded",) * 5


def rows(answer):
    return list(csv.DictReader(io.StringIO(answer.get_data(as_text=True))))


def change(saga, **values):
    db.session.execute(update(SagaRow).where(SagaRow.id == saga.id).values(**values))
    db.session.commit()


def test_csv_has_each_saga_of_the_list_the_newest_first(client, walk):
    first, second = walk(*DONE), walk("succeeded")
    answer = client.get("/admin/sagas/export.csv")
    assert answer.content_type == "text/csv; charset=utf-8"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="sagas.csv"'
    found = rows(answer)
    assert [row["id"] for row in found] == [str(second.id), str(first.id)]
    assert (found[1]["status"], found[1]["order"], found[0]["took_s"]) == ("completed", "sale-17", "")
    assert float(found[1]["took_s"]) >= 0


def test_json_has_the_filters_of_the_page(client, walk):
    walk(*DONE)
    running = walk("succeeded")
    lines = client.get("/admin/sagas/export.json?status=running").get_data(as_text=True).splitlines()
    assert [json.loads(line)["id"] for line in lines] == [str(running.id)]
    assert client.get("/admin/sagas/export.json?status=nothing").status_code == 400
    assert client.get("/admin/sagas/export.xml").status_code == 404


@pytest.mark.parametrize("client_text", ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx"])
def test_text_that_a_spreadsheet_would_run_has_a_quote_before_it(client, walk, client_text):
    saga = walk("succeeded")
    change(saga, client=client_text)
    assert rows(client.get("/admin/sagas/export.csv"))[0]["client"] == f"'{client_text}"
    assert json.loads(client.get("/admin/sagas/export.json").get_data(as_text=True))["client"] == client_text


def test_export_reads_part_by_part_and_ends_at_its_bound(client, walk, monkeypatch):
    monkeypatch.setattr(export, "PART", 2)
    monkeypatch.setattr(export, "MOST_SAGAS", 4)
    sagas = [walk("succeeded") for _ in range(5)]
    found = rows(client.get("/admin/sagas/export.csv"))
    assert [row["id"] for row in found] == [str(saga.id) for saga in sagas[:0:-1]]


@pytest.mark.parametrize("order", ORDERS)
def test_export_has_the_order_of_the_list_and_all_its_sagas(client, walk, monkeypatch, order):
    monkeypatch.setattr(export, "PART", 2)
    monkeypatch.setattr(export, "MOST_SAGAS", 4)
    sagas = [walk("succeeded") for _ in range(3)]
    change(sagas[1], updated_at=in_seconds(60), created_at=in_seconds(-60))
    page = client.get(f"/admin/sagas?sort={order}").text.partition("<tbody>")[2]
    listed = re.findall(r'title="([0-9a-f-]{36})"', page)
    assert len(listed) == len(sagas)
    assert [row["id"] for row in rows(client.get(f"/admin/sagas/export.csv?sort={order}"))] == listed


def test_export_has_no_secret_of_an_error(client, walk):
    walk("succeeded", "succeeded", "succeeded", "exhausted", reason="password=hunter2")
    for form in ("csv", "json"):
        assert "hunter2" not in client.get(f"/admin/sagas/export.{form}").get_data(as_text=True)


def test_list_shows_order_and_time_taken_and_links_its_export_with_the_filters(client, walk):
    saga = walk(*DONE)
    page = client.get("/admin/sagas?status=completed").get_data(as_text=True)
    assert "sale-17" in page
    assert "/admin/sagas/export.csv?status=completed" in page
    started = db.session.get(SagaRow, saga.id).created_at
    change(saga, updated_at=started + timedelta(seconds=90))
    assert "1 min 30 s" in seen(client.get("/admin/sagas"))


@pytest.mark.parametrize("path", ["/admin", "/admin/stuck", "/admin/sagas", "/admin/participants", "/admin/audit"])
def test_every_page_has_the_search_box(client, path):
    assert '<form class="find" action="/admin/sagas"' in client.get(path).get_data(as_text=True)
