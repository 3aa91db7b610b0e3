"""The contract of /api/saga: its event names, its pages, and the member `error` of every error."""

import pytest

from app.api.schemas.commandes import EVENTS
from app.services import services
from app.store.database import db
from app.store.models import SagaRow
from machines.commande import COMMANDE
from machines.samples import example
from machines.transitions import Trigger
from tests.integration.engine.scene import LOST, REFUSED, Scene, answer

ORDER = example(COMMANDE.data)
ORDERS, LIST, SAGAS = "/api/saga/commandes/", "/api/saga/sagas/", "/api/v1/sagas"
#: The events of an order until its stock is reserved, each as (event type, state entered).
RESERVED = [
    ("SAGA_DEMARRE", "EN_ATTENTE"), ("SAGA_DEMARRE", "VERIFICATION_STOCK"), ("STOCK_VERIFIE_SUCCES", "STOCK_VERIFIE"),
    ("STOCK_VERIFIE_SUCCES", "PRODUITS_LUS"), ("STOCK_VERIFIE_SUCCES", "RESERVATION_STOCK"),
    ("STOCK_RESERVE_SUCCES", "STOCK_RESERVE"), ("STOCK_RESERVE_SUCCES", "CREATION_COMMANDE"),
]  # fmt: skip


@pytest.fixture
def scene(client):
    """An engine on the database of the application, with fake participants."""
    scene = Scene(db.engine, None)
    scene.telemetry = services(client.application).sagas._engine.telemetry
    return scene


@pytest.fixture
def ordered(client, scene):
    """Return a function that runs an order and returns its summary and its history as (event type, state entered)."""

    def run(ask=None, **instead):
        for step in COMMANDE.steps:
            said = answer(200, **dict.fromkeys(COMMANDE.needed_fields[step.name], "x"))
            scene.given(**{step.name: instead.get(step.name, [said])})
        scene.given(**{name: replies for name, replies in instead.items() if name.startswith("undo_")})
        saga = scene.run(COMMANDE, **ORDER)
        if ask:
            scene.engine.request_move(scene.engine.store.read(saga.id), ask, "ada", "asked for")
        shown = client.get(f"{ORDERS}{saga.id}/").json
        summary = next(one for one in client.get(LIST).json["sagas"] if one["saga_id"] == str(saga.id))
        return summary, [(event["type"], event["nouvel_etat"]) for event in shown["historique_evenements"]]

    return run


def test_created_order_has_the_events_of_the_contract(ordered):
    summary, events = ordered()
    assert events == [
        *RESERVED, ("COMMANDE_CREEE_SUCCES", "COMMANDE_CREEE"), ("SAGA_TERMINEE_SUCCES", "SAGA_TERMINEE"),
    ]  # fmt: skip
    assert summary["necessite_compensation"] is False


def test_order_that_cannot_be_created_is_compensated(ordered):
    summary, events = ordered(creer_commande=[REFUSED])
    assert events == [
        *RESERVED, ("COMMANDE_CREEE_ECHEC", "ECHEC_CREATION_COMMANDE"),
        ("COMPENSATION_DEMANDEE", "COMPENSATION_EN_COURS"), ("COMPENSATION_TERMINEE", "SAGA_ANNULEE"),
    ]  # fmt: skip
    assert summary["necessite_compensation"] is False


@pytest.mark.parametrize(
    ("step", "failure", "state"),
    [
        ("verifier_stock", "STOCK_VERIFIE_ECHEC", "ECHEC_STOCK_INSUFFISANT"),
        ("lire_produits", "STOCK_VERIFIE_ECHEC", "ECHEC_PRODUIT"),
        ("reserver_stock", "STOCK_RESERVE_ECHEC", "ECHEC_RESERVATION_STOCK"),
    ],
)
def test_order_without_effects_is_cancelled_without_compensation(ordered, step, failure, state):
    summary, events = ordered(**{step: [REFUSED]})
    assert events[-2:] == [(failure, state), (failure, "SAGA_ANNULEE")]
    assert "COMPENSATION_TERMINEE" not in dict(events)
    assert summary["necessite_compensation"] is False


def test_an_order_that_is_stuck_with_a_reservation_needs_compensation(ordered):
    summary, events = ordered(creer_commande=[LOST] * 10)
    assert events == [*RESERVED, ("COMMANDE_CREEE_ECHEC", "STUCK_CREER_COMMANDE")]
    assert summary["necessite_compensation"] is True
    assert (summary["est_terminee"], summary["est_en_echec"]) == (False, True)


def test_stuck_compensation_still_needs_compensation(ordered):
    summary, events = ordered(creer_commande=[REFUSED], undo_reserver_stock=[LOST] * 20)
    assert events[-1] == ("COMPENSATION_DEMANDEE", "STUCK_UNDO_RESERVER_STOCK")
    assert summary["necessite_compensation"] is True


def test_every_event_has_a_name_of_the_contract(ordered):
    """The test covers every transition that changes the state."""
    from app.api.commandes import _event_type  # noqa: PLC0415
    from app.store.models import JournalRow  # noqa: PLC0415

    transitions = [transition for transition in COMMANDE.transitions if transition.source != transition.dest]
    moves = [
        JournalRow(source=transition.source, trigger=str(transition.trigger), dest=transition.dest)
        for transition in transitions
    ]
    assert {_event_type(move, "SAGA_DEMARRE") for move in moves} == set(EVENTS)
    assert not set(EVENTS) & {trigger.upper() for trigger in Trigger}


def test_orders_are_listed_page_by_page(client):
    made = [client.post(SAGAS, json={"type": "commande", "data": ORDER}).json["saga"]["id"] for _ in range(7)]
    other = client.post(SAGAS, json={"type": "checkout", "data": {"client_id": 4, "magasin_id": 1}})
    assert other.status_code == 201

    def page(**query):
        listed = client.get(LIST, query_string=query).json
        return [saga["saga_id"] for saga in listed["sagas"]], listed["pagination"]

    first, paging = page(limit=3)
    assert (len(first), paging["total"], paging["limit"], paging["has_more"]) == (3, 7, 3, True)
    assert page(limit=3, offset=3)[0] == page(limit=3, cursor=paging["next_cursor"])[0]
    seen, cursor = list(first), paging["next_cursor"]
    while cursor:
        more, paging = page(limit=3, cursor=cursor)
        seen, cursor = seen + more, paging["next_cursor"]
    assert seen == made[::-1] == page()[0]
    assert page(limit=3, actives_seulement="true", anything="else")[0] == first


@pytest.mark.parametrize("query", [{"limit": 0}, {"limit": 201}, {"offset": -1}, {"cursor": "x"}, {"etat": "NULLE"}])
def test_invalid_page_is_refused(client, query):
    answer = client.get(LIST, query_string=query)
    (wrong,) = answer.json["errors"]
    assert (answer.status_code, answer.json["error"]) == (400, answer.json["detail"])
    assert wrong["pointer"] == f"/{next(iter(query))}"


@pytest.mark.parametrize(
    ("status", "ask"),
    [
        (400, lambda client: client.post(ORDERS, json={})),
        (400, lambda client: client.post(ORDERS, json=ORDER | {"lignes": []})),
        (400, lambda client: client.post(ORDERS, data="{", content_type="application/json")),
        (400, lambda client: client.post(ORDERS, json=ORDER, headers={"Idempotency-Key": ""})),
        (413, lambda client: client.post(ORDERS, data=b"x" * 300_000, content_type="application/json")),
        (415, lambda client: client.post(ORDERS, data="x", content_type="text/plain")),
        (404, lambda client: client.get(f"{ORDERS}{SagaRow.__name__}/")),
        (404, lambda client: client.get(f"{ORDERS}12345678-1234-1234-1234-123456789012/")),
        (404, lambda client: client.post(f"{ORDERS}12345678-1234-1234-1234-123456789012/compenser/")),
        (404, lambda client: client.get("/api/saga/nothing")),
        (405, lambda client: client.delete(ORDERS)),
    ],
)
def test_every_error_has_the_member_error(client, status, ask):
    answer = ask(client)
    assert (answer.status_code, answer.mimetype) == (status, "application/problem+json")
    assert answer.json["error"] == answer.json["detail"] != ""


def test_problems_outside_the_contract_have_no_member_error(client):
    assert "error" not in client.get("/api/commande/not-an-id").json


def test_history_of_a_checkout_names_its_saga(client):
    data = {"client_id": 4, "magasin_id": 1}
    saga_id = client.post(SAGAS, json={"type": "checkout", "data": data}).json["saga"]["id"]
    (entered,) = client.get(f"/api/commande/{saga_id}/historique").json
    assert (entered["saga_id"], entered["etat"], set(entered)) == (saga_id, "INITIEE", {"saga_id", "etat", "timestamp"})
