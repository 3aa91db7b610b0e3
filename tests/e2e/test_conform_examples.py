"""Each service of docs/examples keeps the lines that the step which calls it expects of its kind of participant."""

import json

import pytest
from click.testing import CliRunner

from app.cli.__main__ import command_line
from tests.e2e.examples import EXAMPLES, Services
from tests.support.waiting import HOST

pytestmark = pytest.mark.programs

TRIP = ("traveller=Ada", "city=Oslo-${n}", "day=2027-03-01", "nights=3", "extras=[]")
PAYMENT = ("order=A-${n}", "member=ada-${n}", "points=100", "amount=12.30", "card=tok_ok")
FULFILMENT = (
    "order=A-${n}", "email=ada@shop.example", "parcels=1", 'to={"city":"Oslo","country":"no"}',
    'lines=[{"sku":"pen","quantity":1}]',
)  # fmt: skip
FLOWN = ("--reply", 'fly={"id":"bk_1","price":"129.90"}')
#: Step → its service, the data of the saga, and further arguments.
STEPS = {
    "trip.fly": ("flight", TRIP, ("--look", "/v1/bookings", "--refused", "city=Atlantis")),
    "trip.sleep": ("hotel", TRIP, ("--look", "/reservations", "--refused", "city=Bethlehem")),
    "trip.drive": ("car", TRIP, ("--look", "/rentals", "--refused", "nights=31")),
    "trip.bill": ("invoice", TRIP, ("--look", "/invoices", *FLOWN, "--kind", "key")),
    "card_payment.authorise": ("card", PAYMENT, ("--refused", "card=tok_declined")),
    "card_payment.redeem": ("loyalty", PAYMENT, ("--refused", "points=501")),
    "card_payment.capture": ("card", PAYMENT, ()),
    "fulfilment.reserve": ("warehouse", FULFILMENT, ("--refused", 'lines=[{"sku":"pen","quantity":1000}]')),
    "fulfilment.pick": ("warehouse", FULFILMENT, ()),
    "fulfilment.notify": ("notifier", FULFILMENT, ("--reply", 'ship={"id":"shp-1","code":"TRK1"}', "--kind", "key")),
}  # fmt: skip


@pytest.mark.parametrize("step", STEPS)
def test_service_of_the_examples_keeps_the_lines_of_its_kind(step):
    name, data, arguments = STEPS[step]
    services = Services((name,), WORK_MS="20", PICK_MS="100")
    try:
        result = CliRunner().invoke(
            command_line(),
            ["conform", step, *data, "--url", f"{name}=http://{HOST}:{services.ports[name]}", *arguments, "--json",
             "--sagas", str(EXAMPLES / "sagas")],
            env={"PARTICIPANTS_FILE": str(EXAMPLES / "participants.toml")},
        )  # fmt: skip
    finally:
        services.close()
    assert result.exit_code != 2, result.output
    lines = {line["name"]: line for line in json.loads(result.stdout)["lines"]}
    broken = {name: line["why"] for name, line in lines.items() if line["verdict"] == "not kept" and line["required"]}
    assert (broken, lines["done"]["verdict"], result.exit_code) == ({}, "kept", 0)
    assert ("poll" in lines) == (step == "fulfilment.pick")
