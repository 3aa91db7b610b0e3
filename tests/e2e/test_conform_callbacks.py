"""`saga conform` against a participant in Node that answers 202 and sends its answer later, with planted faults."""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import requests
from click.testing import CliRunner, Result

from app.cli.__main__ import command_line
from tests.support.waiting import HOST, eventually, free_port

pytestmark = pytest.mark.programs

HERE = Path(__file__).parent / "conform_participant"
LINES = ("answer", "answer-again", "answer-once", "answer-undone")


@pytest.fixture(scope="module")
def hotel() -> Iterator[str]:
    port = free_port()
    url = f"http://{HOST}:{port}"
    with subprocess.Popen(["node", str(HERE / "caller.js")], env={**os.environ, "PORT": str(port)}) as process:
        eventually(lambda: listens(url), "the participant listens")
        yield url
        process.kill()


def listens(url: str) -> bool:
    with suppress(requests.RequestException):
        return requests.get(f"{url}/bookings", timeout=2).ok
    return False


def conform(*arguments: str) -> Result:
    options = ["--json", "--sagas", str(HERE / "called_back")]
    return CliRunner().invoke(command_line(), ["conform", "room.book", *arguments, *options])


def plant(url: str, fault: str) -> None:
    requests.post(f"{url}/fault", json={"name": fault}, timeout=5).raise_for_status()


def lines(result: Result) -> dict[str, dict[str, str]]:
    return {line["name"]: line for line in json.loads(result.stdout)["lines"]}


def test_participant_that_answers_later_keeps_every_line(hotel):
    plant(hotel, "")
    result = conform("--url", hotel, "--look", "/bookings")
    found = lines(result)
    assert {name: found[name]["verdict"] for name in LINES} == dict.fromkeys(LINES, "kept"), result.output
    assert not [line for line in found.values() if line["verdict"] == "not kept"], result.output
    assert result.exit_code == 0


@pytest.mark.parametrize(("fault", "line", "words"), [
    ("silent", "answer", "no answer comes to Saga-Reply-To within the 5 s of the table"),
    ("wrong-method", "answer", "it is sent by PUT; send a POST"),
    ("no-field", "answer", "it lacks"),
    ("once", "answer-again", "no answer comes again after it got 503"),
    ("other-again", "answer-again", "the answer that is sent again is another answer"),
    ("endless", "answer-again", "sent again after it got 200"),
    ("new-answer", "answer-once", "it sends another answer"),
    ("after-undo", "answer-undone", "it does the call after its undo"),
    ("deaf", "answer-undone", "sent again after it got 410"),
])  # fmt: skip
def test_planted_fault_of_a_later_answer_is_found_on_its_own_line(hotel, fault, line, words):
    plant(hotel, fault)
    result = conform("--url", hotel)
    found = lines(result)
    assert [name for name in LINES if found[name]["verdict"] == "not kept"] == [line], result.output
    assert words in found[line]["why"]
    assert result.exit_code == 1


def test_answer_is_shown_with_its_status(hotel):
    plant(hotel, "no-field")
    shown = lines(conform("--url", hotel))["answer"]["exchanges"]
    assert [each["what"] for each in shown][:2] == ["call", "answer"]
    assert (shown[1]["request"]["method"], shown[1]["reply"]["status"]) == ("POST", 400)


@pytest.mark.parametrize(("arguments", "words"), [
    (("--listen", "8200"), "--listen: '8200' is no HOST:PORT"),
    (("--listen", "192.0.2.1:0"), "--listen: nothing can listen at 192.0.2.1:0"),
])  # fmt: skip
def test_bad_address_is_one_line(hotel, arguments, words):
    result = conform("--url", hotel, *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert words in result.stderr


def test_participant_on_another_host_needs_a_reply_url():
    result = conform("--url", "http://hotel.example", "--yes")
    assert result.exit_code == 2
    assert "--reply-url: hotel.example answers later" in result.stderr
