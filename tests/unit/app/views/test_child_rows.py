"""The place of a child in its parent, and the item of a branch, in one line."""

from types import SimpleNamespace
from uuid import UUID

import pytest

from app.views.child_rows import item_words, part_words
from machines import Saga, compensatable, each, list_of, post, secret, text, together
from machines.registry import Registry

ID = UUID(int=1)


def order(*more, fields=None):
    take = compensatable(
        "take", post("stock", "/take", sku="item.sku"), undo=post("stock", "/undo"), done="TAKEN", refused="NOT_TAKEN"
    )
    group = each("lines", take, done="ALL", refused="NOT_ALL")
    steps = (group, *more)
    return Saga(
        name="order", version=1, initial="NEW", completed=steps[-1].done, compensated="OFF", participants=("stock",),
        data={"lines": list_of(fields or {"sku": text()})}, steps=steps,
    )  # fmt: skip


def words(fields, item, *, version=1):
    child = SimpleNamespace(id=ID, definition="order.take", definition_version=version, data={"item": item, "index": 2})
    return item_words(Registry([order(fields=fields)]), [child])


def test_an_item_is_shown_without_its_braces():
    assert words({"sku": text()}, {"sku": "pen"}) == {ID: "sku pen"}


def test_a_secret_of_an_item_is_hidden_also_where_it_is_repeated():
    fields = {"sku": text(), "card": secret(text())}
    assert words(fields, {"sku": "for 4711-12", "card": "4711-12"}) == {ID: "sku for ***, card ***"}


def test_a_long_item_is_cut():
    shown = words({"sku": text()}, {"sku": "p" * 100})[ID]
    assert shown == f"sku {'p' * 56} …"


def test_an_item_of_a_table_that_this_release_lacks_is_not_shown():
    assert words({"sku": text()}, {"sku": "pen"}, version=2) == {}


@pytest.mark.parametrize(
    ("definition", "number", "data", "words"),
    [
        ("order.take", 3, {"index": 2, "item": {}}, "take[2]"),
        ("order.take", 6, {"index": 2, "item": {}}, "take[2], started again"),
        ("order.papers.label", 2, {"index": 4, "item": {}}, "papers.label"),
        ("payment", 1, {"index": 4}, "pay"),
        ("payment", 2, {}, "pay, started again"),
    ],
)
def test_a_child_is_named_by_its_place_in_its_parent(definition, number, data, words):
    label = compensatable(
        "label", post("stock", "/label"), undo=post("stock", "/undo"), done="LABELLED", refused="NOT_LABELLED"
    )
    registry = Registry([order(together(label, name="papers", done="PRINTED", refused="NO_PAPERS"))])
    step = {"order.take": "take", "order.papers.label": "papers", "payment": "pay"}[definition]
    child = SimpleNamespace(
        definition=definition, definition_version=1, child_number=number, parent_step=step, data=data
    )
    assert part_words(registry, child) == words
