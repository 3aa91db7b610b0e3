"""The image and docker-compose.yml.

They use the ports that the documents name, and give a container only the rights that it needs.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from app.version import VERSION
from deploy import healthy
from participants.settings import NAMES
from tests.unit.deploy.compose import ROOT, composed, run_compose
from tests.unit.deploy.kong import table

DOCKERFILE = ROOT / "Dockerfile"
PROFILES = ("core", "everything")
DEMO = ROOT / "deploy" / "demo"
#: The names that the reference documents give to the orchestrator.
ORCHESTRATORS = ("saga-orchestrator-1", "saga-orchestrator-2", "service-saga-orchestrator", "orchestrateur-service")
#: Participant → its Compose services. A participant is left out when its service has the same name.
OTHER_NAMES = {"stock": ["inventaire"], "catalogue": ["catalogue-1", "catalogue-2", "catalogue-3"]}


def linted(dockerfile: Path) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).parent / "hadolint"), "--no-color", str(dockerfile)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def ports(service: str) -> set[str]:
    return {port["published"] for port in composed("everything")["services"][service].get("ports", ())}


def demo_secrets() -> dict[str, str]:
    lines = [line for file in DEMO.glob("*.env") for line in file.read_text().splitlines()]
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def test_hadolint_accepts_the_dockerfile(tmp_path):
    checked = linted(DOCKERFILE)
    assert (checked.returncode, checked.stdout) == (0, "")
    (tmp_path / "Dockerfile").write_text(DOCKERFILE.read_text().replace("WORKDIR /app", "RUN cd /app"))
    assert linted(tmp_path / "Dockerfile").returncode == 1


def test_image_needs_one_registry_and_does_not_run_as_root():
    lines = DOCKERFILE.read_text().splitlines()
    assert {line.split()[1] for line in lines if line.startswith("FROM")} == {"python:3.13-slim", "scratch"}
    assert not [line for line in lines if re.match(r"#\s*syntax\s*=", line)]
    assert [line for line in lines if line.startswith("USER")] == ["USER 10001:10001"]


def test_image_is_labelled_with_the_release():
    labels = dict(re.findall(r'org\.opencontainers\.image\.(\w+)="([^"]*)"', DOCKERFILE.read_text()))
    assert labels == {"title": "saga-orchestrator", "version": VERSION, "licenses": "MIT"}


@pytest.mark.parametrize("profile", PROFILES)
def test_compose_accepts_the_file(profile):
    assert run_compose("--profile", profile, "config", "-q").returncode == 0


@pytest.mark.parametrize("file", sorted(file.name for file in DEMO.glob("*.env")))
def test_outside_the_demo_no_secret_has_a_default(file, tmp_path):
    shutil.copytree(DEMO, tmp_path / "mine")
    (tmp_path / "mine" / file).unlink()
    refused = run_compose("--profile", "everything", "config", "-q", SECRETS=str(tmp_path / "mine"))
    assert refused.returncode != 0
    assert file in refused.stderr


def test_no_secret_is_in_the_stack_itself():
    secrets = {value for value in demo_secrets().values() if len(value) > 5}
    assert len(secrets) >= 5
    stack = (ROOT / "docker-compose.yml").read_text()
    assert [secret for secret in secrets if secret in stack] == []


def test_every_service_starts_without_a_profile():
    named = run_compose("--profile", "everything", "config", "--services").stdout.split()
    assert sorted(run_compose("config", "--services").stdout.split()) == sorted(named)


@pytest.mark.parametrize("profile", PROFILES)
def test_ports_are_reachable_only_from_this_machine(profile):
    services = composed(profile)["services"]
    published = [port for service in services.values() for port in service.get("ports", ())]
    assert published
    assert {port["host_ip"] for port in published} == {"127.0.0.1"}


def test_documented_ports_lead_to_their_services():
    assert [ports(name) for name in ORCHESTRATORS] == [{"3601"}, {"3602"}, {"8009"}, {"8023"}]
    assert ports("kong") == {"8000", "8080", "8081"}
    assert [ports(f"catalogue-{number}") for number in (1, 2, 3)] == [{"8001"}, {"8006"}, {"8007"}]
    assert [ports(name) for name in ("inventaire", "commandes", "prometheus", "grafana")] == [
        {"8002"}, {"8003"}, {"9090"}, {"3000"},
    ]  # fmt: skip


def test_demo_users_sign_in_with_the_documented_passwords():
    grafana = composed("everything")["services"]["grafana"]["environment"]
    assert (grafana["GF_SECURITY_ADMIN_USER"], grafana["GF_SECURITY_ADMIN_PASSWORD"]) == ("admin", "admin")
    keys = [credential["key"] for consumer in table()["consumers"] for credential in consumer["keyauth_credentials"]]
    assert keys == [demo_secrets()["PARTICIPANTS_API_KEY"]] == ["magasin-secret-key-2025"]


def test_no_service_fills_the_memory_or_the_disk_of_its_machine():
    for name, service in composed("*")["services"].items():
        assert int(service["deploy"]["resources"]["limits"]["memory"]) <= 1 << 30, name
        assert service["logging"]["options"] == {"max-size": "10m", "max-file": "3"}, name


def test_a_replica_is_healthy_when_it_is_ready():
    """The upgrade replaces one replica after the other, and waits until each one is healthy."""
    for name in ORCHESTRATORS:
        *_, asked = composed("core")["services"][name]["healthcheck"]["test"]
        assert healthy.health_url({"HOST": "0.0.0.0", "PORT": "1"}, [asked]) == "http://127.0.0.1:1/ready"


def test_an_orchestrator_has_the_documented_memory():
    for name in ORCHESTRATORS:
        resources = composed("core")["services"][name]["deploy"]["resources"]
        memory = [int(resources[kind]["memory"]) >> 20 for kind in ("limits", "reservations")]
        assert memory == [448, 140]


@pytest.mark.parametrize("profile", PROFILES)
def test_containers_have_no_rights_that_they_do_not_need(profile):
    services = composed(profile)["services"].values()
    ours = [service for service in services if service["image"] == "saga-orchestrator"]
    assert len(ours) >= 6
    for service in ours:
        assert service["read_only"]
        assert service["init"]
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service["tmpfs"] == ["/tmp"]


@pytest.mark.parametrize(("profile", "service"), [("core", "participants"), ("everything", "recus")])
def test_receipts_are_written_where_a_container_may_write(profile, service):
    """A container can write only to /tmp. An order whose receipt cannot be written would be stuck."""
    command = composed(profile)["services"][service]["command"]
    assert command[command.index("--data") + 1].startswith("/tmp/")


@pytest.mark.parametrize("profile", PROFILES)
def test_services_start_after_their_dependencies(profile):
    services = composed(profile)["services"]
    for name in (*ORCHESTRATORS, "worker", "beat"):
        assert services[name]["depends_on"]["migrate"]["condition"] == "service_completed_successfully"
    assert services["migrate"]["depends_on"]["postgres"]["condition"] == "service_healthy"


def needed(services: dict, name: str) -> set[str]:
    """Return the services that Compose starts before the service `name`, directly or indirectly."""
    names = set(services[name].get("depends_on", ())) & set(services)
    return names.union(*(needed(services, other) for other in names))


@pytest.mark.parametrize("name", ["orchestrateur-service", "service-saga-orchestrator"])
def test_one_documented_service_starts_everything_an_order_needs(name):
    started = needed(composed("everything")["services"], name)
    assert started >= {"postgres", "redis", "migrate", "kong", "panier", "inventaire", "client", "ventes"}
    assert needed(composed("core")["services"], name) >= {"postgres", "redis", "migrate", "participants"}


def test_core_profile_is_part_of_everything_except_participants():
    core, everything = (set(composed(profile)["services"]) for profile in PROFILES)
    assert core - everything == {"participants"}
    assert {"kong", "grafana", "alertmanager"} <= everything - core


def test_every_participant_has_a_container_and_a_database():
    services = set(composed("everything")["services"])
    assert {place for name in NAMES for place in OTHER_NAMES.get(name, [name])} <= services
    sql = (ROOT / "deploy" / "postgres" / "participants.sql").read_text()
    assert set(NAMES) <= set(re.findall(r'CREATE DATABASE "(\S+)" OWNER participants;', sql))


def test_prometheus_scrapes_every_process():
    services = composed("*")["services"]
    folder = ROOT / "deploy" / "prometheus"
    jobs = {job["job_name"]: job for job in yaml.safe_load((folder / "prometheus.yml").read_text())["scrape_configs"]}
    named = {name for job in jobs.values() for found in job.get("dns_sd_configs", ()) for name in found["names"]}
    (targets,) = yaml.safe_load((folder / "targets" / "saga-orchestrator.yml").read_text())
    watched = named | {target.partition(":")[0] for target in targets["targets"]}
    # These services have no metrics: they end at once, or listen on no port.
    asked_nothing = {"migrate", "seed", "beat"}
    ours = {name for name, service in services.items() if service["image"] == "saga-orchestrator"} - asked_nothing
    assert ours <= watched <= set(services)


def test_only_the_orchestrator_reaches_redis_and_nobody_without_a_password():
    services = composed("everything")["services"]
    reaching = {name for name, service in services.items() if "redis" in service["networks"]}
    assert reaching == {"redis", "worker", "beat", *ORCHESTRATORS}
    assert set(services["redis"]["networks"]) == {"redis"}
    users = {line.split()[1]: line.split()[2:] for line in (DEMO / "redis.acl").read_text().splitlines()}
    assert users["default"] == ["off"]
    assert [name for name, rules in users.items() if "nopass" in rules] == ["health"]
    assert users["health"][-2:] == ["-@all", "+ping"]
    for setting, user in (("REDIS_URL", "cache"), ("BROKER_URL", "broker")):
        known = demo_secrets()[setting].removeprefix("redis://").partition("@")[0]
        assert known == f"{user}:{next(rule[1:] for rule in users[user] if rule[0] == '>')}"


def test_stack_does_not_start_without_the_users_of_redis():
    (users,) = composed("core")["services"]["redis"]["volumes"]
    assert users["source"] == str(DEMO / "redis.acl")
    assert users["bind"].get("create_host_path") is not True


def test_nobody_outside_its_container_may_change_the_routes_of_kong():
    kong = composed("everything")["services"]["kong"]
    assert kong["environment"]["KONG_ADMIN_LISTEN"].startswith("127.0.0.1:")
    assert [port["target"] for port in kong["ports"] if port["published"] == "8081"] == [8100]


def test_documented_commands_that_delete_run_as_the_owner_of_the_tables():
    text = (ROOT / "docs" / "operations.md").read_text().replace("\\\n", " ")
    commands = re.findall(
        r"^docker compose run .*?(\S+) +flask --app app saga (prune|forget|partition)\b", text, re.MULTILINE
    )
    assert commands
    services = composed("core")["services"]
    owner = services["postgres"]["environment"]["POSTGRES_USER"]
    assert {services[name]["environment"]["DB_USERNAME"] for name, _ in commands} == {owner}
