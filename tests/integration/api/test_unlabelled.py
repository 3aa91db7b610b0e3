"""JSON that is declared as a form, as `curl -d` does by default.

Pages of other sites can send such requests too.
"""

import json

import pytest

from machines.commande import COMMANDE
from machines.samples import example

FORM = "application/x-www-form-urlencoded"
SAGA = '{"type": "checkout", "data": {"client_id": 4, "magasin_id": 1}}'
EVERY = [
    ("/api/v1/sagas", SAGA),
    ("/api/commande/checkout", '{"client_id": 4, "magasin_id": 1}'),
    ("/api/saga/commandes/", "\n" + json.dumps(example(COMMANDE.data))),
]  # fmt: skip


def sent(client, path, body, content_type=FORM, **headers):
    prefer = (
        {} if path == "/api/v1/sagas" else {"Prefer": "respond-async"}
    )  # a start there runs nothing, so it needs no Prefer
    return client.post(path, data=body, content_type=content_type, headers=headers | prefer)


@pytest.mark.parametrize(("path", "body"), EVERY)
def test_json_without_a_content_type_is_accepted(client, begun, path, body):
    assert sent(client, path, body).status_code in (201, 202)
    assert begun() == 1


def test_reason_without_a_content_type_is_accepted(client):
    path = f"/api/v1/sagas/{sent(client, '/api/v1/sagas', SAGA).json['saga']['id']}"
    assert sent(client, f"{path}/compensate", '{"reason": "not wanted"}').status_code == 200
    assert "not wanted" in {move["reason"] for move in client.get(f"{path}/journal").json["journal"]}


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Referer": "https://evil.example/page"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none"},
    ],
)
def test_form_of_a_browser_starts_nothing(client, begun, headers):
    assert sent(client, "/api/v1/sagas", SAGA, **headers).status_code in (403, 415)
    assert begun() == 0


def test_form_with_a_cookie_starts_nothing(client, begun):
    client.set_cookie("session", "x")
    assert sent(client, "/api/v1/sagas", SAGA).status_code == 415
    assert begun() == 0


@pytest.mark.parametrize("content_type", ["text/plain", "multipart/form-data", "application/xml", None])
def test_other_types_without_preflight_start_nothing(client, begun, content_type):
    assert sent(client, "/api/v1/sagas", SAGA, content_type).status_code == 415
    assert begun() == 0


@pytest.mark.parametrize("body", ["type=checkout", "", "[]", '"x"'])
def test_real_form_is_answered_with_the_expected_type(client, begun, body):
    answer = sent(client, "/api/v1/sagas", body)
    assert (answer.status_code, "application/json" in answer.json["detail"]) == (415, True)
