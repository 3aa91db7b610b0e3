"""Webhooks between real processes: a receiver in Node that verifies each message, kill -9, and two replicas."""

import json
import re
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from tests.support.databases import own_database
from tests.support.servers import Server
from tests.support.waiting import eventually
from tests.support.webhooks import NEW, OLD, webhooks_file

pytestmark = pytest.mark.programs

PAGE = (Path(__file__).parents[2] / "docs" / "webhooks.md").read_text()
VERIFY = re.search(r"```js\n(.*?)```", PAGE, re.DOTALL)[1]
#: A receiver with the function `verify` of docs/webhooks.md. Its arguments are the statuses of its first answers; all
#: later answers are 204. Status 0 means that it never answers. It prints its port, and then one line for each message.
RECEIVER = (
    VERIFY
    + """
const [secret, ...statuses] = process.argv.slice(2);
const server = require("node:http").createServer((request, response) => {
  const pieces = [];
  request.on("data", (piece) => pieces.push(piece));
  request.on("end", () => {
    const body = Buffer.concat(pieces);
    const verified = verify(request.headers, body, secret);
    console.log(JSON.stringify({ id: request.headers["webhook-id"], verified, event: JSON.parse(body) }));
    const status = Number(statuses.shift() ?? 204);
    if (status) response.writeHead(status).end();
  });
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
"""
)
CART = {"client_id": 4, "magasin_id": 1}
#: Number of commits of a confirmed checkout.
COMMITS = 5


class Receiver:
    """The receiver as a separate process. `received` contains its messages."""

    def __init__(self, script: Path, secret: str, *statuses: int) -> None:
        script.write_text(RECEIVER)
        command = ["node", str(script), secret, *map(str, statuses)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.url = f"http://127.0.0.1:{int(self.process.stdout.readline())}/hook"
        self.received: list[dict] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self.process.stdout:
            self.received.append(json.loads(line))

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        self._reader.join()
        self.process.stdout.close()


@pytest.fixture
def receiver(tmp_path):
    """Return a function that starts a receiver, and returns it with the settings of a service that sends to it."""
    started = []

    def start(*statuses, timeout_s=10, secret=OLD, known=OLD):
        found = Receiver(tmp_path / "receiver.js", known, *statuses)
        started.append(found)
        table = f"[shop]\nurl = '{found.url}'\nsecrets_file = SECRET\nsagas = ['checkout']\ntimeout_s = {timeout_s}"
        file = str(webhooks_file(tmp_path, table, secret))
        return found, {"WEBHOOKS_FILE": file, "WEBHOOK_NETWORKS": "127.0.0.0/8"}

    yield start
    for each in started:
        each.end()


def buy(server: Server) -> requests.Response:
    return requests.post(f"{server.url}/api/v1/sagas/checkout", json=CART, timeout=60)


def arrived(receiver, count):
    return eventually(
        lambda: receiver.received[: len(receiver.received)] if len(receiver.received) >= count else [],
        f"{count} messages arrive",
    )


def test_receiver_in_node_verifies_a_message(orchestrator, receiver):
    node, settings = receiver()
    bought = buy(orchestrator(**settings))
    assert bought.status_code == 201
    (message,) = arrived(node, 1)
    assert message["verified"]
    assert message["event"]["subject"] == bought.json()["id"]
    assert message["id"] == message["event"]["id"]
    assert message["event"]["type"] == "saga.completed"


def test_receiver_that_knows_only_the_new_secret_verifies_during_a_rotation(orchestrator, receiver):
    node, settings = receiver(secret=f"{OLD} {NEW}", known=NEW)
    buy(orchestrator(**settings))
    assert arrived(node, 1)[0]["verified"]


def test_failed_attempt_is_made_again(orchestrator, receiver):
    node, settings = receiver(500, 503)
    buy(orchestrator(**settings))
    first, second = arrived(node, 2)[:2]
    assert first["verified"]
    assert second["verified"]
    assert first["event"] == second["event"]


def test_kill_between_the_commit_and_the_delivery_loses_no_message(orchestrator, receiver):
    node, settings = receiver()
    dies = orchestrator(**settings, FAILPOINT=f"after_commit:{COMMITS}")
    with pytest.raises(requests.ConnectionError):
        buy(dies)
    dies.process.wait()
    assert node.received == []
    lives = orchestrator(**settings)
    (message,) = arrived(node, 1)
    assert message["verified"]
    assert message["event"]["type"] == "saga.completed"
    (saga,) = requests.get(f"{lives.url}/api/v1/sagas", timeout=20).json()["sagas"]
    assert (saga["id"], saga["status"]) == (message["event"]["subject"], "completed")


def test_kill_during_the_delivery_sends_the_same_message_again(orchestrator, receiver):
    node, settings = receiver(0, timeout_s=3)
    dies = orchestrator(**settings)
    buy(dies)
    arrived(node, 1)
    dies.kill()
    orchestrator(**settings)
    first, again = arrived(node, 2)
    assert first["id"] == again["id"]
    assert first["event"] == again["event"]
    assert again["verified"]


def test_two_replicas_send_each_message_once(orchestrator_at, postgres_server, postgres_template, receiver):
    node, settings = receiver()
    for url in own_database(postgres_server, postgres_template):
        servers = [orchestrator_at(url, **settings) for _ in range(2)]
        with ThreadPoolExecutor(8) as pool:
            bought = list(pool.map(buy, servers * 20))
        ids = [answer.json().get("id") or answer.json()["saga_id"] for answer in bought]
        messages = arrived(node, 40)
        assert sorted(message["event"]["subject"] for message in messages) == sorted(ids)
        assert all(message["verified"] for message in messages)
        metrics = [requests.get(f"{server.url}/metrics", timeout=20).text for server in servers]
        delivered = 'saga_webhook_deliveries_total{outcome="delivered",webhook="shop"}'
        assert (
            sum(float(line.split()[-1]) for text in metrics for line in text.splitlines() if line.startswith(delivered))
            == 40
        )
        for server in servers:
            server.kill()
