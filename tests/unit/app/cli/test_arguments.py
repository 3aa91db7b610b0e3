import io
import shlex
import types
from dataclasses import replace

import orjson
import pytest

from app.cli.arguments import data_from, definition_named, signal_body_from
from app.errors import MalformedError
from machines import Saga, put, retriable, wait
from machines.checkout import CHECKOUT
from machines.fields import boolean, integer, money, text
from machines.purchase import PURCHASE
from machines.registry import Registry
from machines.samples import example
from tests.support.tables.kitchen_sink import KITCHEN_SINK


def test_field_is_parsed_by_its_kind():
    pairs = ["store_id=1", "customer_id=4", "payment_method=42", "amount=9.99",
             'items=[{"product_id": 1, "quantity": 2, "price": 1.5}]']  # fmt: skip
    data = data_from(PURCHASE, None, pairs)
    assert (data["store_id"], data["payment_method"], data["amount"]) == (1, "42", 9.99)
    assert data["items"][0]["quantity"] == 2


def test_pair_overrides_the_json():
    assert data_from(CHECKOUT, '{"client_id": 1, "magasin_id": 1}', ["client_id=4"])["client_id"] == 4


def test_json_comes_from_a_file_or_from_standard_input(tmp_path, monkeypatch):
    text = b'{"client_id": 4, "magasin_id": 1}'
    (tmp_path / "data.json").write_bytes(text)
    monkeypatch.setattr("sys.stdin", types.SimpleNamespace(buffer=io.BytesIO(text)))
    assert data_from(CHECKOUT, f"@{tmp_path}/data.json", []) == data_from(CHECKOUT, "-", [])


TRY = ". Try: saga start checkout client_id=4 magasin_id=1"


@pytest.mark.parametrize(
    ("text", "pairs", "said"),
    [
        (None, ["client_id=x", "magasin_id=1"], f"client_id: Not a valid integer{TRY}"),
        (None, ["client_id=4"], f"magasin_id: Missing data for required field{TRY}"),
        (None, ["client_id=4", "magasin_id=1", "colour=red"], f"colour: Unknown field{TRY}"),
        (None, ['client_id=4, "x": 2', "magasin_id=1"], f"client_id: Not a valid integer{TRY}"),
        (None, ["client_id=4", "client_id=5"], "client_id: it is given twice; give it once"),
        (None, ["4"], "'4' is no field=value; try: saga start checkout client_id=4 magasin_id=1"),
        ("[]", [], "--data must be a JSON object"),
        ('{"client_id": 4, "client_id": 4}', [], "--data: the name 'client_id' stands twice; name each member once"),
        ("@/nowhere", [], "--data: /nowhere cannot be read: No such file or directory"),
    ],
)
def test_invalid_data_names_the_field_and_an_example(text, pairs, said):
    with pytest.raises(MalformedError) as raised:
        data_from(CHECKOUT, text, pairs)
    assert raised.value.detail == said


def test_an_error_in_a_nested_value_has_its_pointer():
    traveller = '{"name": "Ada", "emails": [5], "phone": null, "address": {"street": "x", "zip": "1234"}}'
    with pytest.raises(MalformedError) as raised:
        data_from(KITCHEN_SINK, orjson.dumps(example(KITCHEN_SINK.data)).decode(), [f"traveller={traveller}"])
    assert raised.value.detail.startswith(
        "/traveller/emails/0: Not a valid string. Try: saga start kitchen_sink --data "
    )


def test_the_example_of_an_error_can_be_given_as_it_is():
    with pytest.raises(MalformedError) as raised:
        data_from(KITCHEN_SINK, None, [])
    text = shlex.split(raised.value.detail.partition("Try: ")[2])[-1]
    assert data_from(KITCHEN_SINK, text, [])["traveller"]["name"] == "text"


def test_the_example_has_every_value_as_a_pair_takes_it():
    more = {"express": boolean(), "price": money(), "note": text()}
    flat = replace(CHECKOUT, data={"client_id": integer(), "magasin_id": integer(), **more})
    with pytest.raises(MalformedError) as raised:
        data_from(flat, None, [])
    pairs = shlex.split(raised.value.detail.partition("Try: saga start checkout ")[2])
    assert pairs == ["client_id=1", "magasin_id=1", "express=true", "price=59.98", "note=text"]
    assert data_from(flat, None, pairs)["express"] is True


def test_unknown_type_lists_the_known_types():
    with pytest.raises(MalformedError, match="there is no saga 'x'; take one of checkout, purchase_saga"):
        definition_named(Registry([PURCHASE, CHECKOUT]), "x")


def test_value_of_a_signal_that_no_path_can_hold_is_refused_by_name():
    parcel = Saga(
        name="parcel",
        version=1,
        initial="PACKED",
        completed="SHIPPED",
        compensated="UNPACKED",
        participants=("carrier",),
        data={"number": text()},
        client="number",
        deadline_s=86_400,
        steps=(
            wait(
                "label", signal="label", within_s=3600, done="LABELLED", refused="NOT_LABELLED", brings={"id": text()}
            ),
            retriable("ship", put("carrier", "/parcels/{label.id}"), done="SHIPPED"),
        ),
    )
    step = parcel.steps[0]
    assert signal_body_from(parcel, step, "3f2a", None, ["id=A7"]) == {"id": "A7"}
    with pytest.raises(MalformedError, match=r"^id: .*Try: saga signal 3f2a label id="):
        signal_body_from(parcel, step, "3f2a", None, ["id=.."])
