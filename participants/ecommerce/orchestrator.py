"""The orchestrator as the shop uses it: it starts sagas, and asks how they stand."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from uuid import UUID

import requests

from participants.ecommerce.calls import AwayError, Calls, decoded

CHECKOUT, RETURN = "checkout", "return_saga"
STORE = 1
#: So many sagas of a type are looked at for the list of orders.
LATEST = 200


class RefusedError(Exception):
    """The orchestrator will not do it; the text is its own."""


class NoSagaError(Exception):
    """The orchestrator knows no such saga."""


@dataclass(frozen=True, kw_only=True)
class Definition:
    """What a saga's table says of its states and steps: state → phase and step, step → participant."""

    phases: dict[str, str]
    steps: dict[str, str | None]
    participants: dict[str, str]


class Orchestrator:
    def __init__(self, url: str, api_key: str | None) -> None:
        self._calls = Calls("The orchestrator", url, api_key, "ORCHESTRATOR_API_KEY")
        self._definitions: dict[str, Definition] = {}

    def check_out(self, client_id: int, key: str) -> UUID:
        """Order what is in the client's cart, once for each key. Raises AwayError, RefusedError."""
        body = {"client_id": client_id, "magasin_id": STORE}
        headers = {"Idempotency-Key": key, "Prefer": "respond-async"}
        response = self._calls.send("POST", "/api/commande/checkout", json=body, headers=headers)
        # Also the refusal of a repeated request, while it runs and when it was cancelled, says whose it is.
        return _saga_id(response, decoded(response).get("saga_id"))

    def bring_back(self, data: dict[str, Any], key: str) -> UUID:
        """Start a return, once for each key. Raises AwayError, RefusedError."""
        body = {"type": RETURN, "data": data}
        response = self._calls.send("POST", "/api/v1/sagas", json=body, headers={"Idempotency-Key": key})
        answer = decoded(response)
        saga_id = _saga_id(response, answer.get("saga", {}).get("id") or answer.get("saga_id"))
        begun = self._calls.send("POST", f"/api/v1/sagas/{saga_id}/execute", headers={"Prefer": "respond-async"})
        if not begun.ok and begun.status_code != HTTPStatus.CONFLICT:  # the same key has begun it before
            raise RefusedError(_detail(begun))
        return saga_id

    def saga(self, saga_id: UUID) -> dict[str, Any]:
        """Give the whole saga, with its steps and journal. Raises AwayError, NoSagaError."""
        return dict(decoded(self._found(f"/api/v1/sagas/{saga_id}")))

    def diagram(self, saga_id: UUID) -> str:
        """Give the SVG of the way it took. Raises AwayError, NoSagaError."""
        return self._found(f"/api/v1/sagas/{saga_id}/diagram.svg").text

    def standings(self) -> dict[str, dict[str, Any]]:
        """Give the latest purchases and returns in short, by id. Raises AwayError."""
        found: dict[str, dict[str, Any]] = {}
        for name in (CHECKOUT, RETURN):
            answer = self._calls.read("/api/v1/sagas", params={"type": name, "limit": LATEST})
            found |= {saga["id"]: saga for saga in answer["sagas"]}
        return found

    def definition(self, name: str) -> Definition:
        """Asked for once: it changes with a release only. Raises AwayError."""
        if name not in self._definitions:
            told = self._calls.read(f"/api/v1/definitions/{name}")
            self._definitions[name] = Definition(
                phases={state["name"]: state["phase"] for state in told["states"]},
                steps={state["name"]: state["step"] for state in told["states"]},
                # A call reads "POST stock/reserver".
                participants={s["name"]: s["call"].split(" ")[1].partition("/")[0] for s in told["steps"]},
            )
        return self._definitions[name]

    def close(self) -> None:
        self._calls.close()

    def _found(self, path: str) -> requests.Response:
        response = self._calls.send("GET", path)
        if response.status_code == HTTPStatus.NOT_FOUND:
            raise NoSagaError(path)
        if not response.ok:
            raise AwayError(_detail(response))
        return response


def _saga_id(response: requests.Response, saga_id: Any) -> UUID:
    if saga_id is None:
        raise RefusedError(_detail(response))
    return UUID(saga_id)


def _detail(response: requests.Response) -> str:
    """Return the orchestrator's own message, with the fields it names."""
    document = decoded(response)
    wrong = [f"{error.get('pointer', '')} {error.get('detail', '')}" for error in document.get("errors", ())]
    return "; ".join(filter(None, [document.get("detail") or document.get("title", ""), *wrong]))
