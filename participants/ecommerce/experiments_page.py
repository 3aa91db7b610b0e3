"""The pages of the guided experiments: guess, run, and see on the page of the order what has happened."""

from http import HTTPStatus
from pathlib import Path
from secrets import randbelow
from typing import Any
from uuid import UUID, uuid4

from flask import Response, make_response, redirect, request
from werkzeug.exceptions import BadRequest, Conflict, NotFound
from werkzeug.wrappers import Response as AnyResponse

from participants.ecommerce import purchases
from participants.ecommerce.basket import ORDINARY, Client, as_rows, key_of, picked
from participants.ecommerce.experiments import EXPERIMENTS, Experiment, Facts
from participants.ecommerce.http_client import AwayError, DeniedError
from participants.ecommerce.orchestrator import Definition, RefusedError
from participants.ecommerce.routes import link, page, routes, shop
from participants.ecommerce.switches import TITLES, positions, set_up

DOCS = Path(__file__).parents[2] / "docs"
#: Each run has a client of its own, so that no other order moves its money: the first number, and how many there are.
_FIRST_CLIENT, _CLIENTS = 10_000, 90_000


@routes.get("/experiments")
def experiments() -> Response:
    return page("experiments", experiments=EXPERIMENTS, key=uuid4(), docs=_docs())


@routes.post("/experiments/<name>")
def run(name: str) -> AnyResponse:
    experiment, key, guess = EXPERIMENTS.get(name), key_of(request.form.get("key")), request.form.get("guess", "")
    if experiment is None:
        raise NotFound(f"There is no experiment {name}.")
    if guess not in experiment.answers:
        raise BadRequest("guess: choose one of the answers before you run the experiment.")
    if key is None:
        raise BadRequest("key: the form has lost its key; open the experiments again and run one from there.")
    saga_id = purchases.of_key(f"{key}/{name}") or _run(name, experiment, f"{key}/{name}", guess)
    return redirect(link("order", saga_id=saga_id), HTTPStatus.SEE_OTHER)


@routes.post("/orders/<uuid:saga_id>/retry")
def retry(saga_id: UUID) -> AnyResponse:
    """Do what an operator does with the stuck order of an experiment."""
    if purchases.experiment_of(saga_id) is None:
        raise NotFound(f"The order {saga_id} is no experiment; decide on the operator's page.")
    try:
        shop().orchestrator.retry(saga_id)
    except RefusedError as error:
        raise Conflict(str(error)) from None
    return redirect(link("order", saga_id=saga_id), HTTPStatus.SEE_OTHER)


@routes.get("/guide/<path:name>")
def guide(name: str) -> Response:
    """Show a page of the documentation as it is in the repository."""
    if name not in _docs():
        raise NotFound(f"There is no page {name} here; it is docs/{name} in the repository.")
    return make_response((DOCS / name).read_text(), {"Content-Type": "text/plain; charset=utf-8"})


def outcome(saga: dict[str, Any], definition: Definition, purchase: purchases.Purchase) -> dict[str, Any] | None:
    """Return what the page of an order shows of its experiment; None: the order is no experiment."""
    ran = purchases.experiment_of(UUID(purchase["saga_id"]))
    if ran is None or (experiment := EXPERIMENTS.get(ran["nom"])) is None:
        return None
    facts = Facts(
        saga=saga, definition=definition, amount=purchase["montant"], paid=_paid(purchase, ran),
        sagas=len(set(ran["sagas"])),
    )  # fmt: skip
    names = list(EXPERIMENTS)
    return {
        "experiment": experiment, "name": ran["nom"], "number": names.index(ran["nom"]) + 1,
        "guess": ran["reponse"], "facts": facts,
        "shown": experiment.shown(facts) if facts.settled else None, "docs": _docs(), "requests": len(ran["sagas"]),
    }  # fmt: skip


def _run(name: str, experiment: Experiment, key: str, guess: str) -> UUID:
    participants = shop().participants
    if positions(participants) is None:
        raise Conflict("The participants accept no faults here, so nothing can be tried; start them with --faults.")
    client = Client(client_id=_FIRST_CLIENT + randbelow(_CLIENTS), awaits="", explained="", wants=ORDINARY)
    basket = picked(client, participants.shelf(), {}, uuid4())
    before = participants.money_of(client.client_id)
    set_up(participants, experiment.faults, experiment.slow_s)
    participants.fill_cart(client.client_id, basket.lines, key)
    try:
        sagas = [str(shop().orchestrator.check_out(client.client_id, key)) for _ in range(experiment.requests)]
    except RefusedError as error:
        raise Conflict(str(error)) from None
    saga_id = UUID(sagas[0])
    purchases.record_experiment(saga_id, nom=name, reponse=guess, solde=before, sagas=sagas)
    row = {"client_id": client.client_id, "produits": as_rows(basket.lines), "montant": basket.total}
    purchases.record(saga_id, key, ralentis=list(TITLES), **row)
    return saga_id


def _paid(purchase: purchases.Purchase, ran: dict[str, Any]) -> int | None:
    try:
        return int(ran["solde"]) - shop().participants.money_of(purchase["client_id"])
    except (AwayError, DeniedError):
        return None


def _docs() -> set[str]:
    """Return the pages of the documentation that are on this machine; an image has none."""
    return {each.page for each in EXPERIMENTS.values() if (DOCS / each.page).is_file()}
