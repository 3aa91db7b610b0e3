"""The HTTP client of the orchestrator: it starts sagas and reads their state."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from uuid import UUID

import requests

from participants.ecommerce.http_client import AwayError, HttpClient, decoded

CHECKOUT, RETURN = "checkout", "return_saga"
STORE = 1
#: Number of sagas of each type that are read for the list of orders.
LATEST = 200


class RefusedError(Exception):
    """The orchestrator refuses the request; the text is the orchestrator's message."""


class NoSagaError(Exception):
    """The orchestrator knows no such saga."""


@dataclass(frozen=True, kw_only=True)
class Definition:
    """The definition of a saga, and its words for people. A state or a step without a title is read by its name."""

    phases: dict[str, str]  # phase by state
    steps: dict[str, str | None]  # step by state
    participants: dict[str, str]  # participant by step, in the order of the steps
    kinds: dict[str, str]  # kind by step: read, compensatable, pivot or retriable
    step_titles: dict[str, str]
    state_titles: dict[str, str]
    completed: str
    compensated: str

    def action(self, step: str) -> str:
        """Return what a step does, such as "Take the payment"."""
        return self.step_titles.get(step) or step

    def undo(self, step: str) -> str:
        """Return what the undo of a step does, such as "Refunds the payment"; "" for a step without an undo."""
        state = self.undoing_state(step)
        return state and _capital(self.state_titles.get(state) or state)

    def undoing_state(self, step: str) -> str:
        return self._state_of(step, "undoing")

    def forward_state(self, step: str) -> str:
        """Return the state in which a step is done; "" when the table has no such step."""
        return self._state_of(step, "forward")

    def state(self, state: str) -> str:
        return _capital(self.state_titles.get(state) or "")

    def _state_of(self, step: str, phase: str) -> str:
        return next((name for name, its in self.steps.items() if its == step and self.phases[name] == phase), "")


class Orchestrator:
    def __init__(self, url: str, api_key: str | None) -> None:
        self._http = HttpClient("The orchestrator", url, api_key, "ORCHESTRATOR_API_KEY")
        self._definitions: dict[str, Definition] = {}

    def check_out(self, client_id: int, key: str) -> UUID:
        """Order the content of the client's cart; each key orders once. Raise AwayError or RefusedError."""
        body = {"client_id": client_id, "magasin_id": STORE}
        headers = {"Idempotency-Key": key, "Prefer": "respond-async"}
        response = self._http.send("POST", "/api/commande/checkout", json=body, headers=headers)
        # A repeated request is refused while the saga runs and after its compensation. The refusal also has the saga's
        # id.
        return _saga_id(response, decoded(response).get("saga_id"))

    def retry(self, saga_id: UUID) -> None:
        """Have the stuck step of a saga tried again. Raise AwayError, DeniedError or RefusedError."""
        path, headers = f"/api/v1/sagas/{saga_id}/retry", {"Prefer": "respond-async"}
        response = self._http.send("POST", path, json={"reason": "the cause is mended"}, headers=headers)
        if not response.ok:
            raise RefusedError(_detail(response))

    def bring_back(self, data: dict[str, Any], key: str) -> UUID:
        """Start a return; each key starts at most one return. Raise AwayError or RefusedError."""
        body = {"type": RETURN, "data": data}
        response = self._http.send("POST", "/api/v1/sagas", json=body, headers={"Idempotency-Key": key})
        answer = decoded(response)
        saga_id = _saga_id(response, answer.get("saga", {}).get("id") or answer.get("saga_id"))
        started = self._http.send("POST", f"/api/v1/sagas/{saga_id}/execute", headers={"Prefer": "respond-async"})
        if not started.ok and started.status_code != HTTPStatus.CONFLICT:  # 409: an earlier request started the saga
            raise RefusedError(_detail(started))
        return saga_id

    def saga(self, saga_id: UUID) -> dict[str, Any]:
        """Return the whole saga with its steps and journal. Raise AwayError or NoSagaError."""
        return dict(decoded(self._found(f"/api/v1/sagas/{saga_id}")))

    def diagram(self, saga_id: UUID) -> str:
        """Return the diagram of the saga's path as SVG. Raise AwayError or NoSagaError."""
        # SVG is UTF-8. Its media type names no encoding, so `text` would guess one from the bytes.
        return self._found(f"/api/v1/sagas/{saga_id}/diagram.svg").content.decode()

    def standings(self) -> dict[str, dict[str, Any]]:
        """Return summaries of the latest purchases and returns by id. Raise AwayError."""
        found: dict[str, dict[str, Any]] = {}
        for name in (CHECKOUT, RETURN):
            answer = self._http.read("/api/v1/sagas", params={"type": name, "limit": LATEST})
            found |= {saga["id"]: saga for saga in answer["sagas"]}
        return found

    def definition(self, name: str) -> Definition:
        """Return a definition. It is cached, because it only changes with a release. Raise AwayError."""
        if name not in self._definitions:
            body = self._http.read(f"/api/v1/definitions/{name}")
            self._definitions[name] = Definition(
                phases={state["name"]: state["phase"] for state in body["states"]},
                steps={state["name"]: state["step"] for state in body["states"]},
                # A call is a text such as "POST stock/reserver". The participant is between the space and the slash.
                participants={s["name"]: s["call"].split(" ")[1].partition("/")[0] for s in body["steps"]},
                kinds={s["name"]: s["kind"] for s in body["steps"]},
                step_titles={s["name"]: s["title"] for s in body["steps"]},
                state_titles={state["name"]: state["title"] for state in body["states"]},
                completed=body["completed"],
                compensated=body["compensated"],
            )
        return self._definitions[name]

    def close(self) -> None:
        self._http.close()

    def _found(self, path: str) -> requests.Response:
        response = self._http.send("GET", path)
        if response.status_code == HTTPStatus.NOT_FOUND:
            raise NoSagaError(path)
        if not response.ok:
            raise AwayError(_detail(response))
        return response


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]


def _saga_id(response: requests.Response, saga_id: Any) -> UUID:
    if saga_id is None:
        raise RefusedError(_detail(response))
    return UUID(saga_id)


def _detail(response: requests.Response) -> str:
    """Return the orchestrator's message with the errors of the fields."""
    document = decoded(response)
    wrong = [f"{error.get('pointer', '')} {error.get('detail', '')}" for error in document.get("errors", ())]
    return "; ".join(filter(None, [document.get("detail") or document.get("title", ""), *wrong]))
