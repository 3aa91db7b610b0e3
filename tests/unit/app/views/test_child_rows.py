"""The item of a branch in one line."""

from types import SimpleNamespace
from uuid import UUID

from app.views.child_rows import item_words
from machines import Saga, compensatable, each, list_of, post, secret, text
from machines.registry import Registry

ID = UUID(int=1)


def words(fields, item, *, version=1):
    take = compensatable(
        "take", post("stock", "/take", sku="item.sku"), undo=post("stock", "/undo"), done="TAKEN", refused="NOT_TAKEN"
    )
    order = Saga(
        name="order", version=1, initial="NEW", completed="ALL", compensated="OFF", participants=("stock",),
        data={"lines": list_of(fields)}, steps=(each("lines", take, done="ALL", refused="NOT_ALL"),),
    )  # fmt: skip
    child = SimpleNamespace(id=ID, definition="order.take", definition_version=version, data={"item": item, "index": 2})
    return item_words(Registry([order]), [child])


def test_an_item_is_shown_with_its_index():
    assert words({"sku": text()}, {"sku": "pen"}) == {ID: "item[2] sku pen"}


def test_a_secret_of_an_item_is_hidden_also_where_it_is_repeated():
    fields = {"sku": text(), "card": secret(text())}
    assert words(fields, {"sku": "for 4711-12", "card": "4711-12"}) == {ID: "item[2] sku for ***, card ***"}


def test_a_long_item_is_cut():
    shown = words({"sku": text()}, {"sku": "p" * 100})[ID]
    assert shown == f"item[2] sku {'p' * 56} …"


def test_an_item_of_a_table_that_this_release_lacks_is_not_shown():
    assert words({"sku": text()}, {"sku": "pen"}, version=2) == {}
