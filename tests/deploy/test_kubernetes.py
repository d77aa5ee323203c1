"""The Kubernetes manifests: valid, confined, watched, cut off from what is not theirs. No cluster ran any."""

import json
import shutil
import subprocess
import sys
import tomllib
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from pydantic import SecretStr

import codec_server
from runtime.development import ROOT
from runtime.settings import Settings
from serving.health import Health
from serving.workers import DRAIN
from tests.deploy.manifests import (
    FOLDER,
    KUSTOMIZATION,
    MANIFESTS,
    PODS,
    WORKERS,
    Pod,
    of_kind,
    selects,
)
from tests.harness.codecs import TOKEN

pytestmark = pytest.mark.deploy

FILES = sorted(FOLDER.rglob("*.yaml"))
KUBECTL = shutil.which("kubectl")
# Lists and mappings in one line read better where they are short.
YAML_RULES = {
    "extends": "default",
    "rules": {
        "braces": "disable",
        "comments": {"min-spaces-from-content": 1},
        "document-start": "disable",
        "line-length": {"max": 120},
    },
}
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
each_pod = pytest.mark.parametrize("pod", PODS.values(), ids=PODS)
each_worker = pytest.mark.parametrize("role", WORKERS)


def tool(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a program of this environment."""
    program = Path(sys.executable).parent / name
    return subprocess.run([program, *arguments], check=False, capture_output=True, text=True)


def test_kubernetes_knows_every_field(tmp_path: Path) -> None:
    """By its own schemas, strictly; a field that is misspelt is told."""
    valid = [str(FOLDER / name) for name in KUSTOMIZATION["resources"]] + [
        str(FOLDER / "examples/secrets.yaml")
    ]
    checked = tool("kubernetes-validate", "--strict", *valid)
    assert checked.returncode == 0, checked.stderr
    assert "Couldn't find" not in checked.stderr
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text((FOLDER / "client.yaml").read_text().replace("readOnlyRootFilesystem", "readOnlyRootfs"))
    assert tool("kubernetes-validate", "--strict", str(wrong)).returncode != 0


def test_the_yaml_is_clean() -> None:
    """No key twice, no odd indentation."""
    checked = tool("yamllint", "--strict", "-d", json.dumps(YAML_RULES), str(FOLDER))
    assert checked.returncode == 0, checked.stdout


def test_the_kustomization_has_every_file() -> None:
    """And every file that it names is there; examples are applied by nobody."""
    there = {path.name for path in FOLDER.glob("*.yaml")} - {"kustomization.yaml"}
    assert set(KUSTOMIZATION["resources"]) == there
    assert len(KUSTOMIZATION["resources"]) == len(there)
    assert {one["metadata"].get("namespace", "") for one in MANIFESTS} == {"", KUSTOMIZATION["namespace"]}


@pytest.mark.skipif(KUBECTL is None, reason="kubectl is not installed (Debian: kubernetes-client)")
def test_kustomize_builds_what_the_files_say() -> None:
    """The same manifests, with the one image that it names."""
    built = subprocess.run(
        [str(KUBECTL), "kustomize", str(FOLDER)], check=True, capture_output=True, text=True
    )
    (image,) = KUSTOMIZATION["images"]
    there = yaml.safe_dump_all(MANIFESTS).replace(
        f"image: {image['name']}:{VERSION}", f"image: {image['newName']}:{image['newTag']}"
    )
    assert by_name(yaml.safe_load_all(built.stdout)) == by_name(yaml.safe_load_all(there))


def by_name(documents: Any) -> dict[tuple[str, str], Any]:
    """Manifests in no order."""
    return {(one["kind"], one["metadata"]["name"]): one for one in documents}


def test_every_pod_runs_the_same_image() -> None:
    """The project's version by number, never what was built last."""
    assert {pod.container["image"] for pod in PODS.values()} == {f"eject:{VERSION}"}
    (image,) = KUSTOMIZATION["images"]
    assert (image["name"], image["newTag"]) == ("eject", VERSION)


@each_pod
@pytest.mark.parametrize(
    ("where", "setting", "wanted"),
    [
        ("pod", "automountServiceAccountToken", False),
        ("pod", "enableServiceLinks", False),
        ("pod", "hostNetwork", None),
        ("pod", "hostPID", None),
        ("pod", "hostIPC", None),
        ("pod security", "runAsNonRoot", True),
        ("pod security", "runAsUser", 10001),
        ("pod security", "runAsGroup", 10001),
        ("pod security", "seccompProfile", {"type": "RuntimeDefault"}),
        ("container security", "allowPrivilegeEscalation", False),
        ("container security", "readOnlyRootFilesystem", True),
        ("container security", "capabilities", {"drop": ["ALL"]}),
        ("container security", "privileged", None),
    ],
)
def test_a_pod_may_do_no_more_than_it_must(pod: Pod, where: str, setting: str, wanted: object) -> None:
    """The image's user, a file system to read, no capability, no token of the cluster."""
    places = {
        "pod": pod.spec,
        "pod security": pod.spec["securityContext"],
        "container security": pod.container["securityContext"],
    }
    assert places[where].get(setting) == wanted


@each_pod
def test_a_pod_is_bounded(pod: Pod) -> None:
    """It asks for what it needs, its memory ends somewhere, and nothing of it can be written."""
    resources = pod.container["resources"]
    assert set(resources["requests"]) == {"cpu", "memory"}
    assert "memory" in resources["limits"]
    assert all(mount["readOnly"] for mount in pod.container.get("volumeMounts", []))
    assert set(pod.spec) >= {"serviceAccountName", "terminationGracePeriodSeconds"}


@pytest.mark.parametrize("component", ["custodian", "client", "codec-server"])
def test_a_pod_may_finish_before_it_is_killed(component: str) -> None:
    """Kubernetes waits longer than the drain, and a rollout never has fewer pods than before."""
    drain = codec_server._DRAIN_SECONDS if component == "codec-server" else DRAIN.total_seconds()
    deployment = of_kind("Deployment")[f"eject-{component}"]["spec"]
    assert PODS[component].spec["terminationGracePeriodSeconds"] >= drain + 5
    assert deployment["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    assert deployment["replicas"] > 1
    budget = of_kind("PodDisruptionBudget")[f"eject-{component}"]["spec"]
    assert budget["maxUnavailable"] < deployment["replicas"]
    spread = PODS[component].spec["topologySpreadConstraints"]
    for selector in (deployment["selector"], budget["selector"], *(one["labelSelector"] for one in spread)):
        assert [name for name, pod in PODS.items() if selects(selector, pod.labels)] == [component]


def port_of(pod: Pod, setting: str) -> int:
    """The port of an address in the pod's settings, at which every network may ask."""
    host, _, port = pod.plain[setting].rpartition(":")
    assert host == "0.0.0.0"  # noqa: S104 (a pod's own network)
    return int(port)


@each_worker
def test_a_workers_probes_ask_where_it_answers(role: str) -> None:
    """Alive is asked of the event loop, ready of serving; metrics are where Prometheus is told."""
    container = WORKERS[role].container
    ports = {one["name"]: one["containerPort"] for one in container["ports"]}
    assert ports == {
        "health": port_of(WORKERS[role], "EJECT_HEALTH_ADDRESS"),
        "metrics": port_of(WORKERS[role], "EJECT_METRICS_ADDRESS"),
    }
    asked = {name: container[f"{name}Probe"]["httpGet"] for name in ("startup", "readiness", "liveness")}
    assert {one["port"] for one in asked.values()} == {"health"}
    answers = {}
    for name, one in asked.items():
        request = f"GET {one['path']} HTTP/1.1".encode()
        answers[name] = [Health(ready).answer(request)[0] for ready in (False, True)]
    assert answers == {"startup": [503, 200], "readiness": [503, 200], "liveness": [200, 200]}
    annotations = WORKERS[role].template["metadata"]["annotations"]
    assert annotations["prometheus.io/port"] == str(ports["metrics"])


async def test_the_codec_servers_probes_and_service_ask_where_it_answers() -> None:
    """Without its token."""
    pod = PODS["codec-server"]
    (port,) = pod.container["ports"]
    assert port["containerPort"] == port_of(pod, "EJECT_CODEC_ADDRESS")
    app = codec_server.make_app(Settings().codec(), SecretStr(TOKEN), ())
    for name in ("startup", "readiness", "liveness"):
        asked = pod.container[f"{name}Probe"]["httpGet"]
        assert asked["port"] == port["name"]
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://pod") as http:
            assert (await http.get(asked["path"])).status_code == 200
    service = of_kind("Service")["eject-codec-server"]["spec"]
    assert service["ports"][0]["targetPort"] == port["name"]
    assert selects({"matchLabels": service["selector"]}, pod.labels)


def rules(pod: Pod, way: str) -> list[dict[str, Any]]:
    """What the policies let a pod do in one direction."""
    return [
        rule
        for policy in of_kind("NetworkPolicy").values()
        if selects(policy["spec"]["podSelector"], pod.labels)
        for rule in policy["spec"].get(way, [])
    ]


@pytest.mark.parametrize(
    ("component", "out", "into"),
    [
        ("custodian", {53, 443, 7233}, {9464}),
        ("client", {53, 443, 7233}, {9464}),
        ("codec-server", set(), {8234}),
        ("register", {53, 7233}, set()),
    ],
)
def test_a_pod_speaks_to_nobody_else(component: str, out: set[int], into: set[int]) -> None:
    """Names, Temporal, HTTPS; in, who reads metrics or ends TLS. Everything else is denied first."""
    pod = PODS[component]
    (deny,) = [one["spec"] for one in of_kind("NetworkPolicy").values() if one["spec"]["podSelector"] == {}]
    assert deny == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    assert {port["port"] for rule in rules(pod, "egress") for port in rule["ports"]} == out
    assert {port["port"] for rule in rules(pod, "ingress") for port in rule["ports"]} == into
    assert all(rule["to"] for rule in rules(pod, "egress"))
    assert all(rule["from"] for rule in rules(pod, "ingress"))
    own = {int(one.rpartition(":")[2]) for name, one in pod.plain.items() if name.endswith("_ADDRESS")}
    assert into <= own
    if 7233 in out:
        assert pod.plain["TEMPORAL_ADDRESS"].endswith(":7233")


@pytest.mark.parametrize(
    ("address", "may"),
    [
        ("93.184.215.14", True),
        ("2606:2800:21f:cb07::1", True),
        ("10.0.0.1", False),
        ("172.20.0.1", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),
        ("100.100.0.1", False),
        ("127.0.0.1", False),
        ("fd00:ec2::254", False),
        ("fe80::1", False),
    ],
)
@each_worker
def test_https_leads_out_of_the_cluster_only(role: str, address: str, may: bool) -> None:
    """To the internet; not to the cloud's metadata, which would answer with the machine's credentials."""
    blocks = [
        to["ipBlock"] for rule in rules(WORKERS[role], "egress") for to in rule["to"] if "ipBlock" in to
    ]
    at = ip_address(address)
    open_ = [
        block
        for block in blocks
        if at in ip_network(block["cidr"]) and not any(at in ip_network(one) for one in block["except"])
    ]
    assert bool(open_) is may
