"""The sagas of docs/examples against their services, as real processes.

Nothing is booked twice, and a compensated saga leaves no booking behind.
"""

import json
import re
import shutil
from functools import partial
from urllib.parse import parse_qs

import pytest
import requests

from tests.e2e.examples import CREDENTIALS, EXAMPLES, Proxy, Services, served
from tests.support.servers import start
from tests.support.waiting import eventually, free_port

pytestmark = pytest.mark.programs

ENDS = {"completed", "compensated", "failed"}
TRIP = {"traveller": "Ada", "city": "Łódź", "day": "2027-03-01", "nights": 3, "extras": ["seat", "roof box"]}
PAYMENT = {"order": "A/1", "member": "ada", "points": 100, "amount": "12.30", "card": "tok_ok"}
#: Time for which a service works on a request, in milliseconds. The three random waits of a retried call are together
#: shorter than this in one of 1,000 runs; then the saga would give up.
WORK_MS = "400"
FULFILMENT = {
    "order": "A/1", "email": "ada@shop.example", "to": {"city": "Oslo", "country": "no"}, "parcels": 1,
    "lines": [{"sku": "pen", "quantity": 3}, {"sku": "lamp", "quantity": 1}],
}  # fmt: skip


class Orchestrator:
    """The service with the tables of docs/examples, as a real process that can be killed."""

    def __init__(self, proxy: Proxy, folder) -> None:
        self._proxy, self._folder = proxy, folder
        # A webhook that was given before a kill must still be right after it, so the port stays.
        self._port = free_port()
        self.start()

    def start(self) -> None:
        settings = {
            "DATABASE_URL": f"sqlite:///{self._folder}/examples.db", "SAGAS": str(EXAMPLES / "sagas"),
            "PARTICIPANTS_FILE": str(EXAMPLES / "participants.toml"), "PARTICIPANTS_URL": self._proxy.url,
            "PORT": str(self._port),
            "PUBLIC_URL": f"http://127.0.0.1:{self._port}", "LEASE_S": "1", "RECOVERY_INTERVAL_S": "0.1",
            "BREAKER_FAILURES": "100",
        }  # fmt: skip
        self.server = start("app", "/ready", self._port, log=self._folder / "log", **settings)

    def kill(self) -> None:
        self.server.kill()

    def ask(self, method, path, body=None, **headers):
        return requests.request(
            method, f"{self.server.url}/api/v1/sagas{path}", json=body, headers=headers, timeout=60
        ).json()

    def begin(self, kind: str, data) -> str:
        """Start a saga, do not wait for it, and return its id."""
        saga_id = self.ask("POST", "", {"type": kind, "data": data})["saga"]["id"]
        self.ask("POST", f"/{saga_id}/execute", Prefer="respond-async")
        return saga_id

    def waiting(self, saga_id: str):
        """Return the saga as soon as it waits for the answer of a participant that has accepted a call."""

        def waits():
            saga = self.ask("GET", f"/{saga_id}")
            return saga["status"] == "waiting" and saga

        return eventually(waits, f"saga {saga_id} waits", 45)

    def end_of(self, saga_id: str):
        def ended():
            saga = self.ask("GET", f"/{saga_id}")
            return saga["status"] in ENDS and saga

        return eventually(ended, f"saga {saga_id} ends", 45)

    def run(self, kind: str, data):
        return self.end_of(self.begin(kind, data))


@pytest.fixture(scope="module")
def proxy():
    proxy = Proxy()
    yield proxy
    proxy.close()


@pytest.fixture(scope="module")
def orchestrator(proxy, tmp_path_factory, sqlite_template):
    folder = tmp_path_factory.mktemp("examples")
    shutil.copy(sqlite_template, folder / "examples.db")
    orchestrator = Orchestrator(proxy, folder)
    yield orchestrator
    orchestrator.kill()


class Trip:
    def __init__(self, services) -> None:
        self.services = services

    @property
    def left(self):
        """Return the number of bookings, reservations, rentals and invoices that exist, by service."""
        return {
            "flight": len(self.services.get("flight", "/v1/bookings")["bookings"]),
            "hotel": len(self.services.get("hotel", "/reservations")),
            "car": len(self.services.get("car", "/rentals")["rentals"]),
            "invoice": len(self.services.get("invoice", "/invoices")["data"]),
        }


BOOKED = {"flight": 1, "hotel": 1, "car": 1, "invoice": 1}
NOTHING = {"flight": 0, "hotel": 0, "car": 0, "invoice": 0}


@pytest.fixture
def trip(proxy):
    with served(proxy, "flight", "hotel", "car", "invoice") as services:
        yield Trip(services)


def test_a_trip_is_booked_as_each_company_wants_it(orchestrator, trip):
    saga = orchestrator.run("trip", TRIP)
    assert (saga["status"], saga["state"]) == ("completed", "BOOKED")
    assert trip.left == BOOKED
    fly, sleep, drive, bill = trip.services.sent
    assert str(fly) == "POST flight/v1/bookings?channel=web"
    assert json.loads(fly.body) == {
        "passenger": {"name": "Ada"}, "route": {"to": "Łódź", "date": "2027-03-01"}, "cabin": "ECONOMY",
        "refundable": False,
    }  # fmt: skip
    assert str(sleep) == f"PUT hotel/reservations/{saga['id']}"
    assert str(drive) == "POST car/rentals?city=%C5%81%C3%B3d%C5%BA&days=3&extras=seat&extras=roof%20box"
    assert drive.body == b""
    assert [sent.headers.get("Authorization") for sent in trip.services.sent] == [
        "Bearer flight-token",
        None,
        None,
        None,
    ]
    booking = trip.services.get("flight", "/v1/bookings")["bookings"][0]
    assert json.loads(bill.body) == {
        "reference": saga["id"], "total": 129.9, "lines": [{"text": "Flight to Łódź", "booking": booking["id"]}],
        "note": "without a meal",
    }  # fmt: skip


@pytest.mark.parametrize(("changes", "reason", "starts"), [
    ({"city": "Atlantis"}, r"NO_SEAT: fly: 422 .*no_seats", []),
    ({"city": "Bethlehem"}, "NO_ROOM: sleep: 409 there is no room", ["flight/v1/bookings/bk_"]),
    ({"nights": 31}, "NO_CAR: drive: 422 at most 30 days", ["hotel/reservations/", "flight/v1/bookings/bk_"]),
])  # fmt: skip
def test_what_is_booked_of_a_refused_trip_is_deleted_by_its_id(orchestrator, trip, changes, reason, starts):
    saga = orchestrator.run("trip", TRIP | changes)
    assert saga["status"] == "compensated"
    assert re.match(reason, saga["error_message"])
    deleted = [str(sent).removeprefix("DELETE ") for sent in trip.services.sent if sent.method == "DELETE"]
    assert [name[: len(start)] for name, start in zip(deleted, starts, strict=True)] == starts
    assert trip.left == NOTHING


@pytest.mark.parametrize("call", ["POST flight", "PUT hotel", "POST car", "POST invoice"])
@pytest.mark.parametrize("kind", ["lose", "swallow"])
def test_a_lost_message_of_a_trip_books_once(orchestrator, trip, call, kind):
    trip.services.fault(call, kind)
    assert orchestrator.run("trip", TRIP)["status"] == "completed"
    assert trip.left == BOOKED


def test_every_reply_of_an_airline_that_books_is_lost_and_the_seat_is_given_back(orchestrator, trip):
    """The replies to all attempts are lost.

    Before the undo, the booking is sent again with the same key, and this reply contains the id.
    """
    trip.services.fault("POST flight", "lose", times=4)
    saga = orchestrator.run("trip", TRIP)
    assert saga["status"] == "compensated"
    booked = trip.services.calls("POST flight")
    assert [sent.status for sent in booked] == [201] * 5
    assert len({sent.headers["Idempotency-Key"] for sent in booked}) == 1
    assert [sent.status for sent in trip.services.calls("DELETE flight")] == [204]
    assert trip.left == NOTHING


@pytest.mark.parametrize("call", ["DELETE flight", "DELETE hotel", "DELETE car"])
def test_a_lost_reply_to_a_delete_is_settled_by_404_or_410(orchestrator, trip, call):
    trip.services.fault(call, "lose")
    if "car" in call:  # all four replies of the rental are lost, so the rental must be undone too
        trip.services.fault("POST car", "lose", times=4)
    saga = orchestrator.run("trip", TRIP | {"nights": 3 if "car" in call else 31})
    assert saga["status"] == "compensated"
    assert [sent.status for sent in trip.services.calls(call)] == [204, 410 if "car" in call else 404]
    assert trip.left == NOTHING


def test_an_airline_that_still_works_on_the_first_request_books_once(orchestrator, proxy):
    with served(proxy, "flight", "hotel", "car", "invoice", WORK_MS=WORK_MS) as services:
        services.fault("POST flight", "abandon")
        assert orchestrator.run("trip", TRIP)["status"] == "completed"
        assert Trip(services).left == BOOKED
        statuses = [sent.status for sent in services.calls("POST flight")]
        assert set(statuses) <= {201, 409}


# The card payment: one service with idempotency keys, whose refusals leave something behind, and one without any keys.


@pytest.fixture
def bank(proxy):
    with served(proxy, "card", "loyalty") as services:
        yield services


def payments(bank):
    return [payment["status"] for payment in bank.get("card", "/v1/payments")["payments"]]


def redeemed(bank):
    return [each["points"] for each in bank.get("loyalty", "/members/ada/redemptions")]


def test_a_payment_is_authorised_in_cents_and_captured(orchestrator, bank):
    saga = orchestrator.run("card_payment", PAYMENT)
    assert (saga["status"], payments(bank), redeemed(bank)) == ("completed", ["captured"], [100])
    authorise = bank.sent[0]
    assert authorise.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert parse_qs(authorise.body.decode()) == {
        "amount": ["1230"], "currency": ["EUR"], "card": ["tok_ok"], "capture": ["false"], "metadata[order]": ["A/1"],
    }  # fmt: skip
    assert "tok_ok" not in json.dumps(saga), "the card is a secret"


@pytest.mark.parametrize(("changes", "reason", "left"), [
    ({"card": "tok_declined"}, "DECLINED: authorise: 402 .*card_declined", []),
    ({"card": "tok_customer_must_act"}, 'DECLINED: authorise: 200: status is "requires_action"', ["canceled"]),
    ({"points": 501}, "TOO_FEW_POINTS: redeem: 422", ["canceled"]),
    ({"card": "tok_expires"}, 'NOT_CAPTURED: capture: .*status is "capture_failed"', ["canceled"]),
])  # fmt: skip
def test_a_refused_payment_leaves_no_authorisation_and_no_points(orchestrator, bank, changes, reason, left):
    saga = orchestrator.run("card_payment", PAYMENT | changes)
    assert saga["status"] == "compensated"
    assert re.match(reason, saga["error_message"]), saga["error_message"]
    assert (payments(bank), redeemed(bank)) == (left, [])


def test_a_capture_is_waited_for_until_the_webhook_comes(orchestrator, proxy):
    with served(proxy, "card", "loyalty", SETTLE_MS="1500") as bank:
        saga_id = orchestrator.begin("card_payment", PAYMENT)
        saga = orchestrator.waiting(saga_id)
        assert (saga["state"], saga["waiting_for"]) == ("AWAITING_CAPTURE", "callback, 15 min at most")
        assert payments(bank) == ["processing"]
        assert orchestrator.end_of(saga_id)["status"] == "completed"
        assert [sent.status for sent in bank.calls("capture")] == [202], "nothing polls"
        assert payments(bank) == ["captured"]


def test_a_webhook_that_finds_nobody_is_sent_again_and_counts(orchestrator, proxy):
    with served(proxy, "card", "loyalty", SETTLE_MS="500") as bank:
        saga_id = orchestrator.begin("card_payment", PAYMENT)
        orchestrator.waiting(saga_id)
        orchestrator.kill()
        eventually(lambda: payments(bank) == ["captured"], "the payment is settled")
        orchestrator.start()
        assert orchestrator.end_of(saga_id)["status"] == "completed"
        assert [sent.status for sent in bank.calls("capture")] == [202]


@pytest.mark.parametrize("call", ["POST card/v1/payments$", "POST loyalty", "POST card/v1/payments/.*/capture"])
def test_a_lost_reply_of_a_payment_captures_once(orchestrator, bank, call):
    bank.fault(call, "lose")
    assert orchestrator.run("card_payment", PAYMENT)["status"] == "completed"
    assert (payments(bank), redeemed(bank)) == (["captured"], [100])
    assert len(bank.calls("POST loyalty")) == 1


def test_a_request_that_never_reached_a_participant_without_keys_is_not_sent_again(orchestrator, bank):
    bank.fault("POST loyalty", "swallow")
    saga = orchestrator.run("card_payment", PAYMENT)
    assert saga["status"] == "compensated"
    assert (payments(bank), redeemed(bank), bank.calls("POST loyalty")) == (["canceled"], [], [])


@pytest.mark.parametrize("call", ["POST card/v1/payments/.*/cancel", "DELETE loyalty"])
def test_a_lost_reply_to_an_undo_of_a_payment_is_settled(orchestrator, bank, call):
    bank.fault(call, "lose")
    saga = orchestrator.run("card_payment", PAYMENT | {"card": "tok_expires"})
    assert (saga["status"], payments(bank), redeemed(bank)) == ("compensated", ["canceled"], [])


def test_a_payment_whose_every_authorisation_is_lost_is_cancelled_by_its_id(orchestrator, bank):
    bank.fault("POST card/v1/payments$", "lose", times=4)
    saga = orchestrator.run("card_payment", PAYMENT)
    assert (saga["status"], payments(bank), redeemed(bank)) == ("compensated", ["canceled"], [])


def test_a_key_that_is_still_in_use_is_no_refusal(orchestrator, proxy):
    with served(proxy, "card", "loyalty", WORK_MS=WORK_MS) as bank:
        bank.fault("POST card/v1/payments$", "abandon")
        assert orchestrator.run("card_payment", PAYMENT)["status"] == "completed"
        assert payments(bank) == ["captured"]


@pytest.mark.parametrize("call", ["POST card/v1/payments$", "POST loyalty", "POST card/v1/payments/.*/capture"])
def test_a_process_that_is_killed_during_a_payment_captures_once(orchestrator, bank, call):
    fault = bank.fault(call, "hold")
    saga_id = orchestrator.begin("card_payment", PAYMENT)
    assert fault.met.wait(30)
    orchestrator.kill()
    orchestrator.start()
    saga = orchestrator.end_of(saga_id)
    assert (saga["status"], payments(bank), redeemed(bank)) == ("completed", ["captured"], [100])
    assert len(bank.calls("POST loyalty")) == 1


# The fulfilment: reasons in the body, a request id, 429, a PDF, and a messenger that answers only 202.


@pytest.fixture
def shop(proxy):
    with served(proxy, "warehouse", "carrier", "notifier") as services:
        yield services


def left(shop):
    """Return the statuses of the reservations and of the shipments, and the numbers of labels and messages."""
    carrier = shop.get("carrier", "/shipments")
    return (
        [each["status"] for each in shop.get("warehouse", "/reservations")["reservations"]],
        [each["status"] for each in carrier["shipments"]],
        carrier["labels"],
        len(shop.get("notifier", "/messages")["messages"]),
    )


SENT = (["picked"], ["announced"], 1, 1)


def test_an_order_is_fulfilled(orchestrator, shop):
    saga = orchestrator.run("fulfilment", FULFILMENT)
    assert (saga["status"], left(shop)) == ("completed", SENT)
    reserve, ship, pick, *polls, label, notify = shop.sent
    assert (str(pick), pick.status) == ("POST warehouse/reservations/res-1/pick", 202)
    assert {(str(sent), sent.status) for sent in polls} == {("GET warehouse/reservations/res-1", 200)}
    assert json.loads(reserve.body) == {
        "order": "A/1", "units": 4, "lines": [{"article": "pen", "quantity": 3}, {"article": "lamp", "quantity": 1}],
    }  # fmt: skip
    assert json.loads(ship.body)["address"] == {"city": "Oslo", "country": "NO"}
    assert ship.headers["X-Request-Id"] == f"{saga['id']}/ship/do"
    assert str(label) == "PUT carrier/shipments/shp-1/label"
    assert parse_qs(notify.body.decode()) == {
        "to": ["ada@shop.example"], "via": ["log", "mail"], "tag": [f"{saga['id']}/notify/do"],
        "text": ["Your parcel TRK1000 is on its way"],
    }  # fmt: skip
    assert shop.get("warehouse", "/reservations")["stock"] == {"pen": 97, "lamp": 1, "vase": 1}


@pytest.mark.parametrize(("changes", "reason", "after"), [
    ({"lines": [{"sku": "lamp", "quantity": 3}]}, "OUT_OF_STOCK: reserve: 409", ([], [], 0, 0)),
    ({"lines": [{"sku": "vase", "quantity": 1}]}, "NOT_PICKED: pick: ", (["released"], ["canceled"], 0, 0)),
    ({"to": {"city": "McMurdo", "country": "aq"}}, "NO_CARRIER: ship: 422 no parcels", (["released"], [], 0, 0)),
])  # fmt: skip
def test_a_refused_order_leaves_nothing_reserved(orchestrator, shop, changes, reason, after):
    saga = orchestrator.run("fulfilment", FULFILMENT | changes)
    assert saga["status"] == "compensated"
    assert saga["error_message"].startswith(reason)
    assert left(shop) == after
    assert shop.get("warehouse", "/reservations")["stock"] == {"pen": 100, "lamp": 2, "vase": 1}


def test_an_order_waits_until_its_goods_are_picked(orchestrator, proxy):
    with served(proxy, "warehouse", "carrier", "notifier", PICK_MS="2500") as shop:
        saga_id = orchestrator.begin("fulfilment", FULFILMENT)
        saga = orchestrator.waiting(saga_id)
        assert (saga["state"], saga["waiting_for"]) == ("AWAITING_PICK", "poll every 1 s, 8 h at most")
        saga = orchestrator.end_of(saga_id)
        assert (saga["status"], left(shop)) == ("completed", SENT)
        assert [sent.status for sent in shop.calls("POST warehouse/.*/pick")] == [202]
        assert len(shop.calls("GET warehouse/reservations/res-1$")) >= 2, "the first poll finds the goods not picked"


@pytest.mark.parametrize(
    "call",
    [
        "POST warehouse/reservations$",
        "POST carrier",
        "POST warehouse/.*/pick",
        "GET warehouse",
        "PUT carrier",
        "POST notifier",
    ],
)
@pytest.mark.parametrize("kind", ["lose", "swallow"])
def test_a_lost_message_of_a_fulfilment_does_its_work_once(orchestrator, shop, call, kind):
    shop.fault(call, kind)
    assert orchestrator.run("fulfilment", FULFILMENT)["status"] == "completed"
    assert left(shop) == SENT


def test_a_shipment_whose_every_reply_is_lost_is_cancelled_by_its_id(orchestrator, shop):
    shop.fault("POST carrier/shipments$", "lose", times=4)
    saga = orchestrator.run("fulfilment", FULFILMENT)
    assert (saga["status"], left(shop)) == ("compensated", (["released"], ["canceled"], 0, 0))
    assert {sent.status for sent in shop.calls("POST carrier")} >= {201, 200}


def test_too_many_requests_wait_and_none_is_lost(orchestrator, shop):
    sagas = [orchestrator.begin("fulfilment", FULFILMENT | {"order": str(number)}) for number in range(2)]
    more = [
        orchestrator.begin("fulfilment", FULFILMENT | {"order": str(number), "lines": [{"sku": "pen", "quantity": 1}]})
        for number in range(2, 6)
    ]
    assert {orchestrator.end_of(saga_id)["status"] for saga_id in [*sagas, *more]} == {"completed"}
    assert left(shop) == (["picked"] * 6, ["announced"] * 6, 6, 6)
    assert 429 in [sent.status for sent in shop.calls("carrier")]


# Every service survives a body that it cannot read.

#: Service, method, path and content type of a request with a body.
WITH_BODY = {
    "carrier": ("POST", "/shipments", "application/json"),
    "flight": ("POST", "/v1/bookings", "application/json"),
    "hotel": ("PUT", "/reservations/1", "application/json"),
    "invoice": ("POST", "/invoices", "application/json"),
    "loyalty": ("POST", "/members/ada/redemptions", "application/json"),
    "warehouse": ("POST", "/reservations", "application/json"),
    "card": ("POST", "/v1/payments", "application/x-www-form-urlencoded"),
    "notifier": ("POST", "/messages", "application/x-www-form-urlencoded"),
    "car": ("POST", "/rentals", "application/json"),
}


@pytest.fixture(scope="module")
def all_services():
    services = Services(tuple(WITH_BODY))
    yield services
    services.close()


@pytest.mark.parametrize("service", WITH_BODY)
def test_service_answers_400_to_a_body_without_a_json_object(all_services, service):
    method, path, content = WITH_BODY[service]
    url = f"http://127.0.0.1:{all_services.ports[service]}{path}"
    headers = CREDENTIALS.get(service, {}) | {"Content-Type": content}
    for body in ("", "{", "null", "7", '"text"', "[]", '[{"sku": "pen"}]', "\x00"):
        keys = dict.fromkeys(("Idempotency-Key", "X-Request-Id"), json.dumps(body))
        answered = partial(status_of, method, url, data=body, headers=headers | keys)
        assert eventually(answered, "the service has time") == 400, body


def status_of(method: str, url: str, **request) -> int | None:
    """Return the status of the answer; None for 429, because the carrier takes three requests a second."""
    status = requests.request(method, url, timeout=10, **request).status_code
    return None if status == 429 else status


@pytest.mark.parametrize("lines", [7, "pen", [None], [7], {}])
def test_warehouse_answers_400_to_lines_that_are_no_list_of_objects(all_services, lines):
    url = f"http://127.0.0.1:{all_services.ports['warehouse']}/reservations"
    headers = {"Idempotency-Key": json.dumps(lines)}
    assert requests.post(url, json={"lines": lines}, headers=headers, timeout=10).status_code == 400
