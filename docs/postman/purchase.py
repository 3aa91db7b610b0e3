"""The collection Saga Purchase and Return Tests: a purchase, its return, a refused second return, and compensations."""

from collections.abc import Mapping
from typing import Any

from docs.postman.collection import begins, collection, equal, folder, keep, request, status, steps

NAME = "Saga Purchase and Return Tests"
_SAGAS = "/api/v1/sagas"
_DONE, _UNDONE = "completed", "compensated"


def purchase_and_return(api: Mapping[str, Any]) -> dict[str, Any]:
    examples = api["paths"][_SAGAS]["post"]["requestBody"]["content"]["application/json"]["examples"]
    bought = examples["purchase_saga"]["value"]
    returned = _with(examples["return_saga"]["value"], sale_id="{{sale_id}}")
    poor = _with(bought, customer_id=2)
    description = "A purchase and the return of what it sold, step by step. Run it against `make demo`."
    folders = [
        folder("✅ Achat", *_run(bought, _DONE, [_DONE] * 5), _kept_sale()),
        folder("✅ Retour de cet achat", *_run(returned, _DONE, [_DONE] * 4)),
        folder("❌ Deuxième retour du même achat",
               *_run(returned, _UNDONE, ["failed", *["pending"] * 3], "RETURN_INVALID")),
        folder("❌ Achat sans argent",
               *_run(poor, _UNDONE, [_DONE, _UNDONE, "failed", "pending", "pending"], "PAYMENT_FAILED")),
        folder("↩ Achat, puis compensation", *_run(bought, _DONE, [_DONE] * 5), *_compensated()),
    ]  # fmt: skip
    return collection(NAME, description, folders)


def _run(body: Mapping[str, Any], ends: str, statuses: list[str], error: str = "") -> list[dict[str, Any]]:
    cause = [begins("saga.error_message", error)] if error else []
    return [
        request("Créer", "POST", _SAGAS, status(201), equal("saga.type", body["type"]),
                equal("saga.status", "pending"), keep("saga_id", "body.saga.id"), body=body),
        request("Exécuter", "POST", _SAGAS + "/{{saga_id}}/execute", status(200),
                equal("saga.status", ends), steps("saga.steps", statuses), *cause),
        request("Consulter", "GET", _SAGAS + "/{{saga_id}}", status(200), equal("status", ends),
                steps("steps", statuses)),
    ]  # fmt: skip


def _kept_sale() -> dict[str, Any]:
    sale = "body.steps.find((step) => step.type === 'CREATE_SALE').output_data.vente_id"
    return request("Noter la vente", "GET", _SAGAS + "/{{saga_id}}", status(200), keep("sale_id", sale))


def _compensated() -> list[dict[str, Any]]:
    step_statuses = [_DONE, *[_UNDONE] * 4]
    path = _SAGAS + "/{{saga_id}}/compensate"
    reason = {"reason": "ordered twice"}
    return [
        request("Compenser", "POST", path, status(200), equal("saga.status", _UNDONE),
                steps("saga.steps", step_statuses), body=reason),
        request("Compenser encore", "POST", path, status(409), equal("status", 409), body=reason),
    ]  # fmt: skip


def _with(body: Mapping[str, Any], **data: Any) -> dict[str, Any]:
    return {"type": body["type"], "data": body["data"] | data}
