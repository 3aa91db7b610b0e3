from uuid import UUID, uuid4

from participants.ecommerce.basket import CLIENTS, Product, picked

SHELF = [
    Product(product_id="101", name="Headphones", price=49_90, on_hand=3),
    Product(product_id="456", name="Cable", price=29_99, on_hand=3),
]
KEY = uuid4()


def basket(key: UUID = KEY, client=CLIENTS[0], **asked):
    return picked(client, SHELF, asked, key)


def test_total_is_exact_to_the_cent():
    assert basket(q101="3", q456="10").total == 3 * 49_90 + 10 * 29_99


def test_the_same_form_with_the_same_goods_is_the_same_order():
    assert basket(q101="1").idempotency_key == basket(q101=" 1", q456="0").idempotency_key


def test_another_form_or_client_or_other_goods_are_another_order():
    keys = {
        each.idempotency_key
        for each in (basket(q101="1"), basket(uuid4(), q101="1"), basket(client=CLIENTS[1], q101="1"), basket(q101="2"))
    }
    assert len(keys) == 4


def test_shop_accepts_more_than_the_stock_and_the_saga_refuses():
    assert basket(q101="99").errors == {}
