"""deploy/kong/kong.yml is valid for Kong and fits the rest of the stack."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from jsonschema import Draft202012Validator

from app.store.database_health import ANSWER_WAIT_S
from participants.settings import NAMES
from tests.unit.deploy.compose import composed
from tests.unit.deploy.kong import KONG, table

SCHEMA = Draft202012Validator(json.loads((KONG / "schema.json").read_text()))


def changed(change: dict[tuple[Any, ...], Any]) -> dict[str, Any]:
    kong = json.loads(json.dumps(table()))  # a copy in which YAML aliases are separate values
    for (*way, last), value in change.items():
        place = kong
        for step in way:
            place = place[step]
        place[last] = value
    return kong


def routes() -> list[dict[str, Any]]:
    return [route for service in table()["services"] for route in service["routes"]]


def test_kong_configuration_is_valid():
    assert [error.message for error in SCHEMA.iter_errors(table())] == []


@pytest.mark.parametrize(
    "change",
    [
        {("_format_version",): "1.1"},
        {("route",): []},
        {("services", 0, "url"): "saga-orchestrator:8009"},
        {("services", 0, "routes", 0, "paths"): ["api/saga"]},
        {("services", 0, "routes", 0, "strip_paths"): True},
        {("services", 0, "plugins", 0, "config", "keys_names"): []},
        {("upstreams", 0, "targets", 0, "target"): "saga-orchestrator-1"},
        {("upstreams", 0, "healthchecks", "active", "unhealthy", "interval"): "1s"},
        {("upstreams", 0, "healthchecks", "passive", "unhealthy", "interval"): 1},
        {("plugins", 0, "config", "second"): 0},
        {("plugins", 0, "name"): "rate-limit"},
        {("plugins", 1, "config", "methods"): ["READ"]},
        {("plugins", 5, "config"): {}},
        {("consumers", 0, "keyauth_credentials", 0, "key"): ""},
    ],
)
def test_check_finds_a_mistake(change):
    assert list(SCHEMA.iter_errors(changed(change)))


@pytest.mark.skipif(shutil.which("kong") is None, reason="there is no Kong here")
def test_kong_accepts_the_configuration(tmp_path: Path):
    command = ["kong", "config", "parse", str(KONG / "kong.yml")]
    parsed = subprocess.run(command, capture_output=True, text=True, check=False, env={"KONG_DATABASE": "off"})
    assert parsed.returncode == 0, parsed.stderr


def test_every_target_is_a_service_of_the_stack():
    kong, services = table(), composed("*")["services"]
    upstreams = {each["name"] for each in kong["upstreams"]}
    hosts = {target["target"] for each in kong["upstreams"] for target in each["targets"]}
    hosts |= {place for service in kong["services"] if (place := urlsplit(service["url"]).netloc) not in upstreams}
    assert {host.partition(":")[0] for host in hosts} <= set(services)


def test_every_participant_has_a_route_below_api():
    paths = {path for route in routes() for path in route["paths"]}
    assert {f"/api/{name}" for name in NAMES} <= paths


def test_every_documented_path_has_a_route():
    named = {"catalogue", "inventaire", "commandes", "supply-chain", "ecommerce", "saga"}
    documented = {f"/api/{name}" for name in named} | {"/saga-orchestrator", "/saga/health", "/saga/metrics"}
    assert documented <= {path for route in routes() for path in route["paths"]}


def test_every_route_below_api_requires_and_hides_the_key():
    for service in table()["services"]:
        guards = [plugin["config"] for plugin in service.get("plugins", ()) if plugin["name"] == "key-auth"]
        below_api = [path.startswith("/api/") for route in service["routes"] for path in route["paths"]]
        assert [guard["hide_credentials"] for guard in guards] == [True] * any(below_api), service["name"]


def test_replica_says_that_its_database_hangs_before_the_health_check_gives_up():
    (orchestrator,) = (each for each in table()["upstreams"] if each["name"] == "saga-orchestrator.upstream")
    check = orchestrator["healthchecks"]["active"]
    assert check["http_path"] == "/ready"
    assert check["timeout"] - 0.5 >= ANSWER_WAIT_S, "half a second for everything beside the database"
