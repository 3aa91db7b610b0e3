"""Bad input gets a problem document that says what to correct, and starts nothing."""

import json

import pytest

from app.errors import LONGEST_DETAIL, LONGEST_PART

GOOD = {"client_id": 4, "magasin_id": 1}

NOT_JSON = {
    "empty": b"",
    "text": b"hello",
    "cut off": b'{"client_id": 4',
    "NaN": b'{"client_id": NaN, "magasin_id": 1}',
    "Infinity": b'{"client_id": 4, "magasin_id": -Infinity}',
    "name twice": b'{"client_id": 4, "client_id": 1, "magasin_id": 1}',
    "not UTF-8": b'{"client_id": "\xff\xfe"}',
    "nested deeply": b'{"client_id":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "an endless number": b'{"client_id":' + b"9" * 10_000 + b', "magasin_id": 1}',
    "an array": b"[1, 2]",
    "null": b"null",
    "NUL": b"\x00",
}
INVALID = {
    "missing": ({"client_id": 4}, "/magasin_id"),
    "extra": (GOOD | {"url": "http://evil"}, "/url"),
    "text": (GOOD | {"client_id": "4"}, "/client_id"),
    "boolean": (GOOD | {"client_id": True}, "/client_id"),
    "fraction": (GOOD | {"client_id": 4.5}, "/client_id"),
    "null": (GOOD | {"magasin_id": None}, "/magasin_id"),
    "list": (GOOD | {"magasin_id": [1]}, "/magasin_id"),
    "zero": (GOOD | {"client_id": 0}, "/client_id"),
    "beyond 64 bits": (GOOD | {"client_id": 2**63}, "/client_id"),
    "beyond floats": (GOOD | {"client_id": 1e300}, "/client_id"),
    "a name with NUL": (GOOD | {"\x00": 1}, "/\ufffd"),
}


def post(client, body, content_type="application/json", **headers):
    return client.post("/api/commande/checkout", data=body, content_type=content_type, headers=headers)


def assert_problem(answer, status):
    assert answer.status_code == status
    assert answer.content_type == "application/problem+json"
    body = json.loads(answer.data)
    assert body["status"] == status
    assert body["title"]
    assert body["detail"]
    return body


@pytest.mark.parametrize("body", NOT_JSON.values(), ids=NOT_JSON)
def test_non_strict_json_is_refused(client, begun, body):
    assert_problem(post(client, body), 400)
    assert begun() == 0


def test_json_that_only_python_accepts_is_refused(client):
    problem = assert_problem(post(client, NOT_JSON["NaN"]), 400)
    assert problem["detail"] == "the body: NaN, which is no JSON number; send null or a text instead"


@pytest.mark.parametrize(("body", "pointer"), INVALID.values(), ids=INVALID)
def test_a_wrong_field_is_named(client, begun, body, pointer):
    problem = assert_problem(post(client, json.dumps(body)), 400)
    assert [error["pointer"] for error in problem["errors"]] == [pointer]
    assert pointer in problem["detail"]
    assert begun() == 0


def test_every_wrong_field_is_named_at_once(client):
    problem = assert_problem(post(client, b'{"client_id": "x", "more": 1}'), 400)
    assert {error["pointer"] for error in problem["errors"]} == {"/client_id", "/magasin_id", "/more"}


def test_long_names_are_shortened_in_the_answer(client):
    answer = post(client, json.dumps(GOOD | {f"{number}{'x' * 4000}": 1 for number in range(50)}))
    problem = assert_problem(answer, 400)
    assert len(problem["detail"]) == LONGEST_DETAIL
    assert max(len(error["pointer"]) for error in problem["errors"]) == LONGEST_PART
    assert len(answer.data) < 2 * 50 * LONGEST_PART


def test_a_body_that_is_too_large_is_refused(client, begun):
    problem = assert_problem(post(client, b" " * 300_000 + json.dumps(GOOD).encode()), 413)
    assert problem["detail"] == "the body is larger than 256 KiB; send a smaller one"
    assert begun() == 0


def test_a_compressed_body_is_refused(client, begun):
    problem = assert_problem(post(client, b"\x1f\x8b", **{"Content-Encoding": "gzip"}), 415)
    assert problem["detail"] == "send the body uncompressed, without Content-Encoding"
    assert begun() == 0


def test_an_unknown_path_says_what_to_check(client):
    for path in ("/api/v1/sagas/no_such_type", "/api/commande/not-a-uuid"):
        problem = assert_problem(client.post(path, json=GOOD), 404)
        assert problem["detail"].startswith("there is nothing at this path; check the type or the id of a saga in it")


@pytest.mark.parametrize("content_type", ["text/plain", "", None])
def test_another_content_type_is_refused(client, begun, content_type):
    assert_problem(post(client, json.dumps(GOOD), content_type), 415)
    assert begun() == 0


@pytest.mark.parametrize("key", ["", "k" * 256, "clé", "a\tb"])
def test_an_unusable_idempotency_key_is_refused(client, begun, key):
    assert_problem(post(client, json.dumps(GOOD), **{"Idempotency-Key": key}), 400)
    assert begun() == 0


def test_two_idempotency_keys_are_refused(client, begun):
    repeated = {"saga.repeated_headers": frozenset({"idempotency-key"})}
    headers = {"Idempotency-Key": "a,b"}
    answer = client.post("/api/commande/checkout", json=GOOD, headers=headers, environ_overrides=repeated)
    assert_problem(answer, 400)
    assert answer.json["detail"] == "Idempotency-Key came more than once; send it once"
    assert begun() == 0


def test_an_idempotency_key_may_have_a_comma(client, begun):
    assert post(client, json.dumps(GOOD), **{"Idempotency-Key": "a,b", "Prefer": "respond-async"}).status_code == 202
    assert begun() == 1


@pytest.mark.parametrize("prefer", ["wait=soon", "wait=-1", "wait=", "wait=1e9", "nonsense"])
def test_unknown_preference_is_ignored(client, begun, prefer):
    assert post(client, json.dumps(GOOD), Prefer=f"{prefer}, respond-async").status_code == 202
    assert begun() == 1


def test_an_unknown_order_is_not_found(client):
    for path in ("", "/historique"):
        assert_problem(client.get(f"/api/commande/00000000-0000-4000-8000-000000000000{path}"), 404)
    assert_problem(client.get("/api/commande/not-a-uuid"), 404)


def test_another_method_is_not_allowed(client):
    answer = client.get("/api/commande/checkout")
    assert_problem(answer, 405)
    assert "POST" in answer.headers["Allow"]
    assert answer.json["detail"].startswith("this path takes OPTIONS, POST")


def test_saga_of_another_type_is_not_an_order(client):
    from app.store.database import db  # noqa: PLC0415
    from app.store.models import SagaRow  # noqa: PLC0415

    saga_id = post(client, json.dumps(GOOD), Prefer="respond-async").get_json()["saga_id"]
    db.session.query(SagaRow).update({"definition": "travel"})
    db.session.commit()
    assert_problem(client.get(f"/api/commande/{saga_id}"), 404)
