"""deploy/kubernetes: every manifest is valid for Kubernetes, and no container has more rights than it needs."""

import copy
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

import kubernetes_validate
import pytest
import yaml

from tests.unit.deploy.compose import ROOT, composed

FOLDER = ROOT / "deploy" / "kubernetes"
#: Versions of Kubernetes: the oldest one that has all kinds used here, and a recent one.
VERSIONS = ("1.27", "1.34")


def manifests() -> list[dict[str, Any]]:
    listed = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())["resources"]
    return [manifest for name in listed for manifest in yaml.safe_load_all((FOLDER / name).read_text())]


def pods() -> Iterator[tuple[str, dict[str, Any]]]:
    for manifest in manifests():
        if "template" in manifest.get("spec", {}):
            yield manifest["metadata"]["name"], manifest["spec"]["template"]["spec"]


def of(kind: str, name: str) -> dict[str, Any]:
    return next(each for each in manifests() if (each["kind"], each["metadata"]["name"]) == (kind, name))


@pytest.mark.parametrize("version", VERSIONS)
def test_every_manifest_is_valid(version):
    for manifest in manifests():
        kubernetes_validate.validate(manifest, version, strict=True)


def test_check_finds_a_mistake():
    for way, value in ((("replicas",), "two"), (("template", "spec", "containers", 0, "readynessProbe"), {})):
        broken = copy.deepcopy(of("Deployment", "saga-orchestrator"))
        place = broken["spec"]
        for step in way[:-1]:
            place = place[step]
        place[way[-1]] = value
        with pytest.raises(kubernetes_validate.ValidationError):
            kubernetes_validate.validate(broken, VERSIONS[0], strict=True)


def test_every_file_is_listed():
    assert {file.name for file in FOLDER.glob("*.yaml")} - {"kustomization.yaml"} == set(
        yaml.safe_load((FOLDER / "kustomization.yaml").read_text())["resources"]
    )


def test_no_container_may_do_more_than_it_needs():
    assert {name for name, _ in pods()} == {"migrate", "saga-orchestrator", "worker", "beat"}
    for name, pod in pods():
        assert pod["securityContext"]["runAsNonRoot"], name
        assert not pod["automountServiceAccountToken"], name
        (container,) = pod["containers"]
        locked = container["securityContext"]
        assert locked["readOnlyRootFilesystem"], name
        assert not locked["allowPrivilegeEscalation"], name
        assert locked["capabilities"] == {"drop": ["ALL"]}, name
        assert container["resources"]["limits"]["memory"], name


def test_each_pod_runs_the_command_of_the_stack():
    """tests/e2e/test_workers.py runs the commands of docker-compose.yml. The pods have the same commands."""
    services = composed("core")["services"]
    stack = {name.removesuffix("-1"): service["command"] for name, service in services.items()}
    for name, pod in pods():
        (container,) = pod["containers"]
        assert container.get("command", ["python", "-m", "app"]) == stack[name], name


def test_replica_has_probes_and_time_to_end():
    pod = dict(pods())["saga-orchestrator"]
    (container,) = pod["containers"]
    assert container["readinessProbe"]["httpGet"]["path"] == "/ready"
    assert container["livenessProbe"]["httpGet"]["path"] == "/health"
    assert pod["terminationGracePeriodSeconds"] >= 5 + 25, "the pause before SIGTERM, and GRACE_S"
    assert container["resources"]["limits"]["memory"] == "200Mi"


def test_one_replica_always_runs_and_more_under_load():
    assert of("PodDisruptionBudget", "saga-orchestrator")["spec"]["minAvailable"] >= 1
    scaling = of("HorizontalPodAutoscaler", "saga-orchestrator")["spec"]
    assert scaling["minReplicas"] >= 2
    assert scaling["scaleTargetRef"]["name"] == "saga-orchestrator"


def test_only_labelled_namespaces_reach_a_pod():
    """A pod without a policy of its own is reached by nobody."""
    policies = {each["metadata"]["name"]: each["spec"] for each in manifests() if each["kind"] == "NetworkPolicy"}
    assert policies.pop("nobody") == {"podSelector": {}, "policyTypes": ["Ingress"]}
    for spec in policies.values():
        name = spec["podSelector"]["matchLabels"]["app.kubernetes.io/name"]
        (container,) = dict(pods())[name]["containers"]
        ports = {port["name"] for port in container["ports"]}
        for rule in spec["ingress"]:
            assert {port["port"] for port in rule["ports"]} <= ports
            assert all("saga-access" in str(source["namespaceSelector"]) for source in rule["from"])
    assert len(policies) == 2


def test_no_secret_is_in_a_file():
    settings = (FOLDER / "settings.env").read_text()
    assert not [word for word in ("PASSWORD", "SECRET", "API_KEY") if word in settings]


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="there is no kubectl here")
def test_kustomize_builds_the_manifests():
    built = subprocess.run(
        ["kubectl", "kustomize", str(FOLDER)], capture_output=True, text=True, check=False, timeout=60
    )
    assert built.returncode == 0, built.stderr
    made = list(yaml.safe_load_all(built.stdout))
    assert {each["metadata"].get("namespace") for each in made if each["kind"] != "Namespace"} == {"saga"}
    for manifest in made:
        kubernetes_validate.validate(manifest, VERSIONS[-1], strict=True)
