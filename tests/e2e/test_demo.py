"""The demo as a person runs it: its output, its end, and what it leaves behind."""

import os
import re
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from decimal import Decimal

import psutil
import pytest
import requests

from participants.demo.books import Books, Product
from tests.support.waiting import eventually, free_port

LAST_LINE = "Ctrl-C stops everything"


@pytest.fixture
def ports():
    return free_port(), free_port()


@pytest.fixture
def demo(ports, tmp_path):
    """Return a function that starts the demo on free ports, with its output in a file.

    At the end, kill the processes that still run.
    """
    started = []

    def start(*arguments):
        environment = {**os.environ, "PORT": str(ports[0]), "PARTICIPANTS_PORT": str(ports[1]), "TMPDIR": str(tmp_path)}
        command = [sys.executable, *(arguments or ("-m", "participants.demo"))]
        with (tmp_path / "output").open("wb") as output:
            started.append(psutil.Popen(command, env=environment, stdout=output, stderr=output))
        return started[-1]

    yield start
    for process in started:
        with suppress(psutil.NoSuchProcess):
            for descendant in [*process.children(recursive=True), process]:
                descendant.kill()
        process.wait()


@pytest.fixture
def output(tmp_path):
    return (tmp_path / "output").read_text


@pytest.fixture
def assert_nothing_left(ports, tmp_path):
    def look():
        for port in ports:
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(("127.0.0.1", port))
        assert [file.name for file in tmp_path.iterdir()] == ["output"], "its folder is gone"

    return look


def signs_in(url, name, password):
    """Return True when the name and password open the operator's pages.

    The cookie has the attribute Secure. Browsers send it to localhost over HTTP. The library requests does not, so this
    function sets the header itself.
    """
    page = requests.get(f"{url}/login", timeout=5)
    cookie = page.headers["Set-Cookie"].partition(";")[0]
    form = {"name": name, "password": password, "csrf_token": re.search('csrf_token" value="([^"]+)', page.text)[1]}
    signed = requests.post(f"{url}/login", form, headers={"Cookie": cookie}, allow_redirects=False, timeout=5)
    cookie = signed.headers["Set-Cookie"].partition(";")[0]
    return requests.get(f"{url}/admin/users", headers={"Cookie": cookie}, allow_redirects=False, timeout=5).ok


def test_demo_once_shows_every_state_and_ends_with_0(demo, output, assert_nothing_left):
    assert demo("-m", "participants.demo", "--once").wait(60) == 0, output()
    stories = [" ".join(block.split()) for block in output().split("\n\n")]
    for client, states in {
        4: "○ INITIEE → PANIER_RECUPERE → STOCK_RESERVE → PAIEMENT_EFFECTUE → COMMANDE_ENREGISTREE ✔ CONFIRMEE",
        1: "○ INITIEE → PANIER_RECUPERE ✗ ECHEC_STOCK ■ ANNULEE",
        2: "○ INITIEE → PANIER_RECUPERE → STOCK_RESERVE ✗ ECHEC_PAIEMENT ↩ LIBERATION_STOCK ■ ANNULEE",
        3: "○ INITIEE → PANIER_RECUPERE → STOCK_RESERVE → PAIEMENT_EFFECTUE "
        "✗ ECHEC_ENREGISTREMENT ↩ REMBOURSEMENT ↩ LIBERATION_STOCK ■ ANNULEE",
    }.items():
        (story,) = [story for story in stories if story.startswith(f"client {client} ")]
        assert states in story
        assert f"as expected: {201 if client == 4 else 409}" in story
    assert "✔ debits 179.91 - refunds 59.97 = sales 119.94" in output()
    assert "/metrics" in output()
    assert "\x1b" not in output(), "no colours where there is no terminal"
    assert_nothing_left()


def test_demo_reports_an_unexpected_outcome_and_ends_with_1(demo, output, assert_nothing_left):
    program = (
        "import sys; from dataclasses import replace; from participants.demo.__main__ import main;"
        "from participants.demo.checkouts import CHECKOUTS;"
        "good, bad, *_ = CHECKOUTS; sys.exit(main([], [good, replace(good, client_id=bad.client_id)]))"
    )
    assert demo("-c", program).wait(60) == 1, "it does not stay up"
    assert "✗ expected INITIEE PANIER_RECUPERE STOCK_RESERVE" in output()
    assert "got INITIEE PANIER_RECUPERE ECHEC_STOCK ANNULEE" in output()
    assert_nothing_left()


@pytest.mark.parametrize(("index", "name"), [(0, "PORT"), (1, "PARTICIPANTS_PORT")])
def test_demo_names_the_variable_of_a_port_in_use_in_one_line(demo, output, ports, index, name):
    with socket.create_server(("127.0.0.1", ports[index])):
        assert demo().wait(60) == 2
    assert output() == f"demo: cannot use port {ports[index]} (Address already in use); set {name} to a free one\n"


@pytest.fixture
def assert_ends_with_all_it_started(assert_nothing_left):
    def end(process, number):
        children = process.children(recursive=True)
        assert len(children) >= 2
        process.send_signal(number)
        assert process.wait(60) == 0
        assert psutil.wait_procs(children, timeout=0)[1] == []
        assert_nothing_left()

    return end


def test_ctrl_c_ends_the_demo_and_all_its_programs(demo, output, ports, assert_ends_with_all_it_started):
    process = demo()
    eventually(lambda: LAST_LINE in output(), "it stays up")
    assert requests.get(f"http://127.0.0.1:{ports[0]}/health", timeout=5).ok
    assert signs_in(f"http://127.0.0.1:{ports[0]}", *re.search(r"name +(\S+)\npassword +(\S+)", output()).groups())
    assert_ends_with_all_it_started(process, signal.SIGINT)


def test_demo_stopped_during_its_run_ends_its_programs(demo, output, assert_nothing_left):
    process = demo()
    eventually(lambda: "PANIER_RECUPERE" in output(), "the first order moves")
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 128 + signal.SIGTERM
    assert_nothing_left()


def test_demo_ends_with_the_log_of_a_program_that_dies(demo, output, assert_nothing_left):
    process = demo()
    eventually(lambda: LAST_LINE in output(), "it stays up")
    (participants,) = [child for child in process.children() if "participants" in child.cmdline()]
    participants.kill()
    assert process.wait(60) == 1
    assert "demo: participants: ended (-9); the end of the log:" in output()
    assert_nothing_left()


def test_demo_restarts_a_killed_orchestrator_which_ends_its_sagas(demo, output, ports, assert_ends_with_all_it_started):
    """At the end, the test stops the demo with SIGTERM instead of Ctrl-C."""
    process = demo()
    eventually(lambda: LAST_LINE in output(), "it stays up")
    orchestrator, participants = (f"http://127.0.0.1:{port}" for port in ports)
    slow = {"kind": "slow", "seconds": 1, "times": None}
    requests.post(f"{participants}/client/_faults", json=slow, timeout=5).raise_for_status()
    body, headers = {"client_id": 4, "magasin_id": 1}, {"Prefer": "respond-async"}
    started = requests.post(f"{orchestrator}/api/commande/checkout", json=body, headers=headers, timeout=5)
    command = next(line for line in output().splitlines() if "kill -9" in line).partition(":  ")[2]
    subprocess.run(["bash", "-c", command], check=True)
    eventually(lambda: "the orchestrator is dead (-9); it is started again in 4 s" in output(), "it is seen")
    eventually(lambda: "the orchestrator is back" in output(), "it is back")
    order = orchestrator + started.headers["Location"]
    eventually(lambda: requests.get(order, timeout=5).json()["etat_actuel"] == "CONFIRMEE", "the order is confirmed")
    assert_ends_with_all_it_started(process, signal.SIGTERM)


def test_demo_reports_each_book_that_disagrees():
    books = Books(
        products={
            "good": Product(initial=3, on_hand=2, reserved=0, sold=1),
            "lost": Product(initial=3, on_hand=1, reserved=0, sold=1),
            "open": Product(initial=3, on_hand=2, reserved=1, sold=0),
        },
        debits=Decimal("20.10"),
        refunds=Decimal("0.10"),
        sales=Decimal("10.00"),
        sale_count=1,
    )
    assert books.complaints(confirmed=2) == [
        "product lost: initial 3 ≠ on hand 1 + reserved 0 + sold 1",
        "product open: 1 still reserved",
        "debits 20.10 - refunds 0.10 ≠ sales 10.00",
        "1 sales recorded for 2 confirmed orders",
    ]
