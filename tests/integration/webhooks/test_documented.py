"""The receivers of docs/webhooks.md verify real messages."""

import json
import re
import subprocess
import time
import tomllib
from pathlib import Path

import pytest

from app import create_app
from app.config import from_environment
from app.settings import ConfigError
from app.webhook_settings import reading
from tests.integration.webhooks.conftest import CHECKOUTS
from tests.support.applications import close
from tests.support.scripted_server import http
from tests.support.servers import OPEN
from tests.support.webhooks import NEW, OLD, webhooks_file

PAGE = (Path(__file__).parents[3] / "docs" / "webhooks.md").read_text()


def block(language):
    return re.search(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)[1]


@pytest.fixture
def message(scene, senders, receiver, configured):
    """Return the headers and the body of a message that is signed now, with both secrets."""
    configured(CHECKOUTS, f"{NEW} {OLD}")
    receiver.answers = [http(b"")]
    senders.now = time.time()
    scene.run()
    senders.send()
    return dict(receiver.headers()), receiver.body()


def in_python(headers, body, secret):
    found = {}
    exec(compile(block("python"), "docs/webhooks.md", "exec"), found)
    return found["verify"](headers, body, secret)


def in_node(headers, body, secret):
    given = json.dumps([headers, body.decode(), secret])
    script = f"{block('js')}\nconst [headers, body, secret] = {given};\n"
    script += "console.log(verify(headers, Buffer.from(body), secret));"
    done = subprocess.run(["node", "-e", script], capture_output=True, text=True, check=True, timeout=60)
    return json.loads(done.stdout)


@pytest.mark.parametrize("verify", [in_python, pytest.param(in_node, marks=pytest.mark.programs)])
def test_documented_receiver_accepts_and_refuses(message, verify):
    headers, body = message
    assert verify(headers, body, OLD)
    assert verify(headers, body, NEW)
    assert not verify(headers, body + b" ", OLD)
    assert not verify(headers, body, "whsec_" + "A" * 40)
    assert not verify(headers | {"webhook-id": "another"}, body, OLD)
    assert not verify(headers | {"webhook-signature": "v1,"}, body, OLD)
    later = str(int(headers["webhook-timestamp"]) - 301)
    assert not verify(headers | {"webhook-timestamp": later}, body, OLD)


def test_documented_settings_are_legal(tmp_path):
    text = block("toml")
    for name in re.findall("/run/secrets/([a-z-]+)", text):
        (tmp_path / name).write_text(OLD)
    tables = tomllib.loads(text.replace("/run/secrets", str(tmp_path)))
    webhooks = reading.read(tables, {}, (), ["travel"])
    assert webhooks.named("https://partners.example/hooks/orders/17").name == "partners"
    assert [each["webhook"] for each in webhooks.targets("travel", None, "stuck")] == ["shop"]


def test_documented_setting_allows_a_receiver_on_this_machine(tmp_path):
    (network,) = re.findall(r"^\*\*A receiver on your own machine needs `WEBHOOK_NETWORKS=(.*?)`\.", PAGE, re.MULTILINE)
    (url,) = re.findall(r'`(url = "http://127.*?")`', PAGE)
    file = webhooks_file(tmp_path, f"[shop]\n{url}\nsecrets_file = SECRET\nsagas = ['checkout']")
    local = {"WEBHOOKS_FILE": str(file)}
    with pytest.raises(ConfigError, match="add its network to WEBHOOK_NETWORKS"):
        create_app(from_environment(OPEN | local))
    close(create_app(from_environment(OPEN | local | {"WEBHOOK_NETWORKS": network})))


def test_documented_event_has_the_members_of_a_real_one(message):
    shown, sent = json.loads(block("json")), json.loads(message[1])
    assert shown.keys() == sent.keys()
    assert shown["data"].keys() == sent["data"].keys()


def test_documented_settings_are_all_settings():
    listed = re.findall(r"^\| `([a-z_]+)` \|", PAGE, re.MULTILINE)
    assert set(listed) == set(reading._KNOWN)
    assert from_environment({"WEBHOOK_SHOP_SECRETS": OLD}).webhook_secrets == {"WEBHOOK_SHOP_SECRETS": OLD}
