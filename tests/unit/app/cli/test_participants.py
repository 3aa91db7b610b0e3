"""`saga participants check` against real sockets."""

import shutil

import pytest

from app import create_app
from app.cli.group import BAD_INPUT, UNREACHABLE
from app.config import from_environment
from tests.support.scripted_server import http, serving

STOCK = "PARTICIPANT_STOCK_"


@pytest.fixture
def run(sqlite_template, tmp_path):
    file = shutil.copy(sqlite_template, tmp_path)

    def run(*names, **variables):
        app = create_app(from_environment({"DATABASE_URL": f"sqlite:///{file}", **variables}))
        return app.test_cli_runner().invoke(args=["saga", "participants", "check", *names])

    return run


@pytest.fixture
def server():
    with serving() as server:
        yield server


def test_participant_that_answers_at_its_health_path_is_fine(run, server):
    server.answers.append(http(b"{}"))
    variables = {"URL": server.url, "HEALTH": "/health", "AUTH": "bearer", "AUTH_TOKEN": "s3cret"}
    result = run("stock", **{f"{STOCK}{name}": text for name, text in variables.items()})
    assert (result.exit_code, server.headers()["authorization"]) == (0, "Bearer s3cret")
    assert server.received[0].startswith(b"GET /health ")
    assert result.output.startswith(f"stock  {server.url}  ok")
    assert "200 at /health, bearer" in result.output
    assert "s3cret" not in result.output


@pytest.mark.parametrize(
    ("answer", "variables", "words"),
    [
        (http(b"{}", "401 No"), {}, "401 at /: the credential is refused (no credential, "),
        (http(b"{}", "401 No"), {}, "check PARTICIPANT_STOCK_AUTH"),
        (http(b"{}", "403 No"), {"HEALTH": "/health"}, "403 at /health: the credential is refused (no credential, "),
        (http(b"{}", "407 No"), {}, "407 at /: the proxy's credential is refused (no credential, "),
        (http(b"{}", "407 No"), {"HEALTH": "/health"}, "check PARTICIPANT_STOCK_PROXY"),
        (http(b"{}", "404 No"), {"HEALTH": "/health"}, "404 at /health"),
        (http(b"{}", "302 Found"), {"HEALTH": "/health"}, "a healthy participant answers 2xx there"),
        (http(b"{}", "503 Busy"), {"HEALTH": "/health"}, "503 at /health"),
        (None, {}, "the connection was lost before the answer: closed by the participant"),
    ],
)
def test_participant_that_does_not_answer_well_fails(run, server, answer, variables, words):
    server.answers.append(answer)
    result = run(
        "stock", **{f"{STOCK}{name}": text for name, text in variables.items()}, PARTICIPANT_STOCK_URL=server.url
    )
    assert result.exit_code == UNREACHABLE
    assert "FAILED" in result.output
    assert words in result.output


@pytest.mark.parametrize("status", ["200 OK", "404 No", "500 Oops"])
def test_answer_without_a_health_path_is_no_proof_of_health(run, server, status):
    server.answers.append(http(b"{}", status))
    result = run("stock", PARTICIPANT_STOCK_URL=server.url)
    assert result.exit_code == 0
    assert result.output.startswith(f"stock  {server.url}  reached  {status[:3]} at /, no credential, ")
    assert result.output.endswith("; a server answers, but this does not prove that it is healthy: set health\n")


def test_every_participant_has_one_line(run):
    result = run(PARTICIPANTS_URL="http://127.0.0.1:9")
    lines = result.output.splitlines()
    assert [line.split()[0] for line in lines] == [
        "catalogue",
        "client",
        "commandes",
        "panier",
        "recus",
        "stock",
        "ventes",
    ]
    assert all("refused the connection" in line for line in lines)


def test_unknown_participant_is_bad_input(run):
    result = run("stokc")
    assert result.exit_code == BAD_INPUT
