"""The money of the sagas that a saga has started: its page, the lists, the ticket, the API and the command line."""

import csv
import io
import re
from uuid import UUID

import pytest
from sqlalchemy import event

from app.admin import sagas
from app.store.database import db
from app.views import amounts
from machines import Saga, compensatable, each, list_of, money, paid, pivot, post, retriable, sub, taken, text
from machines.titles import SUMS as ALL_SUMS
from tests.integration.admin.conftest import seen
from tests.integration.engine.families import begin, settle, the
from tests.integration.engine.scene import LOST, REFUSED

PRICE = taken("price", "EUR")
CHARGE = compensatable(
    "charge", post("shop", "/charge", price="price"), undo=post("shop", "/refund"), done="CHARGED", refused="FREE",
    amount=PRICE,
)  # fmt: skip
SEND = compensatable("send", post("shop", "/send"), undo=post("shop", "/back"), done="SENT", refused="UNSENT")
END = retriable("end", post("shop", "/end"), done="END_DONE")
ITEM = compensatable(
    "bill", post("shop", "/bill", price="item.price"), undo=post("shop", "/unbill"), done="BILLED", refused="UNBILLED",
    amount=taken("item.price", "EUR"),
)  # fmt: skip
LINES = list_of({"price": money()}, high=2000)
BILLS = each("lines", ITEM, name="bills", done="ALL_BILLED", refused="NOT_BILLED")
PAY = sub("payment", data={"price": "price", "payer": "buyer"}, done="PAID", refused="UNPAID")


def table(name, *steps, client=None, **data):
    return Saga(
        name=name, version=1, initial=f"NEW_{name.upper()}", completed=steps[-1].done, client=client, data=data,
        compensated=f"{name.upper()}_CALLED_OFF", participants=("shop",), steps=steps,
    )  # fmt: skip


def payment(*steps, client="payer"):
    return table("payment", *(steps or (CHARGE,)), client=client, price=money(), payer=text())


def order(*steps, client="buyer", **data):
    return table("order", *steps, client=client, price=money(), buyer=text(), **data)


DATA = {"price": "109.88", "buyer": "4"}
KNOWS = payment(pivot("charge", post("shop", "/charge"), done="CHARGED", refused="FREE", amount=PRICE))
PIVOT_PAY = sub("payment", data={"price": "price", "payer": "buyer"}, done="PAID", refused="UNPAID", pivot=True)
ITEMS = {"lines": [{"price": "10.00"}, {"price": "20.10"}, {"price": "30.00"}]}
CASES = {
    "taken": ((order(PAY, END), payment()), {}, ["109.88 EUR taken from customer 4"]),
    "given back": (
        (order(PAY, SEND), payment()), {"send": [REFUSED]}, ["109.88 EUR taken from customer 4, and given back"]
    ),
    "refused": ((order(PAY, END), payment()), {"charge": [REFUSED]}, ["109.88 EUR not taken from customer 4"]),
    "unknown": (
        (order(PIVOT_PAY, END), KNOWS), {"charge": [LOST] * 9}, ["109.88 EUR may have been taken from customer 4"],
    ),
    "stuck in the undo": (
        (order(PAY, SEND), payment()), {"send": [REFUSED], "undo_charge": [REFUSED]},
        ["109.88 EUR taken from customer 4, not given back"],
    ),
    "the parent is stuck": (
        (order(PAY, END), payment()), {"end": [REFUSED]}, ["109.88 EUR taken from customer 4, not given back"]
    ),
    "below an item": (
        (order(each("lines", PAY, name="pays", done="ALL_PAID", refused="NOT_ALL"), END, lines=LINES), payment()), {},
        ["329.64 EUR taken from customer 4"],
    ),
    "the child has no client": ((order(PAY, END), payment(client=None)), {}, ["109.88 EUR taken from customer 4"]),
    "items": ((order(BILLS, END, lines=LINES), payment()), {}, ["60.10 EUR taken from customer 4"]),
    "items given back": (
        (order(BILLS, SEND, lines=LINES), payment()), {"send": [REFUSED]},
        ["60.10 EUR taken from customer 4, and given back"],
    ),
}  # fmt: skip
#: Words of a list → the sums of an export and of a list that they count in.
SUMS = {
    "taken": {"taken"}, "taken, and given back": {"taken", "given back"}, "taken, not given back": {"taken"},
    "may have been taken": {"unknown"}, "not taken": set(),
}  # fmt: skip
each_case = pytest.mark.parametrize(("tables", "replies", "words"), CASES.values(), ids=CASES)


@each_case
def test_parent_says_what_its_children_have_done_with_money(family, monkeypatch, tables, replies, words):
    monkeypatch.setenv("COLUMNS", "200")
    _, client = family(*tables, replies=replies, **DATA, **(ITEMS if "lines" in tables[0].data else {}))
    (saga,) = client.get("/api/v1/sagas?type=order").json["sagas"]
    page, listed = client.get(f"/admin/sagas/{saga['id']}"), seen(client.get("/admin/sagas"))
    effects = client.get(f"/api/v1/sagas/{saga['id']}/effects").json["effects"]
    shown = client.application.test_cli_runner().invoke(args=["saga", "show", saga["id"]]).output
    markdown = re.search(r'<textarea id="ticket".*?>(.*?)</textarea>', page.text, re.DOTALL)[1].replace("\\", "")
    (exported,) = csv.DictReader(io.StringIO(client.get("/admin/sagas/export.csv?type=order").text))
    for said in words:
        for where in (seen(page), " ".join(str(effect["money"]) for effect in effects), shown, markdown):
            assert re.search(rf"{re.escape(said)} \(", where), where
        brief = said.replace(" from customer 4", "")
        assert brief in listed
        assert brief in exported["money"]
    amount, children = words[0].partition(" ")[0], client.get(f"/api/v1/sagas/{saga['id']}").json["children"]
    assert exported["amount"] == ("" if "not taken" in words[0] else amount)
    sums = SUMS[words[0].partition(" EUR ")[2].replace(" from customer 4", "")]
    assert {word for word in ALL_SUMS if exported[word.replace(" ", "_")] == amount} == sums
    assert exported["currency"] == "EUR"
    total = ", ".join(f"{amount} EUR {word}" for word in ALL_SUMS if word in sums) or "no money has moved"
    cli = client.application.test_cli_runner().invoke(args=["saga", "list", "--client", "4"]).output
    assert f"Money of these sagas: {total} ." in seen(client.get("/admin/sagas?client=4"))
    assert f"Money of these sagas: {total}\n" in cli
    assert words[0].replace(" from customer 4", "")[:25] in cli.partition("Money of")[0]
    assert children
    assert all(f'<a href="/admin/sagas/{child["id"]}">' in page.text for child in children)


def test_child_says_who_was_charged(family):
    scene, client = family(order(BILLS, END, lines=LINES), replies={}, **DATA, lines=[{"price": "10.00"}])
    child = UUID(str(the(scene, "order.bills")["id"]))
    assert "10.00 EUR taken from customer 4" in seen(client.get(f"/admin/sagas/{child}"))


def test_retry_replaces_a_child_that_has_moved_no_money(family):
    scene, client = family(
        order(SEND, sub("payment", data={"price": "price", "payer": "buyer"}, done="PAID"), END), payment(),
        replies={"charge": [REFUSED]}, **DATA,
    )  # fmt: skip
    saga = UUID(str(the(scene, "order")["id"]))
    assert "109.88 EUR not taken from customer 4" in seen(client.get(f"/admin/sagas/{saga}"))
    scene.service.retry(saga, "user:otto", "again", 0.0)
    settle(scene)
    db.session.rollback()
    page = seen(client.get(f"/admin/sagas/{saga}"))
    assert "109.88 EUR taken from customer 4" in page
    assert "not taken" not in page


def test_list_names_the_customer_of_a_child_where_it_is_another_one(family):
    pays = sub("payment", data={"price": "price", "payer": "buyer"}, done="PAID", refused="UNPAID")
    _, client = family(order(pays, END, client=None), payment(), replies={}, **DATA)
    assert "109.88 EUR taken from customer 4" in seen(client.get("/admin/sagas?type=order"))


def test_money_below_too_many_sagas_is_not_added_up(family, monkeypatch):
    monkeypatch.setattr(amounts, "_MOST_OF_SAGA", 2)
    monkeypatch.setattr(amounts, "_MOST_OF_LIST", 2)
    _, client = family(order(BILLS, END, lines=LINES), replies={}, **DATA, **ITEMS)
    (saga,) = client.get("/api/v1/sagas").json["sagas"]
    for page in ("/admin/sagas", f"/admin/sagas/{saga['id']}"):
        text_of_page = seen(client.get(page))
        assert "what the 3 sagas below have moved is not added up: open them" in text_of_page
        assert "EUR" not in text_of_page


PAID = retriable("refund", post("shop", "/refund"), done="REFUNDED", amount=paid("price", "USD"))


def test_sums_name_their_currency_when_there_are_several(family):
    _, client = family(table("order", CHARGE, PAID, client="buyer", price=money(), buyer=text()), replies={}, **DATA)
    (exported,) = csv.DictReader(io.StringIO(client.get("/admin/sagas/export.csv").text))
    assert [exported[name] for name in ("amount", "currency", "taken", "paid", "unknown")] == [
        "109.88 EUR; 109.88 USD", "", "109.88 EUR", "109.88 USD", "",
    ]  # fmt: skip
    assert "Money of these sagas: 109.88 EUR taken; 109.88 USD paid ." in seen(client.get("/admin/sagas?q=4"))
    assert "Money of" not in seen(client.get("/admin/sagas"))


@pytest.mark.parametrize(
    ("most", "said"), [(50, "these sagas: 20.00"), (2, "these sagas: 20.00"), (1, "first 1 of these")]
)
def test_money_of_a_client_is_added_up_over_the_pages(family, monkeypatch, most, said):
    monkeypatch.setattr(sagas, "PAGE", 1)
    monkeypatch.setattr(sagas, "MOST_ADDED", most)
    one = table("order", CHARGE, client="buyer", price=money(), buyer=text())
    scene, client = family(one, replies={}, price="10.00", buyer="4")
    begin(scene, one, price="10.00", buyer="4")
    first = client.get("/admin/sagas?client=4")
    assert said in seen(first)
    following = re.search(r'rel="next" href="([^"]+)"', first.text)[1].replace("&amp;", "&")
    assert "Money of" not in seen(client.get(following))


def statements_of(client, path):
    """Return the statements of a page that read sagas by their ids, children, or journals."""
    found: list[str] = []
    listens = (db.engine, "before_cursor_execute", lambda *given: found.append(given[2]))
    event.listen(*listens)
    client.get(path)
    event.remove(*listens)
    return [one for one in found if re.search(r"FROM journal|WHERE saga\.(parent_)?id IN", one)]


def test_list_reads_all_children_of_a_page_at_once(family):
    scene, client = family(order(BILLS, END, lines=LINES), replies={}, **DATA, **ITEMS)
    one = statements_of(client, "/admin/sagas")
    assert (len(one), len([text_of for text_of in one if "FROM journal" in text_of])) == (3, 1)
    for _ in range(3):
        scene.run(order(BILLS, END, lines=LINES), **DATA, **ITEMS)
    settle(scene)
    db.session.rollback()
    assert seen(client.get("/admin/sagas")).count("60.10 EUR") == 4
    assert len(statements_of(client, "/admin/sagas")) == len(one)


def test_list_without_money_reads_no_children(family):
    _, client = family(table("order", SEND, END), replies={})
    assert not [one for one in statements_of(client, "/admin/sagas") if "parent_id" in one]


@pytest.mark.parametrize(
    ("parent", "child", "found"),
    [
        ("4", "4", ["order"]),
        (None, "4", ["payment"]),
        ("7", "4", ["payment"]),
        ("4", None, ["order"]),
        ("4", "7", ["order"]),
    ],
)
@pytest.mark.parametrize("of_type", [None, "payment"])
@pytest.mark.parametrize("by", ["client", "q"])
def test_search_by_client_finds_the_saga_that_charged_the_client(  # noqa: PLR0917
    family, monkeypatch, parent, child, found, of_type, by
):
    monkeypatch.setenv("COLUMNS", "200")
    pays = sub("payment", data={"price": "price", "payer": "payer"}, done="PAID", refused="UNPAID")
    tables = order(pays, END, client=parent and "buyer", payer=text()), payment(client=child and "payer")
    _, client = family(*tables, replies={}, price="109.88", buyer=parent or "0", payer=child or "0")
    if of_type:
        found = ["payment"] if child == "4" else []
    query = f"{by}=4{'&type=' + of_type if of_type else ''}"
    listed = client.get(f"/api/v1/sagas?{query}").json["sagas"]
    assert [saga["type"] for saga in listed] == found
    command = ["saga", "list", "--json", f"--{by}", "4", *(["--type", of_type] if of_type else [])]
    printed = client.application.test_cli_runner().invoke(args=command).output
    assert re.findall(r'"type": ?"(\w+)"', printed) == found
    page = client.get(f"/admin/sagas?{query}").text
    exported = client.get(f"/admin/sagas/export.csv?{query}").text
    for saga in listed:
        assert f"/admin/sagas/{saga['id']}" in page
        assert saga["id"] in exported
        assert ("part of" in page) is (saga["parent"] is not None)
    assert ("109.88 EUR" in page) is bool(found)


def test_search_by_client_and_status_finds_the_child_of_a_parent_with_another_status(family):
    _, client = family(order(PAY, END), payment(), replies={"end": [REFUSED]}, **DATA)
    found = client.get("/api/v1/sagas?client=4&status=completed").json["sagas"]
    assert [saga["type"] for saga in found] == ["payment"]
