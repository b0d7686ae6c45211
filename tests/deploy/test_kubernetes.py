"""The manifests for Kubernetes: each against its schema, and all together against what this project wants of them."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from schema.graph import CONTEXTS
from server.groups import expanded
from server.settings import Settings, variable
from tests.deploy.kustomizing import rendered
from tests.deploy.test_compose import VARIABLES, groups

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "kubernetes"
OVERLAYS = ("staging", "production", "distributed")
AS_WRITTEN = "as written"
VERSIONS = ("1.32", "1.34")
# Their definitions come with the operators that read them.
OF_OPERATORS = {"PodMonitor", "ExternalSecret"}
WORKLOADS = {"Deployment", "StatefulSet", "Job", "CronJob"}
OURS = {"agora", "agora-backup"}
Manifest = dict[str, Any]


@cache
def manifests(source: str) -> list[Manifest]:
    """Give what an overlay makes, or all files as they are written, which needs no kubectl."""
    if source == AS_WRITTEN:
        files = [file for file in FOLDER.rglob("*.yaml") if file.name != "kustomization.yaml"]
        return [each for file in sorted(files) for each in yaml.safe_load_all(file.read_text())]
    return rendered(FOLDER / "overlays" / source)


@pytest.fixture(scope="module", autouse=True)
def gateway_files() -> None:
    """The supergraph as the gateway of the overlays gets it."""
    subprocess.run([sys.executable, ROOT / "deploy" / "gateway" / "addressed.py"], check=True)


def of_kind(source: str, *kinds: str) -> list[Manifest]:
    return [each for each in manifests(source) if each["kind"] in kinds]


def name_of(manifest: Manifest) -> str:
    return str(manifest["metadata"]["name"])


def known(manifest: Manifest) -> str:
    """Give a manifest without what only kubectl fills in: namespaces, hashes and the style of texts."""
    written = yaml.safe_dump({name: part for name, part in manifest.items() if name != "metadata"}, sort_keys=True)
    name = re.sub(r"-[a-z0-9]{10}$", "", name_of(manifest))
    return f"{manifest['kind']} {name} " + re.sub(r"(agora(-supergraph|-gateway)?)-[a-z0-9]{10}\b", r"\1", written)


def pod_template(workload: Manifest) -> Manifest:
    spec = workload["spec"]
    found: Manifest = spec["jobTemplate"]["spec"]["template"] if workload["kind"] == "CronJob" else spec["template"]
    return found


def containers(source: str) -> Iterator[tuple[Manifest, Manifest]]:
    for workload in of_kind(source, *WORKLOADS):
        for container in pod_template(workload)["spec"]["containers"]:
            yield workload, container


def is_ours(container: Manifest) -> bool:
    return container["image"].rpartition("/")[2].partition(":")[0] in OURS


@pytest.fixture(params=[AS_WRITTEN, *OVERLAYS])
def source(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=OVERLAYS)
def overlay(request: pytest.FixtureRequest) -> str:
    return str(request.param)


class TestManifests:
    @pytest.mark.parametrize("version", VERSIONS)
    def test_are_what_their_schemas_say(self, source: str, version: str) -> None:
        for manifest in manifests(source):
            if manifest["kind"] not in OF_OPERATORS:
                kubernetes_validate.validate(manifest, version, strict=True)

    def test_hold_no_secret(self, source: str) -> None:
        assert of_kind(source, "Secret") == []
        for _, container in containers(source):
            for each in container.get("env", ()):
                if re.search(r"KEY|SECRET|PASSWORD|PASSPHRASE|DATABASE_URL|REDIS_URL|SMTP_URL|SMS_URL", each["name"]):
                    assert "secretKeyRef" in each["valueFrom"], each["name"]


class TestContainers:
    def test_have_no_rights_that_they_do_not_need(self, source: str) -> None:
        for workload, container in containers(source):
            pod, own = pod_template(workload)["spec"], container["securityContext"]
            assert pod["securityContext"]["runAsNonRoot"]
            assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
            assert pod["automountServiceAccountToken"] is False
            assert own["allowPrivilegeEscalation"] is False
            assert own["readOnlyRootFilesystem"] is True
            assert own["capabilities"] == {"drop": ["ALL"]}
            assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
            assert all("hostPath" not in volume for volume in pod.get("volumes", ()))

    def test_ask_for_what_they_need_and_get_no_more(self, source: str) -> None:
        for _, container in containers(source):
            for side in ("requests", "limits"):
                assert {"cpu", "memory"} <= container["resources"][side].keys()

    def test_say_how_they_are(self, source: str) -> None:
        for workload, container in containers(source):
            if workload["kind"] in {"Deployment", "StatefulSet"}:
                assert {"startupProbe", "livenessProbe", "readinessProbe"} <= container.keys(), name_of(workload)

    def test_are_probed_on_ports_that_they_have(self, source: str) -> None:
        for _, container in containers(source):
            named = {port["name"] for port in container.get("ports", ())}
            for kind in ("startupProbe", "livenessProbe", "readinessProbe"):
                if get := container.get(kind, {}).get("httpGet"):
                    assert get["port"] in named

    def test_mount_volumes_that_there_are(self, source: str) -> None:
        for workload, container in containers(source):
            claims = {each["metadata"]["name"] for each in workload["spec"].get("volumeClaimTemplates", ())}
            there = {volume["name"] for volume in pod_template(workload)["spec"].get("volumes", ())} | claims
            assert {mount["name"] for mount in container.get("volumeMounts", ())} <= there

    def test_are_of_a_version(self, overlay: str) -> None:
        for _, container in containers(overlay):
            assert re.search(r":[^/]*\d", container["image"]), container["image"]
            assert not container["image"].endswith(":latest")

    def test_of_ours_are_given_settings_that_there_are(self, source: str) -> None:
        for _, container in containers(source):
            names = {each["name"] for each in container.get("env", ()) if each["name"].startswith("AGORA_")}
            assert names <= VARIABLES
        told = dict(line.split("=", 1) for line in (FOLDER / "base" / "agora.env").read_text().splitlines())
        assert told.keys() <= VARIABLES
        Settings(**{name: value for name in Settings.model_fields if (value := told.get(variable(name))) is not None})

    def test_of_ours_listen_where_they_are_asked(self, source: str) -> None:
        told = dict(line.split("=", 1) for line in (FOLDER / "base" / "agora.env").read_text().splitlines())
        for _, container in containers(source):
            if is_ours(container):
                metrics = "AGORA_WORKER_METRICS_PORT" if container["args"] == ["worker"] else "AGORA_METRICS_PORT"
                known = {"http": int(told["AGORA_PORT"]), "metrics": int(told[metrics])}
                assert all(port["containerPort"] == known[port["name"]] for port in container.get("ports", ()))

    def test_of_ours_have_time_to_drain(self, source: str) -> None:
        told = dict(line.split("=", 1) for line in (FOLDER / "base" / "agora.env").read_text().splitlines())
        for workload, container in containers(source):
            if is_ours(container) and workload["kind"] == "Deployment":
                pause = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
                patience = pod_template(workload)["spec"]["terminationGracePeriodSeconds"]
                assert patience > pause + float(told["AGORA_DRAIN_SECONDS"]) + 5


class TestReferences:
    def test_lead_to_pods(self, overlay: str) -> None:
        labelled = [pod_template(each)["metadata"]["labels"] for each in of_kind(overlay, *WORKLOADS)]

        def found(labels: dict[str, str]) -> bool:
            return any(labels.items() <= each.items() for each in labelled)

        for each in of_kind(overlay, "Service"):
            assert found(each["spec"]["selector"]), name_of(each)
        for each in of_kind(overlay, "PodDisruptionBudget"):
            assert found(each["spec"]["selector"]["matchLabels"]), name_of(each)
        for each in of_kind(overlay, "Deployment", "StatefulSet"):
            own = pod_template(each)["metadata"]["labels"]
            assert each["spec"]["selector"]["matchLabels"].items() <= own.items()

    def test_of_services_lead_to_ports(self, overlay: str) -> None:
        for service in of_kind(overlay, "Service"):
            wanted = service["spec"]["selector"].items()
            for workload, container in containers(overlay):
                if wanted <= pod_template(workload)["metadata"]["labels"].items():
                    there = {port["name"] for port in container["ports"]}
                    assert {port["targetPort"] for port in service["spec"]["ports"]} <= there

    def test_of_the_way_in_lead_to_services(self, overlay: str) -> None:
        services = {
            name_of(each): {port["name"] for port in each["spec"]["ports"]} for each in of_kind(overlay, "Service")
        }
        (ingress,) = of_kind(overlay, "Ingress")
        assert ingress["spec"]["tls"][0]["hosts"] == [ingress["spec"]["rules"][0]["host"]]
        for path in ingress["spec"]["rules"][0]["http"]["paths"]:
            backend = path["backend"]["service"]
            assert backend["port"]["name"] in services[backend["name"]]

    def test_of_scaling_lead_to_deployments(self, overlay: str) -> None:
        deployments = {name_of(each) for each in of_kind(overlay, "Deployment")}
        scaled = {each["spec"]["scaleTargetRef"]["name"] for each in of_kind(overlay, "HorizontalPodAutoscaler")}
        kept = {name_of(each) for each in of_kind(overlay, "PodDisruptionBudget")}
        assert scaled == kept == deployments

    def test_to_settings_and_secrets_are_to_those_that_there_are(self, overlay: str) -> None:
        maps = {name_of(each): each["data"].keys() for each in of_kind(overlay, "ConfigMap")}
        secrets = {"agora", "agora-engines"}
        for workload, container in containers(overlay):
            for each in container.get("envFrom", ()):
                assert each["configMapRef"]["name"] in maps
            for each in container.get("env", ()):
                if chosen := each.get("valueFrom", {}).get("configMapKeyRef"):
                    assert chosen["key"] in maps[chosen["name"]]
                if chosen := each.get("valueFrom", {}).get("secretKeyRef"):
                    assert chosen["name"] in secrets
            for volume in pod_template(workload)["spec"].get("volumes", ()):
                if "configMap" in volume:
                    assert volume["configMap"]["name"] in maps

    def test_to_claims_and_accounts_are_to_those_that_there_are(self, overlay: str) -> None:
        claims = {name_of(each) for each in of_kind(overlay, "PersistentVolumeClaim")}
        accounts = {name_of(each) for each in of_kind(overlay, "ServiceAccount")}
        for workload in of_kind(overlay, *WORKLOADS):
            pod = pod_template(workload)["spec"]
            assert pod["serviceAccountName"] in accounts
            named = {
                each["persistentVolumeClaim"]["claimName"]
                for each in pod.get("volumes", ())
                if "persistentVolumeClaim" in each
            }
            assert named <= claims


class TestNetworkPolicies:
    def test_deny_everything_first(self, overlay: str) -> None:
        (denied,) = (each for each in of_kind(overlay, "NetworkPolicy") if name_of(each) == "deny-all")
        assert denied["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}

    def test_name_ports_that_pods_have(self, overlay: str) -> None:
        for policy in of_kind(overlay, "NetworkPolicy"):
            wanted = policy["spec"]["podSelector"].get("matchLabels", {}).items()
            ports = [port["port"] for rule in policy["spec"].get("ingress", ()) for port in rule["ports"]]
            for workload, container in containers(overlay):
                if wanted and wanted <= pod_template(workload)["metadata"]["labels"].items():
                    assert set(ports) <= {port["name"] for port in container.get("ports", ())}

    def test_let_the_gateway_alone_to_the_subgraphs(self) -> None:
        (policy,) = (each for each in of_kind(AS_WRITTEN, "NetworkPolicy") if name_of(each) == "subgraphs")
        (rule,) = policy["spec"]["ingress"]
        assert rule["from"][0] == {"podSelector": {"matchLabels": {"app.kubernetes.io/name": "gateway"}}}


class TestOverlays:
    def test_serve_every_subgraph_in_one_group(self) -> None:
        told = {
            name_of(workload): tuple(expanded(container["args"][-1].split(",")))
            for workload, container in containers(AS_WRITTEN)
            if "--only" in container.get("args", ())
        }
        assert told == groups()
        assert sorted(each for contexts in told.values() for each in contexts) == sorted(CONTEXTS)

    def test_scale_from_two_to_ten_in_production(self) -> None:
        scaled = {name_of(each): each["spec"] for each in of_kind("production", "HorizontalPodAutoscaler")}
        assert (scaled["api"]["minReplicas"], scaled["api"]["maxReplicas"]) == (2, 10)

    def test_roll_the_pods_when_a_setting_changes(self, overlay: str) -> None:
        names = {each["envFrom"][0]["configMapRef"]["name"] for _, each in containers(overlay) if is_ours(each)}
        (name,) = names
        assert re.fullmatch(r"agora-[a-z0-9]{10}", name)

    @pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is what the other tests do without")
    def test_are_what_kubectl_makes_of_them(self, overlay: str) -> None:
        made = subprocess.run(
            ["kubectl", "kustomize", FOLDER / "overlays" / overlay], check=False, capture_output=True, text=True
        )
        assert made.returncode == 0, made.stderr
        theirs = [each for each in yaml.safe_load_all(made.stdout) if each]
        assert sorted(map(known, theirs)) == sorted(map(known, manifests(overlay)))
        for each in theirs:
            if each["kind"] not in OF_OPERATORS:
                kubernetes_validate.validate(each, VERSIONS[-1], strict=True)

    def test_hold_engines_in_staging_alone(self) -> None:
        assert {name_of(each) for each in of_kind("staging", "StatefulSet")} == {"postgresql", "valkey", "meilisearch"}
        assert of_kind("production", "StatefulSet") == []
