"""A secret value is refused where everybody would see it: in addresses and in the values that people search for."""

import pytest

from machines.call import get, post
from machines.fields import integer, list_of, money, object_of, optional, personal, secret, text
from machines.keeps import at
from machines.templates import cents, each_item, fallback, join, maybe, total, upper
from tests.unit.machines.tables import hold, saga, sell

DATA = {
    "client_id": integer(low=1), "name": text(), "card": secret(text()), "bank": object_of({"iban": secret(text())}),
    "lines": list_of({"pin": secret(text()), "sum": secret(money()), "sku": text()}),
    "vault": secret(object_of({"key": text()})), "keys": secret(list_of({"k": text()})),
}  # fmt: skip
KEPT = {"token": secret(text()), "id": at("i", text()), "pin": secret(at("p", text()))}
FIRST = hold("fly", call=post("shop", "/", keeps=KEPT), done="FLOWN")
REMEDY = "which servers and proxies write to their logs; send it in a body or a header"


@pytest.mark.parametrize(
    "reference", ["card", "bank.iban", "vault.key", "fly.token", "fly.pin", "lines.0.pin", "keys.0.k"]
)
def test_a_secret_in_a_path_is_refused(refusal, reference):
    message = refusal(FIRST, sell(call=get("shop", f"/x/{{{reference}}}")), data=DATA)
    assert message.startswith("sale v1: step sell: ")
    assert f"{reference!r} is secret, and would be sent in a path, {REMEDY}" in message


@pytest.mark.parametrize(
    "value",
    ["card", upper("card"), join("-", "name", "bank.iban"), maybe("fly.token"), fallback("card", "name"),
     each_item("lines", "item.pin"), cents(total("lines.sum")), each_item("keys", "item.k"), ["name", "card"]],
)  # fmt: skip
def test_a_secret_in_a_query_is_refused(refusal, value):
    message = refusal(FIRST, sell(call=post("shop", "/", query={"q": value})), data=DATA)
    assert f"is secret, and would be sent in a query, {REMEDY}" in message


@pytest.mark.parametrize(
    ("column", "reference"),
    [("client", "card"), ("store", "card"), ("order", "card"), ("order", "fly.token"), ("order", "bank.iban")],
)
def test_a_saga_is_not_looked_for_by_a_secret(refusal, column, reference):
    message = refusal(FIRST, sell(), data=DATA, **{column: reference})
    shown = "is secret, and lists of sagas show it; name another field, or leave it out"
    assert message == f"sale v1: {column}={reference!r} {shown}"


def test_a_secret_in_a_body_or_a_header_is_legal():
    for column in ("form", "headers"):
        assert saga(FIRST, sell(call=post("shop", "/", **{column: {"X": "card"}})), data=DATA)
    assert saga(sell()).secrets is None
    assert saga(FIRST, sell(), data=DATA).secrets


def test_a_personal_value_is_refused_where_a_secret_is(refusal):
    data = DATA | {"email": personal(text())}
    message = refusal(sell(call=get("shop", "/x/{email}")), data=data, client="client_id")
    assert "'email' is secret, and would be sent in a path" in message


REMEDY_OF_OWNER = "and no client= says whose it is; write client= with the customer's field"


@pytest.mark.parametrize(
    "field",
    [personal(text()), object_of({"a": personal(text())}), list_of(personal(text())), optional(personal(text()))],
)
def test_personal_data_of_nobody_are_refused(refusal, field):
    data = {"client_id": integer(low=1), "who": field}
    assert refusal(sell(), data=data) == f"sale v1: 'who' is personal, {REMEDY_OF_OWNER}"
    assert saga(sell(), data=data, client="client_id").secrets


def test_a_personal_value_of_a_reply_without_a_client_is_refused(refusal):
    keeps = {"email": personal(at("e", text()))}
    message = refusal(hold("fly", call=post("shop", "/", keeps=keeps), done="FLOWN"), sell(), data=DATA)
    assert message == f"sale v1: 'fly.email' is personal, {REMEDY_OF_OWNER}"


def test_a_field_that_becomes_personal_keeps_the_digest_of_its_table():
    plain = saga(sell(), data={"client_id": integer(low=1), "email": text()}, client="client_id")
    marked = saga(sell(), data={"client_id": integer(low=1), "email": personal(text())}, client="client_id")
    assert plain.digest == marked.digest
