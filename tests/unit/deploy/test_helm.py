"""The Helm chart: Helm itself lints and renders it, and what it renders is valid for Kubernetes."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import kubernetes_validate
import pytest
import yaml
from helm_python import Chart, lint
from helm_python.errors import HelmError
from werkzeug.serving import make_server

from app import create_app
from app.config import from_environment
from app.version import VERSION
from tests.unit.deploy.compose import ROOT, composed

FOLDER = ROOT / "deploy" / "helm"
#: Versions of Kubernetes: the oldest one that has all kinds used here, and a recent one.
VERSIONS = ("1.27", "1.34")
#: Peers of the NetworkPolicies.
GATEWAY, MONITORING = ({"namespaceSelector": {"matchLabels": {"name": name}}} for name in ("kong", "monitoring"))
#: The peer of the pod that `helm test` runs.
TEST = {
    "podSelector": {
        "matchLabels": {"app.kubernetes.io/name": "saga-orchestrator-test", "app.kubernetes.io/instance": "shop"}
    }
}
#: Every part of the chart that is off by default.
EVERYTHING = {
    "image": {"digest": f"sha256:{64 * 'a'}"},
    "sagas": {"configMap": "our-sagas"},
    "tls": {"caSecret": "our-ca"},
    "extraEnv": [{"name": "DATABASE_URL", "valueFrom": {"secretKeyRef": {"name": "cluster-app", "key": "uri"}}}],
    "extraVolumes": [{"name": "notices", "secret": {"secretName": "notices"}}],
    "extraVolumeMounts": [{"name": "notices", "mountPath": "/run/notices", "readOnly": True}],
    "serviceAccountName": "sagas",
    "initContainers": [{"name": "proxy", "image": "proxy:2"}],
    "extraManifests": [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}} for name in ("sagas", "spare")
    ],
    "orchestrator": {"service": {"type": "LoadBalancer", "annotations": {"cloud.example/internal": "true"}}},
    "worker": {"keda": {"enabled": True}, "tolerations": [{"key": "sagas", "operator": "Exists"}]},
    "prune": {"enabled": True},
    "ingress": {"enabled": True, "className": "nginx", "tlsSecret": "tls"},
    "httpRoute": {"enabled": True, "parentRefs": [{"name": "gateway"}]},
    "networkPolicy": {"enabled": True, "gateway": [GATEWAY], "monitoring": [MONITORING]},
    "monitoring": {"enabled": True, "labels": {"release": "prometheus"}, "dashboards": True},
}
#: Kinds of operators, whose schemas Kubernetes does not have.
OF_OPERATORS = {"ScaledObject", "HTTPRoute", "PodMonitor", "PrometheusRule"}


def rendered(values=None, **options):
    with Chart.load(FOLDER) as chart:
        chart.validate_schema(values or {})
        files = chart.render(values or {}, name="shop", namespace="sagas", **options)
    texts = [text for name, text in files.items() if name.endswith(".yaml")]
    return [found for text in texts for found in yaml.safe_load_all(text) if found]


def of(kind, manifests):
    return {found["metadata"]["name"]: found for found in manifests if found["kind"] == kind}


def pods(manifests):
    """Yield each role with its pod."""
    for found in manifests:
        spec = found.get("spec", {}).get("jobTemplate", found).get("spec", {})
        if "containers" in spec.get("template", {}).get("spec", {}):
            labels = spec["template"]["metadata"]["labels"]
            yield labels["app.kubernetes.io/component"], spec["template"]["spec"]


@pytest.mark.parametrize("values", [{}, EVERYTHING])
def test_helm_finds_no_fault_in_the_chart(values):
    checked = lint(FOLDER, values, strict=True)
    assert [note for note in checked["messages"] if note["severity"] > 1] == []
    assert checked["errors"] == []


@pytest.mark.parametrize("values", [{}, EVERYTHING])
@pytest.mark.parametrize("version", VERSIONS)
def test_every_manifest_of_the_chart_is_valid(values, version):
    manifests = rendered(values)
    assert len(manifests) >= 6
    for manifest in manifests:
        if manifest["kind"] not in OF_OPERATORS:
            kubernetes_validate.validate(manifest, version, strict=True)


def test_each_value_switches_its_part_on():
    off, on = ({found["kind"] for found in rendered(values)} for values in ({}, EVERYTHING))
    assert on - off == OF_OPERATORS | {"ConfigMap", "CronJob", "Ingress", "NetworkPolicy", "ServiceAccount"}


def test_each_pod_runs_the_command_of_the_stack_and_has_no_further_rights():
    stack = {name.removesuffix("-1"): it["command"] for name, it in composed("core")["services"].items()}
    stack["orchestrator"] = stack["saga-orchestrator"]
    found = dict(pods(rendered(EVERYTHING)))
    assert found.keys() == {"orchestrator", "worker", "migrate", "prune"}
    for role, pod in found.items():
        (container,) = pod["containers"]
        if role != "prune":
            assert container["command"] == stack[role]
        assert pod["securityContext"]["runAsNonRoot"]
        assert not pod["automountServiceAccountToken"]
        assert not container["securityContext"]["allowPrivilegeEscalation"]
        assert container["securityContext"]["readOnlyRootFilesystem"]
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert container["resources"]["limits"]["memory"]
        assert {"name": "SAGAS", "value": "/sagas"} in container["env"]


def test_each_pod_gets_the_variables_and_files_of_the_installation():
    for role, pod in pods(rendered(EVERYTHING)):
        (container,) = pod["containers"]
        assert EVERYTHING["extraEnv"][0] in container["env"], role
        assert EVERYTHING["extraVolumes"][0] in pod["volumes"], role
        assert EVERYTHING["extraVolumeMounts"][0] in container["volumeMounts"], role
        assert pod["serviceAccountName"] == "sagas", role
        assert pod["initContainers"] == EVERYTHING["initContainers"], role


def test_each_pod_checks_the_servers_by_the_given_ca():
    for role, pod in pods(rendered(EVERYTHING)):
        (container,) = pod["containers"]
        assert {"name": "tls", "secret": {"secretName": "our-ca"}} in pod["volumes"], role
        assert {"name": "tls", "mountPath": "/run/tls", "readOnly": True} in container["volumeMounts"], role
        found = {each["name"]: each.get("value") for each in container["env"]}
        assert {found["SSL_CERT_FILE"], found["PGSSLROOTCERT"]} == {"/run/tls/ca.crt"}, role
        assert found["PGSSLMODE"] == "verify-full", role
    assert "PGSSL" not in str(rendered())


def test_service_and_further_objects_are_as_the_values_say():
    manifests = rendered(EVERYTHING)
    (service,) = of("Service", manifests).values()
    assert service["spec"]["type"] == "LoadBalancer"
    assert service["metadata"]["annotations"] == {"cloud.example/internal": "true"}
    assert list(of("ServiceAccount", manifests).values()) == EVERYTHING["extraManifests"]


@pytest.mark.parametrize("migrated", [True, False])
def test_helm_test_succeeds_only_when_a_replica_is_ready(migrated, sqlite_url, sqlite_template):
    (pod,) = of("Pod", rendered()).values()
    assert pod["metadata"]["annotations"]["helm.sh/hook"] == "test"
    (container,) = pod["spec"]["containers"]
    (_, option, code), service = container["command"], "http://shop-saga:8009/"
    assert service in code
    app = create_app(from_environment({"DATABASE_URL": f"sqlite:///{sqlite_template}" if migrated else sqlite_url}))
    server = make_server("127.0.0.1", 0, app, threaded=True)
    with ThreadPoolExecutor(1) as pool:
        pool.submit(server.serve_forever)
        command = [sys.executable, option, code.replace(service, f"http://127.0.0.1:{server.port}/")]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        server.shutdown()
    assert (done.returncode == 0) is migrated, done.stderr


def test_pods_listen_on_the_address_of_the_settings():
    for values, address in (({}, "0.0.0.0"), ({"settings": {"HOST": "::"}}, "::")):
        hosts = [
            env["value"]
            for _, pod in pods(rendered(values))
            for env in pod["containers"][0]["env"]
            if env["name"] == "HOST"
        ]
        assert hosts == [address] * 3


def test_ingress_and_route_lead_to_every_path_but_the_metrics(sqlite_url):
    app = create_app(from_environment({"DATABASE_URL": sqlite_url}))
    served = {"/" + rule.rule.split("/")[1] for rule in app.url_map.iter_rules()}
    manifests = rendered(EVERYTHING)
    (ingress,), (route,) = (of(kind, manifests).values() for kind in ("Ingress", "HTTPRoute"))
    paths = {path["path"]: path["pathType"] for path in ingress["spec"]["rules"][0]["http"]["paths"]}
    assert paths.keys() == served - {"/metrics"}
    matches = {match["path"]["value"]: match["path"]["type"] for match in route["spec"]["rules"][0]["matches"]}
    assert matches.keys() == paths.keys()
    assert (
        [path for path in paths if paths[path] == "Exact"]
        == [path for path in matches if matches[path] == "Exact"]
        == ["/"]
    )


def test_prune_passes_the_retention_of_keys_only_when_it_is_set():
    commands = []
    for prune in ({"enabled": True}, {"enabled": True, "keysDays": 400}):
        (job,) = of("CronJob", rendered({"prune": prune})).values()
        (container,) = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
        commands.append(container["command"][4:])
    assert commands == [["prune", "--days", "90"], ["prune", "--days", "90", "--keys-days", "400"]]


def test_migration_ends_before_the_pods_of_a_release_start():
    (job,) = of("Job", rendered(revision=7)).values()
    assert job["metadata"]["name"] == "shop-saga-migrate-7", "a Job cannot be changed, so each upgrade has its own"
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"


def test_pods_are_found_by_their_services_and_budgets():
    manifests = rendered(EVERYTHING)
    labels = {
        name: found["spec"]["template"]["metadata"]["labels"] for name, found in of("Deployment", manifests).items()
    }
    selectors = [found["spec"]["selector"] for found in of("Service", manifests).values()]
    for kind in ("PodDisruptionBudget", "PodMonitor"):
        selectors += [found["spec"]["selector"]["matchLabels"] for found in of(kind, manifests).values()]
    assert len(selectors) == 5
    for selector in selectors:
        assert len([name for name, found in labels.items() if selector.items() <= found.items()]) == 1


def reached(network_policy):
    """Return the port and the peers of each pod that a NetworkPolicy opens, by the component of the pod."""
    policies = of("NetworkPolicy", rendered({"networkPolicy": {"enabled": True, **network_policy}}))
    nobody = policies.pop("shop-saga-nobody")["spec"]
    selector = {"app.kubernetes.io/name": "saga-orchestrator", "app.kubernetes.io/instance": "shop"}
    assert nobody == {"podSelector": {"matchLabels": selector}, "policyTypes": ["Ingress"]}
    found = {}
    for policy in policies.values():
        labels = policy["spec"]["podSelector"]["matchLabels"]
        assert selector.items() <= labels.items()
        (rule,) = policy["spec"]["ingress"]
        found[labels["app.kubernetes.io/component"]] = ([port["port"] for port in rule["ports"]], rule["from"])
    return found


def test_only_the_named_peers_reach_a_pod():
    """A pod without a policy of its own is reached by nobody."""
    assert reached({"gateway": [GATEWAY], "monitoring": [MONITORING]}) == {
        "orchestrator": (["http"], [GATEWAY, MONITORING, TEST]),
        "worker": (["metrics"], [MONITORING]),
    }
    assert reached({"gateway": [GATEWAY]}) == {"orchestrator": (["http"], [GATEWAY, TEST])}
    nobody = reached({})
    assert nobody == {"orchestrator": (["http"], [TEST])}, "an empty list of peers would admit everybody"
    assert TEST["podSelector"]["matchLabels"] == of("Pod", rendered())["shop-saga-test"]["metadata"]["labels"]


def test_pods_connect_only_to_what_the_egress_rules_name():
    provider = {"to": [{"ipBlock": {"cidr": "10.7.0.0/16"}}], "ports": [{"port": 443}]}
    policies = of("NetworkPolicy", rendered({"networkPolicy": {"enabled": True, "egress": [provider]}}))
    policy = policies["shop-saga-egress"]["spec"]
    assert policy["policyTypes"] == ["Egress"]
    names = {"ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]}
    assert policy["egress"] == [names, provider]
    selector = {"app.kubernetes.io/name": "saga-orchestrator", "app.kubernetes.io/instance": "shop"}
    assert policy["podSelector"] == {"matchLabels": selector}, "of every pod: workers and the migration, too"


def test_replica_has_probes_and_time_to_end():
    pod = dict(pods(rendered()))["orchestrator"]
    (container,) = pod["containers"]
    assert container["readinessProbe"]["httpGet"]["path"] == "/ready"
    assert container["livenessProbe"]["httpGet"]["path"] == "/health"
    assert pod["terminationGracePeriodSeconds"] >= 5 + 25, "the pause before SIGTERM, and GRACE_S"


def test_chart_has_the_rules_of_the_stack():
    (rules,) = of("PrometheusRule", rendered(EVERYTHING)).values()
    files = sorted((ROOT / "deploy" / "prometheus" / "rules").glob("*.yml"))
    assert rules["spec"]["groups"] == [group for file in files for group in yaml.safe_load(file.read_text())["groups"]]
    monitors = of("PodMonitor", rendered(EVERYTHING)).values()
    jobs = {found["spec"]["podMetricsEndpoints"][0]["relabelings"][0]["replacement"] for found in monitors}
    assert "saga-orchestrator" in jobs, "the alerts read this job"


def test_chart_has_the_dashboards_of_the_stack_with_the_links_of_the_installation():
    values = {"monitoring": {"enabled": False, "dashboards": True, "url": "https://sagas.example/"}}
    found = of("ConfigMap", rendered(values)).values()
    files = {file.name: file.read_text() for file in (ROOT / "deploy" / "grafana" / "dashboards").glob("*.json")}
    texts = {name: text for each in found for name, text in each["data"].items()}
    assert texts.keys() == files.keys()
    for name, text in files.items():
        assert json.loads(texts[name]) == json.loads(text.replace("http://localhost:8009", "https://sagas.example"))
    assert {each["metadata"]["labels"]["grafana_dashboard"] for each in found} == {"1"}


def test_links_of_alerts_lead_to_the_installation():
    places = {"enabled": True, "url": "https://sagas.example/", "runbooks": "https://wiki.example/runbooks"}
    (rules,) = of("PrometheusRule", rendered({"monitoring": places})).values()
    alerts = [rule for group in rules["spec"]["groups"] for rule in group["rules"] if "alert" in rule]
    runbooks = [f"https://wiki.example/runbooks/{rule['alert']}.md" for rule in alerts]
    assert [rule["annotations"]["runbook_url"] for rule in alerts] == runbooks
    pages = [rule["annotations"]["sagas_url"] for rule in alerts if "sagas_url" in rule["annotations"]]
    assert pages
    assert all(page.startswith("https://sagas.example/admin/") for page in pages)


def test_chart_and_image_have_the_release():
    chart = yaml.safe_load((FOLDER / "Chart.yaml").read_text())
    assert chart["version"] == chart["appVersion"] == VERSION
    images = [pod["containers"][0]["image"] for _, pod in pods(rendered())]
    assert set(images) == {f"saga-orchestrator:{VERSION}"}
    assert all("@sha256:" in pod["containers"][0]["image"] for _, pod in pods(rendered(EVERYTHING)))


#: Values whose keys are not the chart's own: settings, labels, annotations, and what Kubernetes itself defines.
FREE = {
    "settings",
    "resources",
    "nodeSelector",
    "affinity",
    "podAnnotations",
    "annotations",
    "labels",
    "dashboardLabels",
}


def misspelled(values):
    """Yield overrides of the values that each have one key that the chart does not know."""
    yield {"replicaCount": 2}
    for name, value in values.items():
        if isinstance(value, dict) and name not in FREE:
            yield from ({name: wrong} for wrong in misspelled(value))


def test_misspelled_key_is_refused_wherever_it_stands():
    values = yaml.safe_load((FOLDER / "values.yaml").read_text())
    for wrong in misspelled(values):
        with pytest.raises(HelmError, match="additional properties 'replicaCount' not allowed"):
            rendered(wrong)


@pytest.mark.parametrize(
    "values",
    [
        {"settings": {"DB_PASSWORD": "s3cret"}},
        {"settings": {"THREADS": 64}},
        {"orchestrator": {"replicas": "two"}},
        {"image": {"digest": "latest"}},
        {"networkPolicy": {"enabled": True, "from": []}},
        {"orchestrator": {"port": "http"}},
        {"orchestrator": {"service": {"type": "ExternalName"}}},
        {"extraManifests": [{"kind": "ConfigMap"}]},
        {"initContainers": [{"name": "proxy"}]},
        {"initContainers": [{"name": "worker", "image": "proxy:2"}]},
        {"initContainers": [{"name": "proxy", "image": "proxy:2", "restartPolicy": "always"}]},
        {"prune": {"enabled": True, "schedule": 3}},
        {"tls": {"caSecret": "our-ca", "postgres": "verify"}},
        {"httpRoute": {"enabled": True, "parentRefs": []}},
        {"monitoring": {"enabled": True, "dashboards": "yes"}},
    ],
)
def test_wrong_value_is_refused(values):
    with pytest.raises(HelmError):
        rendered(values)
