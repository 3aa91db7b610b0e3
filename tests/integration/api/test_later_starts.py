"""`start_at` in the API, on the command line and in the client: which times are accepted, and which are refused."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from app.services import services
from tests.support.waiting import eventually

CART = {"client_id": 4, "magasin_id": 1}
LATER = "2031-01-31T09:30:00+00:00"


def start(client, query, **headers):
    return client.post(f"/api/v1/sagas/checkout?{query}", json=CART, headers=headers)


def test_a_later_start_is_pending_with_its_time(client):
    answer = start(client, "start_at=2031-01-31T10:30:00%2B01:00")
    assert answer.status_code == 202
    assert (answer.json["status"], answer.json["start_at"]) == ("pending", LATER)
    path = answer.headers["Location"]
    shown = client.get(path).json
    assert (shown["status"], shown["start_at"], shown["journal"][0]["trigger"]) == ("pending", LATER, "start")
    assert client.get("/api/v1/sagas?status=pending").json["sagas"][0]["start_at"] == LATER
    cancelled = client.post(f"{path}/compensate")
    assert (cancelled.json["saga"]["status"], cancelled.json["saga"]["start_at"]) == ("compensated", None)


def test_the_same_key_gets_the_same_later_start(client):
    first = start(client, "start_at=2031-01-31T09:30:00Z", **{"Idempotency-Key": "k"})
    again = start(client, "start_at=2031-01-31T10:30:00%2B01:00", **{"Idempotency-Key": "k"})
    assert (again.status_code, again.json["id"], again.headers["Idempotent-Replayed"]) == (
        202,
        first.json["id"],
        "true",
    )
    for other in ("start_at=2031-01-31T09:31:00Z", ""):
        refused = start(client, other, **{"Idempotency-Key": "k"})
        assert (refused.status_code, refused.json["detail"]) == (
            422, "this key started a saga with another start time; send a new key",
        )  # fmt: skip
    body = {"starts": [{"key": "k", "data": CART | {"client_id": 99}, "start_at": LATER}, *[
        {"key": "b", "data": CART, "start_at": f"203{year}-01-31T09:30:00Z"} for year in (1, 2)
    ]]}  # fmt: skip
    other_data, _, other_start = client.post("/api/v1/sagas/checkout/batch", json=body).json["results"]
    assert other_data["problem"]["detail"] == "this key started a saga with other data; send a new key"
    assert other_start["problem"]["detail"].endswith("has this key and another start time")


@pytest.mark.parametrize(
    ("query", "pointer", "detail"),
    [
        ("start_at=soon", "/start_at", "Not a valid datetime."),
        ("start_at=2031-01-31T10:30:00+01:00", "/start_at", "It has a space; in an URL, write the + of a time zone as"),
        ("start_at=2099-01-31T10:30:00Z", "/start_at", "It is more than ten years ahead; use an earlier time."),
        ("startat=2031-01-31T10:30:00Z", "/startat", "Unknown field."),
    ],
)
def test_a_wrong_time_is_refused(client, begun, query, pointer, detail):
    answer = start(client, query)
    assert answer.status_code == 400
    (error,) = answer.json["errors"]
    assert error["pointer"] == pointer
    assert error["detail"].startswith(detail)
    assert begun() == 0


def test_nothing_waits_for_a_later_start(client, begun):
    answer = start(client, "start_at=2031-01-31T09:30:00Z", Prefer="wait=5")
    assert (answer.status_code, begun()) == (400, 0)
    assert answer.json["detail"].startswith("Prefer: the saga starts later, so the request does not wait for it")


def test_each_start_of_a_batch_may_have_its_own_time(client):
    starts = [
        {"key": "a", "data": CART, "start_at": "2031-01-31T09:30:00Z"},
        {"key": "b", "data": CART, "start_at": "never"},
        {"key": "c", "data": CART},
    ]
    results = client.post("/api/v1/sagas/checkout/batch", json={"starts": starts}).json["results"]
    assert (results[0]["saga"]["status"], results[0]["saga"]["start_at"]) == ("pending", LATER)
    assert results[1]["problem"]["errors"] == [{"pointer": "/starts/1/start_at", "detail": "Not a valid datetime."}]
    assert results[2]["saga"]["start_at"] is None


def test_the_command_line_starts_later_and_does_not_wait(client):
    runner = client.application.test_cli_runner()
    given = ["saga", "start", "checkout", "client_id=4", "magasin_id=1", "--at", "2031-01-31T10:30:00+01:00"]
    made = runner.invoke(args=[*given, "--json"])
    assert (made.exit_code, json.loads(made.stdout)["start_at"]) == (4, LATER)
    drawn = runner.invoke(args=["saga", "show", json.loads(made.stdout)["id"]])
    assert "it starts at 2031-01-31 09:30:00 UTC" in drawn.stdout


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (("--at", "soon"), "saga: --at: Not a valid datetime\n"),
        (
            ("--at", "2031-01-31", "--wait", "3"),
            "saga: --wait: the saga starts later, so nothing is waited for; leave it ",
        ),
    ],
)
def test_a_wrong_time_on_the_command_line_is_one_line(client, begun, options, error):
    given = ["saga", "start", "checkout", "client_id=4", "magasin_id=1", *options]
    done = client.application.test_cli_runner().invoke(args=given)
    assert (done.exit_code, begun()) == (2, 0)
    assert done.stderr.startswith(error)


def test_ten_years_ahead_is_the_limit(client):
    within = datetime.now(UTC) + timedelta(days=3_649)
    assert start(client, f"start_at={within:%Y-%m-%dT%H:%M:%SZ}").status_code == 202


def test_a_start_in_the_year_1_starts_now_and_hides_no_list(client):
    answer = start(client, "start_at=0001-01-01T00:00:00Z")
    assert answer.status_code == 202
    for path in ("/api/v1/sagas", answer.headers["Location"], "/metrics"):
        assert client.get(path).status_code == 200, path
    services().runner.claim_due()
    eventually(lambda: client.get(answer.headers["Location"]).json["status"] != "pending", "it starts")
