"""The search on both databases: beginnings in any letter case, and how far a search without an index looks back."""

import csv
import re
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import event, text, update

from app.store import search
from app.store.database import db
from app.store.lists import SagaFilter, newest
from app.store.models import SagaRow, SagaTagRow
from app.views.states import final_states
from machines import Saga, pivot, post, secret
from machines import text as words
from machines.discovery import discover
from machines.registry import Registry
from tests.integration.admin.conftest import seen

DONE = ("succeeded",) * 5
REFUSED = ("succeeded", "refused")
START = datetime(2026, 1, 1, tzinfo=UTC)


def listed(registry=None, **wanted):
    registry = registry or discover()
    return [row.id for row in newest(SagaFilter(**wanted), final_states(registry), 50, None, registry)]


def changed(saga, **values):
    db.session.execute(update(SagaRow).where(SagaRow.id == saga.id).values(values))
    db.session.commit()
    return saga.id


def tagged(saga, name, value):
    db.session.add(SagaTagRow(saga_id=saga.id, name=name, value=value, definition="checkout"))
    db.session.commit()
    return saga.id


@pytest.mark.parametrize(
    ("text", "names"),
    [("ada", "ada adam tag"), ("ADA M", "adam"), ("adam", "adam"), ("sale-9", "order"), ("a_a", ""), ("%", ""),
     ("da", ""), ("ada@", "tag")],
)  # fmt: skip
def test_search_finds_clients_orders_and_tags_by_their_beginning(walk, text, names):
    found = {
        "ada": changed(walk(*DONE), client="Ada"),
        "adam": changed(walk(*DONE), client="adaM"),
        "order": changed(walk(*DONE), order_ref="SALE-99"),
        "tag": tagged(walk(*DONE), "mail", "Ada@example.org"),
    }
    if text == "ADA M":
        changed_id = found["adam"]
        db.session.execute(update(SagaRow).where(SagaRow.id == changed_id).values(client="Ada Moe"))
        db.session.commit()
    assert set(listed(words=text)) == {found[name] for name in names.split()}


@pytest.fixture
def alike(walk):
    """Six sagas: those of client `Ada`, then those of clients that begin so; the older ones are exact."""
    clients = ["ada", "Ada", "adam", "Adam", "ADA", "adamo"]
    return [
        changed(walk(*DONE), client=client, created_at=START + timedelta(days=day))
        for day, client in enumerate(clients)
    ]


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ("-created_at", [4, 1, 0, 5, 3, 2]),
        ("created_at", [0, 1, 4, 2, 3, 5]),
        ("-took", [0, 1, 4, 2, 3, 5]),
    ],
)
def test_what_a_search_finds_exactly_comes_first_on_every_page(client, alike, order, expected):
    in_order, registry = [alike[number] for number in expected], discover()
    page = client.get(f"/admin/sagas?q=ada&sort={order}").text
    assert re.findall(r'href="/admin/sagas/([0-9a-f-]{36})"', page) == [str(each) for each in in_order]
    assert page.count("These begin with <q>ada</q>") == 1
    if order == "-took":
        return
    found, after = [], None
    for _ in in_order:  # page by page, one saga each
        (row,) = newest(SagaFilter(words="ada"), final_states(registry), 1, after, registry, order=order)
        found.append(row.id)
        after = row.created_at, row.id
    assert found == in_order
    first = client.get(f"/api/v1/sagas?q=ada&sort={order}&limit=4").json
    rest = client.get(f"/api/v1/sagas?q=ada&sort={order}&cursor={first['pagination']['next_cursor']}").json
    assert [each["id"] for each in first["sagas"] + rest["sagas"]] == [str(each) for each in in_order]


@pytest.mark.parametrize("column", ["order_ref", "idempotency_key", "tag", "id"])
def test_search_finds_each_kind_of_name_exactly(walk, column):
    saga = walk(*DONE)
    word = saga.id.hex if column == "id" else "x1"
    changed(walk(*DONE), client=f"{word}0")
    if column == "tag":
        tagged(saga, "mail", word)
    elif column != "id":
        changed(saga, **{column: word})
    changed(saga, created_at=START)
    assert listed(words=word)[0] == saga.id
    assert len(listed(words=word)) == 2


def test_search_by_a_beginning_is_bounded_and_says_so(client, walk, monkeypatch):
    monkeypatch.setattr(search, "MOST_BEGINNING", 2)
    exact = changed(walk(*DONE), client="x")
    for number in range(3):
        changed(walk(*DONE), client=f"x{number}")
    found = listed(words="x")
    assert len(found) == 2
    assert exact in found
    assert "type more of them" in seen(client.get("/admin/sagas?q=x"))
    assert "type more of them" not in seen(client.get("/admin/sagas?q=x1"))


def test_a_search_looks_for_beginnings_once(client, walk):
    for number in range(2):
        changed(walk(*DONE), client=f"x{number}")
    asked = []
    event.listen(db.engine, "before_cursor_execute", lambda _c, _u, sql, *_: asked.append(sql))
    assert client.get("/admin/sagas?q=x").status_code == 200
    assert len([sql for sql in asked if "lower(" in sql]) == 1


def test_error_is_searched_in_any_letter_case_but_not_that_of_a_table_with_secrets(walk):
    saga = walk(*REFUSED, reason="409 Not Enough: key 4711")
    assert listed(error_contains="not enough") == [saga.id]
    assert listed(error_contains="not_enough") == []
    assert listed(error_contains="not enough", statuses=("stuck",)) == []
    hidden = Saga(
        name="checkout", version=1, initial="A", completed="B", compensated="C", participants=("ventes",),
        data={"token": secret(words())},
        steps=(pivot("sell", post("ventes", "/sales", token="token"), done="B", refused="NO"),),
    )  # fmt: skip
    assert listed(Registry([hidden]), error_contains="not enough") == []


@pytest.fixture
def three(walk, monkeypatch):
    """Three compensated sagas, a day apart, of which a search looks at two."""
    monkeypatch.setattr(search, "MOST_SEARCHED", 2)
    return [
        changed(
            walk(*REFUSED, reason="409 full"),
            created_at=START + timedelta(days=day),
            updated_at=START + timedelta(days=day, seconds=90 - 30 * day),
        )
        for day in range(3)
    ]


@pytest.mark.parametrize("word", ["slower_than=20", "error_contains=FULL"])
def test_search_without_an_index_looks_at_the_newest_sagas_and_says_so(client, three, word):
    api = client.get(f"/api/v1/sagas?{word}").json
    page = client.get(f"/admin/sagas?{word}")
    assert [saga["id"] for saga in api["sagas"]] == [str(three[2]), str(three[1])]
    assert api["pagination"]["searched_from"] == "2026-01-02T00:00:00+00:00"
    assert "2 sagas among the newest" in seen(page)
    (older,) = re.findall(r'href="([^"]+)">Look at older sagas', page.text)
    assert str(three[0]) in client.get(older.replace("&amp;", "&")).text
    everything = client.get(f"/api/v1/sagas?{word}&created_from=2025-01-01").json
    assert everything["pagination"]["total"] == 3
    assert "searched_from" not in everything["pagination"]


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ("", [1, 2]),
        ("status=compensated", [1, 2]),
        ("status=in_progress", []),
        ("client=4", [0, 1, 2]),
        ("created_from=2025-01-01", [0, 1, 2]),
    ],
)
def test_sort_by_change_looks_at_the_newest_sagas_and_says_so(client, three, more, expected):
    answer = client.get(f"/api/v1/sagas?sort=updated_at&{more}").json
    assert [saga["id"] for saga in answer["sagas"]] == [str(three[number]) for number in expected]
    assert ("searched_from" in answer["pagination"]) == (len(expected) == 2)


@pytest.mark.parametrize(
    ("order", "expected"),
    [("-created_at", [2, 1, 0]), ("created_at", [0, 1, 2]), ("-took", [0, 1, 2]), ("-updated_at", [2, 1, 0])],
)
def test_list_is_sorted_and_counted(client, three, order, expected):
    page = client.get(f"/admin/sagas?sort={order}&status=compensated")
    assert re.findall(r'href="/admin/sagas/([0-9a-f-]{36})"', page.text) == [str(three[number]) for number in expected]
    assert "3 sagas" in seen(page)
    refused = client.get("/admin/sagas?sort=state")
    assert refused.status_code == 400
    assert "No list has the order 'state'; the orders are -created_at, created_at, " in seen(refused)


def test_sorted_list_continues_oldest_first(three):
    ends = final_states(discover())
    first = newest(SagaFilter(), ends, 2, None, discover(), order="created_at")
    rest = newest(SagaFilter(), ends, 2, (first[-1].created_at, first[-1].id), discover(), order="created_at")
    assert [row.id for row in (*first, *rest)] == three


def test_list_and_export_show_the_amount(client, walk):
    saga = walk(*DONE)
    page = client.get("/admin/sagas?type=checkout").text
    assert re.search(r'data-is="Amount" class="number"><div class="grows">5 EUR <', page)
    (row,) = csv.DictReader(client.get("/admin/sagas/export.csv?q=sale-1").text.splitlines())
    assert (row["id"], row["amount"]) == (str(saga.id), "5")


@pytest.mark.parametrize(
    ("outcomes", "words"),
    [
        (DONE, "5 EUR taken"),
        (("succeeded", "refused"), "5 EUR not taken"),
        (("succeeded",) * 3 + ("refused", "succeeded", "succeeded"), "5 EUR taken, and given back"),
        (("succeeded", "succeeded", "exhausted"), "5 EUR may have been taken"),
    ],
)
def test_list_says_what_became_of_the_amount(client, walk, outcomes, words):
    walk(*outcomes)
    assert amount_in_list(client) == words


def test_list_and_effects_say_what_a_person_has_done_by_hand(client, walk):
    saga = walk("succeeded", "succeeded", "succeeded", "refused", "refused")
    assert client.post(f"/api/v1/sagas/{saga.id}/resolve", json={"reason": "paid back"}).status_code in (200, 202)
    db.session.rollback()
    assert amount_in_list(client) == "5 EUR taken, and given back by hand, says ada"
    found = {each["step"]: each for each in client.get(f"/api/v1/sagas/{saga.id}/effects").json["effects"]}
    assert (found["payer"]["effect"], found["payer"]["words"]) == ("undone", "undone, by hand")
    assert [each["by_hand"] for each in found.values()] == [name == "payer" for name in found]
    assert not any(each["in_flight"] for each in found.values())


def amount_in_list(client):
    row = client.get("/admin/sagas?q=4").text.partition('data-is="Amount"')[2].partition("</td>")[0]
    return re.sub("<[^>]*>", "", row.partition(">")[2])


def test_search_reads_no_table_as_a_whole(client, walk):
    if db.engine.dialect.name == "postgresql":
        pytest.skip("PostgreSQL chooses by how much there is: benchmarks/admin_pages.py shows that it chooses well")
    for index, column, table in (
        ("saga_client_folded", "client", "saga"),
        ("saga_order_folded", "order_ref", "saga"),
        ("saga_tag_folded", "value", "saga_tag"),
    ):
        (_, _, _, plan), *_ = db.session.execute(
            text(
                f"EXPLAIN QUERY PLAN SELECT 1 FROM {table} WHERE {column} IS NOT NULL AND lower({column}) >= lower('a')"
                f" AND lower({column}) < lower('b') ORDER BY lower({column}) LIMIT 5"
            )
        )
        assert index in plan
