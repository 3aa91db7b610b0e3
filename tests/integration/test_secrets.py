"""Secret values reach the participants. They appear in nothing that a person, a log or a file can show."""

import base64
import json
import re
import threading
from types import SimpleNamespace

import pytest
from flask import Flask, request
from prometheus_client import CollectorRegistry
from sqlalchemy import inspect, text
from werkzeug.serving import make_server

from app import create_app
from app.access.permissions import Role
from app.access.principal import user
from app.config import from_environment
from app.events.deliverer import Deliverer
from app.events.relay import Relay
from app.events.webhooks import webhook_receivers
from app.services import services
from app.store.database import db
from app.store.dead_letters import DeadLetters
from app.store.outbox import Outbox
from machines.replies import Reply
from machines.sealed import SEALED
from tests.support.applications import opened, settle
from tests.support.servers import OPEN
from tests.support.webhooks import OLD, webhooks_file

#: Every secret value of these tests contains this text in some form.
MARKER = "S3CRET"
DATA_KEY = base64.b64encode(bytes(32)).decode()
DATA = {
    "customer": "Ada", "card": f'{MARKER} "4242" é', "cvc": 97531864, "pins": [f"{MARKER}-pin"], "amount": "12.30",
    "billing": {"iban": f"CH{MARKER}93", "city": "Oslo"}, "lines": [{"code": f"{MARKER}code", "n": 1}],
}  # fmt: skip
SHOWN = re.compile(rf"(?i){MARKER}|97531864")
SAGA = """
from machines import *


def digits(card):
    return "".join(each for each in card if each.isdigit())


def failing(card):
    raise ValueError(f"no card {card}")


SECRETIVE = Saga(
    name="secretive", version=1, initial="ASKED", completed="PAID", compensated="NOT_PAID",
    data={"customer": text(), "card": secret(text()), "cvc": secret(integer()), "pins": personal(list_of(text())),
          "amount": money(), "billing": object_of({"iban": personal(text()), "city": text()}),
          "lines": list_of({"code": personal(text()), "n": integer()}), "broken": optional(text())},
    client="customer", participants=("pay", "bank"), started_by="CardEntered",
    events={"HELD": "CardHeld", "PAID": "CardPaid", "REFUSED": "CardRefused"},
    steps=(
        compensatable("hold", post("pay", "/hold", body={"card": "card", "cvc": "cvc", "pins": "pins",
                                                         "up": upper("card"),
                                                         "all": join("-", "card", "cvc"), "b": "billing", "l": "lines",
                                                         "digits": computed(digits, "card")},
                                   headers={"X-Code": "cvc"},
                                   keeps={"token": personal(text()), "id": text(), "echo": anything()}),
                      repeatable=True, undo=post("pay", "/undo", token="hold.token", card="card", id="hold.id"),
                      done="HELD", refused="NOT_HELD"),
        compensatable("score", post("bank", "/score", card="card", token="hold.token"),
                      undo=post("bank", "/unscore", card="card"), done="SCORED", refused="NOT_SCORED"),
        pivot("pay", post("pay", "/pay", token="hold.token",
                          c=each_item("lines", {"c": "item.code", "n": "item.n"})), done="PAID", refused="REFUSED"),
    ),
)
TAKEN = {"token": secret(text())}
LONE = Saga(
    name="lone", version=1, initial="L0", completed="L_DONE", compensated="L_BACK", data={}, participants=("pay",),
    steps=(compensatable("take", post("pay", "/take", keeps=TAKEN), undo=post("pay", "/undo"), done="L_DONE",
                         refused="L_REFUSED"),),
)
FAMILY = Saga(
    name="family", version=1, initial="F0", completed="F_DONE", compensated="F_BACK", participants=("pay",),
    data={"lines": list_of(text()), "pin": secret(text())}, events={"BOTH_HELD": "CardHeld", "ALL_HELD": "CardPaid"},
    steps=(
        sub("single", saga="lone", keeps={"take.token": secret(text())}, data={}, done="SINGLE_TAKEN",
            refused="SINGLE_BACK"),
        together(
            compensatable("one", post("pay", "/one", keeps=TAKEN), undo=post("pay", "/undo"), done="ONE_HELD",
                          refused="ONE_BACK"),
            compensatable("two", post("pay", "/two", pin="pin", keeps={"id": text()}), undo=post("pay", "/undo"),
                          done="TWO_HELD", refused="TWO_BACK"),
            name="both", done="BOTH_HELD", refused="BOTH_BACK"),
        each("lines", compensatable("each_one", post("pay", "/each", line="item", keeps=TAKEN),
                                    undo=post("pay", "/undo"), done="EACH_HELD", refused="EACH_BACK"),
             name="all", done="ALL_HELD", refused="ALL_BACK"),
        retriable("last", post("pay", "/last", tokens="all.*.token", one="both.one.token"), done="F_DONE"),
    ),
)
BROKEN = Saga(
    name="broken", version=1, initial="B0", completed="B1", compensated="B2", data={"card": secret(text())},
    participants=("pay",),
    steps=(pivot("sell", post("pay", "/sell", card=computed(failing, "card")), done="B1", refused="B3"),),
)
"""


def token_of(path: str) -> str:
    """Return the token in a reply. Branches get their own, because a known secret is hidden wherever it occurs."""
    return f"{path}{MARKER}" if path in {"pay/one", "pay/each"} else f"tok{MARKER}"


class Bank:
    """A participant that repeats every value that it receives, in its replies and in its refusals."""

    def __init__(self) -> None:
        self.bodies: list[dict] = []
        self.refusing: dict[str, int] = {}
        app = Flask("bank")

        @app.post("/<path:path>")
        def answer(path):
            body = request.get_json()
            self.bodies.append(body)
            if status := self.refusing.get(path):
                return {"detail": f"declined: {json.dumps(body, ensure_ascii=False)}", "body": body}, status
            return {"token": token_of(path), "id": f"id-{MARKER}-pin", "echo": body, "detail": f"took {body}"}, 200

        self.server = make_server("127.0.0.1", 0, app, threaded=True)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def bank():
    bank = Bank()
    yield bank
    bank.server.shutdown()
    bank.server.server_close()


@pytest.fixture(scope="session")
def tables(tmp_path_factory):
    """Return the folder of the tables. The tests share one folder, because a process imports a module only once."""
    folder = tmp_path_factory.mktemp("secret_tables")
    (folder / "secretive.py").write_text(SAGA)
    return folder


@pytest.fixture
def application(bank, store_url, tables, monkeypatch, tmp_path):
    monkeypatch.setattr("app.access.authorization.signed_in", lambda: user("ada", Role.OPERATOR))
    monkeypatch.setattr("app.access.authorization._check_session", lambda: None)
    monkeypatch.setattr("app.access.authorization._check_form", lambda _largest: None)
    url = f"http://127.0.0.1:{bank.server.server_port}"
    receiver = "[shop]\nurl = 'https://shop.example'\nsecrets_file = SECRET\nsagas = ['secretive', 'broken', 'family']"
    webhooks = str(webhooks_file(tmp_path, receiver))
    settings = {
        "DATA_KEY": DATA_KEY,
        "DATABASE_URL": store_url,
        "PARTICIPANTS_URL": url,
        "SAGAS": str(tables),
        "WEBHOOKS_FILE": webhooks,
    }
    app = create_app(from_environment(OPEN | settings))
    with opened(app):
        yield app


def every_surface(application, saga_id, tmp_path, capfd) -> dict[str, str]:
    """Return the text of each place that shows a saga, by the name of the place."""
    client, cli, registry = application.test_client(), application.test_cli_runner(), services().registry
    published: list[dict] = []
    publisher = SimpleNamespace(publish=published.append, close=lambda: None)
    relay = Relay(
        Outbox(db.engine, "test"), publisher, CollectorRegistry(), names=["CardHeld", "CardPaid", "CardRefused"],
        wake=threading.Event(), stopping=threading.Event(), secrets_of=registry.secrets_of,
    )  # fmt: skip
    relay.publish_batch()
    messages: list[str] = []
    receiver = SimpleNamespace(send=lambda request: messages.append(json.dumps(request.body)) or Reply(status=410))
    sender = Deliverer(
        webhook_receivers(services().webhooks, receiver, registry), services().deliveries, CollectorRegistry(),
        wake=threading.Event(), stopping=threading.Event(),
    )  # fmt: skip
    for delivery in list(sender.claimed()):
        sender.deliver(delivery)
    assert messages
    pages = [
        f"/api/v1/sagas/{saga_id}", f"/api/v1/sagas/{saga_id}/journal", f"/api/v1/sagas/{saga_id}/events",
        f"/api/v1/sagas/{saga_id}/diagram.svg", "/api/v1/sagas", "/admin", "/admin/sagas", "/admin/stuck",
        "/admin/audit",
        f"/admin/sagas/{saga_id}", "/metrics", "/openapi.json", "/api/v1/definitions", "/admin/parked",
        "/api/v1/events/parked", "/admin/webhooks",
    ]  # fmt: skip
    found = {path: client.get(path).get_data(as_text=True) for path in pages}
    archive = tmp_path / "archive.jsonl"
    commands = [
        ["show", str(saga_id)], ["show", str(saga_id), "--json"], ["list", "--json"], ["list"], ["export"],
        ["webhooks", "list", "--json"],
        ["replay", str(saga_id)], ["watch", str(saga_id), "--json"], ["watch", str(saga_id)],
        ["prune", "--days", "0.0000001", "--archive", str(archive)],
    ]  # fmt: skip
    found |= {" ".join(command[:1] + command[2:3]): cli.invoke(args=["saga", *command]).output for command in commands}
    assert "the receiver answered 410" in found["/admin/webhooks"]
    found |= {"webhook": "".join(messages), "secret": (OLD in "".join(found.values()) and MARKER) or ""}
    assert not archive.exists() or archive.stat().st_mode & 0o777 == 0o600
    found |= {"archive": archive.read_text() if archive.exists() else "", "events": json.dumps(published)}
    return found | {"log": "".join(capfd.readouterr())}


def columns() -> dict[str, str]:
    """Return the content of each column of the database. None contains a secret value in clear."""
    found = {}
    with db.engine.connect() as connection:
        for table in inspect(connection).get_table_names():
            rows = connection.execute(text(f'SELECT * FROM "{table}"')).mappings().all()
            for column in {name for row in rows for name in row} if rows else ():
                found[f"{table}.{column}"] = "\n".join(str(row[column]) for row in rows)
    return found


def start(application, **more):
    body = {"type": "secretive", "data": DATA | more}
    client = application.test_client()
    created = client.post("/api/v1/sagas", json=body)
    assert created.status_code == 201, created.get_data(as_text=True)
    saga_id = created.get_json()["saga"]["id"]
    return saga_id, client.post(f"/api/v1/sagas/{saga_id}/execute", headers={"Prefer": "wait=20"})


def check(found: dict[str, str]) -> None:
    shown = {name: SHOWN.search(text) for name, text in found.items()}
    places = {name: found[name][max(at.start() - 200, 0) : at.end() + 40] for name, at in shown.items() if at}
    assert not places


@pytest.mark.parametrize(
    ("refusing", "state"),
    [({}, "PAID"), ({"pay/pay": 402}, "NOT_PAID"), ({"bank/score": 422}, "NOT_PAID"),
     ({"pay/pay": 402, "bank/unscore": 422}, "STUCK_UNDO_SCORE"), ({"pay/hold": 409}, "NOT_PAID")],
)  # fmt: skip
def test_a_secret_is_sent_and_shown_nowhere(application, bank, tmp_path, capfd, refusing, state):  # noqa: PLR0917
    bank.refusing = refusing
    saga_id, answer = start(application)
    assert answer.get_json()["saga"]["state"] == state
    assert bank.bodies[0]["card"] == DATA["card"]
    assert bank.bodies[0]["cvc"] == DATA["cvc"]
    if "pay/hold" not in refusing:
        assert bank.bodies[1] == {"card": DATA["card"], "token": token_of("pay/hold")}
    stored = columns()
    assert all(SEALED in stored[each] for each in ("saga.data", "journal.reply") if "pay/hold" not in refusing)
    found = every_surface(application, saga_id, tmp_path, capfd) | stored
    check(found | {"answer": answer.get_data(as_text=True)})
    whole = found[f"/api/v1/sagas/{saga_id}"]
    assert json.loads(whole)["data"] == DATA | {
        "card": "***", "cvc": "***", "pins": "***", "billing": {"iban": "***", "city": "Oslo"},
        "lines": [{"code": "***", "n": 1}],
    }  # fmt: skip
    assert json.loads(whole)["steps"][0]["input_data"] == {
        "card": "***", "cvc": "***", "pins": "***", "up": "***", "all": "***", "digits": "***",
        "b": {"iban": "***", "city": "Oslo"}, "l": [{"code": "***", "n": 1}],
    }  # fmt: skip
    assert "***" in found["log"]
    assert "***" in found[f"/admin/sagas/{saga_id}"]
    assert "***" in found["archive"] or state.startswith("STUCK")


def test_a_secret_stays_hidden_when_its_saga_is_stuck_and_resolved(application, bank, tmp_path, capfd):
    bank.refusing = {"pay/pay": 402, "bank/unscore": 422}
    saga_id, _ = start(application)
    client = application.test_client()
    stuck = {path: client.get(path).get_data(as_text=True) for path in ("/admin/stuck", f"/admin/sagas/{saga_id}")}
    texts = {}
    for action, reason, state in (("retry", "again", "STUCK_UNDO_SCORE"), ("resolve", "done by phone", "NOT_PAID")):
        db.session.rollback()  # all requests of this test share a session
        path = f"/api/v1/sagas/{saga_id}/{action}"
        answer = client.post(path, json={"reason": reason}, headers={"Prefer": "wait=20"})
        assert answer.get_json()["saga"]["state"] == state
        texts[action] = answer.get_data(as_text=True)
    db.session.rollback()
    stored = columns()
    assert "done by phone" in stored["journal.reason"]
    check(every_surface(application, saga_id, tmp_path, capfd) | stuck | texts | stored)


def test_a_secret_that_a_branch_keeps_is_hidden_at_its_parent(application, bank, tmp_path, capfd):
    body = {"lines": ["a", "b"], "pin": f"{MARKER}-pin"}
    headers = {"Prefer": "respond-async"}
    saga_id = application.test_client().post("/api/v1/sagas/family", json=body, headers=headers).get_json()["id"]
    settle()
    last = next(body for body in bank.bodies if "tokens" in body)
    assert last == {"tokens": [token_of("pay/each")] * 2, "one": token_of("pay/one")}
    check(columns() | every_surface(application, saga_id, tmp_path, capfd))


def test_a_function_of_the_author_that_fails_shows_no_secret(application, tmp_path, capfd):
    snapshot = services().sagas.start("broken", {"card": f"{MARKER}1"})
    assert (
        snapshot.error == "B3: sell: tables.failing(card) failed: ValueError: no card ***"
        or "no card ***" in snapshot.error
    )
    check(every_surface(application, snapshot.id, tmp_path, capfd))


@pytest.mark.parametrize(
    ("wrong", "pointer"),
    [({"cvc": f"{MARKER}x"}, "/data/cvc"), ({"pins": [{MARKER: 1}]}, "/data/pins/0"),
    ({"card": [MARKER]}, "/data/card"),
     ({"billing": {"iban": 5, "city": "Oslo"}}, "/data/billing/iban")],
)  # fmt: skip
def test_a_secret_that_is_refused_is_not_repeated(application, capfd, wrong, pointer):
    answer = application.test_client().post("/api/v1/sagas", json={"type": "secretive", "data": DATA | wrong})
    assert answer.status_code == 400
    assert answer.get_json()["errors"][0]["pointer"] == pointer
    check({"answer": answer.get_data(as_text=True), "log": "".join(capfd.readouterr())})
    cli = application.test_cli_runner().invoke(args=["saga", "start", "secretive", "--data", json.dumps(DATA | wrong)])
    assert cli.exit_code
    check({"cli": cli.output})


@pytest.mark.parametrize(
    "message",
    [{"type": "CardEntered", "data": DATA | {"cvc": f"{MARKER}x"}}, {"type": "CardEntred", "data": DATA},
     {"type": "CardEntered", "data": f"{MARKER}"}, [MARKER], {"type": "CardEntered", "data": DATA, "cut": None}],
)  # fmt: skip
def test_a_dead_letter_shows_no_secret(application, message, tmp_path, capfd):
    body = json.dumps(
        {"specversion": "1.0", "id": "1", "source": "/shop"} | message if isinstance(message, dict) else message
    )
    body = body[:-1] if "cut" in message else body
    DeadLetters(db.engine).add("it was not accepted", body.encode())
    client = application.test_client()
    parked = client.get("/api/v1/events/parked")
    assert "***" in parked.get_json()["parked"][0]["body"]
    number = parked.get_json()["parked"][0]["id"]
    found = {"api": parked.get_data(as_text=True), "page": client.get("/admin/parked").get_data(as_text=True)}
    assert client.post(f"/api/v1/events/parked/{number}/discard", json={}).status_code == 200
    check(found | {"audit": client.get("/admin/audit").get_data(as_text=True), "log": "".join(capfd.readouterr())})
