"""`saga client-types`: the generated module passes a strict type checker, which then finds wrong data in a client."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from saga_client.protocol import Protocol

from app.cli.author import types
from app.cli.client_types import client_types
from app.views.saga_data import data_schema
from machines import Saga, fields, pivot, post
from machines.fields import FieldKind

CLIENT = Path(__file__).parents[4] / "client"
DATA = {
    "count": fields.integer(low=1, high=9),
    "price": fields.amount(),
    "name": fields.text(high=20),
    "id": fields.uuid(),
    "tags": fields.list_of(fields.text()),
    "lines": fields.list_of({"sku": fields.text(), "to": fields.object_of({"city": fields.text()})}),
    "gift": fields.boolean(default=False),
    "weight": fields.number(),
    "rate": fields.decimal(3),
    "on": fields.date(),
    "at": fields.datetime(),
    "size": fields.choice("S", 'a "b"'),
    "more": fields.anything(),
    "note": fields.optional(fields.text()),
    "card": fields.secret(fields.nullable(fields.text())),
    "where": fields.object_of({"city": fields.text(), "lines": fields.list_of({"a": fields.text()})}),
    "where_lines": fields.list_of({"b": fields.text()}),
}
ODD = {"class": fields.text(), "the-name": fields.text(), "date": fields.date(), "list": fields.list_of(fields.text())}
GOOD = """
import datetime
from decimal import Decimal
from uuid import UUID
from every import EveryData, OddData

EVERY_DATA = EveryData(
    count=1, price=Decimal("1.25"), name="Ada", id=UUID("12345678-1234-1234-1234-123456789012"), tags=["a"],
    lines=[{"sku": "pen", "to": {"city": "Oslo"}}], weight=1.5, rate=Decimal("0.125"), on=datetime.date(2027, 1, 31),
    at=datetime.datetime(2027, 1, 31, 9, 30, tzinfo=datetime.UTC), size="S", more={"any": ["JSON"]}, card=None,
    where={"city": "Oslo", "lines": [{"a": "x"}]}, where_lines=[{"b": "x"}],
)
ODD_DATA: OddData = {"class": "a", "the-name": "b", "date": "2027-01-31", "list": ["c"]}
"""
USE = """
from saga_client import AsyncSagas, Sagas
from every import EVERY, ODD
from use import EVERY_DATA, ODD_DATA

def good(sagas: Sagas) -> None:
    sagas.run(EVERY, EVERY_DATA, key="k", wait=5)
    sagas.start(ODD, ODD_DATA)
    sagas.batch(ODD, {"a": ODD_DATA})
    sagas.run("every", EVERY_DATA)

async def good_too(sagas: AsyncSagas) -> None:
    await sagas.run(EVERY, EVERY_DATA)

def bad(sagas: Sagas) -> None:
    sagas.run(EVERY, ODD_DATA)
    sagas.run(ODD, {"class": "a"})
    EVERY_DATA["count"] = "1"
    EVERY_DATA["size"] = "XL"
    EVERY_DATA["colour"] = "red"
"""


def saga(name, data):
    return Saga(
        name=name, version=3, initial="A", completed="B", compensated="C", data=data, participants=("shop",),
        steps=(pivot("go", post("shop", "/go"), done="B", refused="D"),),
    )  # fmt: skip


EVERY, ODD_SAGA = saga("every", DATA), saga("odd", ODD)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "every.py").write_text(client_types([EVERY, ODD_SAGA]))
    (tmp_path / "use.py").write_text(GOOD)
    return tmp_path


def test_every_kind_of_field_is_among_the_examples():
    assert {field.kind for field in DATA.values()} == set(FieldKind)


def test_a_strict_type_checker_accepts_right_data_and_finds_wrong_data(folder):
    (folder / "main.py").write_text(USE)
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "main.py", "--config-file="]
    environment = {"MYPYPATH": f"{CLIENT}:{folder}", "PATH": ""}
    run = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=300)
    first_bad = USE.splitlines().index("def bad(sagas: Sagas) -> None:") + 2
    wrong = [int(line.split(":")[1]) for line in run.stdout.splitlines() if ": error:" in line]
    assert sorted(set(wrong)) == list(range(first_bad, first_bad + 5)), run.stdout + run.stderr


def test_the_service_accepts_what_the_client_makes_of_typed_data(folder, monkeypatch):
    monkeypatch.syspath_prepend(folder)
    made: dict = {}
    exec((folder / "use.py").read_text(), made)
    for name in ("every", "use"):
        sys.modules.pop(name, None)
    for table, data in ((EVERY, made["EVERY_DATA"]), (ODD_SAGA, made["ODD_DATA"])):
        request = next(Protocol(1, lambda: 0.0, float).start(table.name, data, "k"))
        data_schema(table).load(json.loads(request.body))


def test_bounds_defaults_and_secrets_stand_beside_the_fields():
    text = client_types([EVERY])
    assert "    count: int  # 1 to 9\n" in text
    assert "    name: str  # 1 to 20 characters\n" in text
    assert "    gift: NotRequired[bool]  # default: False\n" in text
    assert "    card: str | None  # 1 to 200 characters; secret\n" in text
    assert "    note: NotRequired[str]" in text
    assert '"""The data of every, version 3."""' in text
    assert "class EveryDataWhereLines2(TypedDict):" in text


def test_command_writes_the_module_and_knows_the_tables(tmp_path):
    run = CliRunner().invoke(types, ["checkout", "checkout", "--sagas", "samples"])
    assert run.exit_code == 0
    assert run.output.count("class CheckoutData(TypedDict):") == 1
    run = CliRunner().invoke(types, ["chekout", "--sagas", "samples"])
    assert (run.exit_code, run.output.startswith("saga: there is no saga chekout; use one of ")) == (6, True)
