"""The collection Saga Checkout Tests: four checkouts, each with its final state and history."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from docs.postman.collection import begins, collection, entered, equal, folder, keep, request, status

NAME = "Saga Checkout Tests"
_CHECKOUT = "/api/commande/checkout"


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """A checkout.

    example: the name of the request's example in docs/openapi.json.
    failure: the failure state; None when the checkout succeeds.
    """

    example: str
    failure: str | None
    history: tuple[str, ...]


_SCENARIOS = (
    Scenario(
        example="Succès complet",
        failure=None,
        history=("STOCK_RESERVE", "PAIEMENT_EFFECTUE", "COMMANDE_ENREGISTREE", "CONFIRMEE"),
    ),
    Scenario(example="ECHEC STOCK", failure="ECHEC_STOCK", history=("ECHEC_STOCK", "ANNULEE")),
    Scenario(
        example="ECHEC PAIEMENT",
        failure="ECHEC_PAIEMENT",
        history=("STOCK_RESERVE", "ECHEC_PAIEMENT", "LIBERATION_STOCK", "ANNULEE"),
    ),
    Scenario(
        example="ECHEC ENREGISTREMENT",
        failure="ECHEC_ENREGISTREMENT",
        history=("STOCK_RESERVE", "PAIEMENT_EFFECTUE", "ECHEC_ENREGISTREMENT", "REMBOURSEMENT", "LIBERATION_STOCK",
                 "ANNULEE"),
    ),
)  # fmt: skip


def checkout(api: Mapping[str, Any]) -> dict[str, Any]:
    bodies = api["paths"][_CHECKOUT]["post"]["requestBody"]["content"]["application/json"]["examples"]
    description = (
        "The success and the three failures, which come from the participants' data. Run it against `make demo`."
    )
    return collection(NAME, description, [_folder(each, bodies[each.example]["value"]) for each in _SCENARIOS])


def _folder(scenario: Scenario, body: Mapping[str, Any]) -> dict[str, Any]:
    mark, code, state = ("❌", 409, "ANNULEE") if scenario.failure else ("✅", 201, "CONFIRMEE")
    cause = [begins("erreur", scenario.failure)] if scenario.failure else []
    return folder(
        f"{mark} {scenario.example} (client_id: {body['client_id']})",
        request("Lancer la saga", "POST", _CHECKOUT, status(code), equal("etat_final", state), *cause,
                keep("saga_id", "body.saga_id"), body=body),
        request("État de la commande", "GET", "/api/commande/{{saga_id}}", status(200),
                equal("etat_actuel", state), equal("client_id", body["client_id"])),
        request("Historique", "GET", "/api/commande/{{saga_id}}/historique", status(200),
                entered(["INITIEE", "PANIER_RECUPERE", *scenario.history])),
    )  # fmt: skip
