import io
import types

import pytest

from app.cli.arguments import data_from, definition_named
from app.errors import MalformedError
from machines.checkout import CHECKOUT
from machines.purchase import PURCHASE
from machines.registry import Registry


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


def test_unknown_type_lists_the_known_types():
    with pytest.raises(MalformedError, match="there is no saga 'x'; take one of checkout, purchase_saga"):
        definition_named(Registry([PURCHASE, CHECKOUT]), "x")
