"""The Kubernetes manifests, as a test reads them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from runtime.development import ROOT

FOLDER = ROOT / "deploy/kubernetes"
KUSTOMIZATION: dict[str, Any] = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())
Manifest = dict[str, Any]


def read(path: Path) -> list[Manifest]:
    """Every document of a file."""
    return [document for document in yaml.safe_load_all(path.read_text()) if document]


MANIFESTS = [document for name in KUSTOMIZATION["resources"] for document in read(FOLDER / name)]
# The Secrets that must be there, with keys and no values.
SECRETS = {one["metadata"]["name"]: one["stringData"] for one in read(FOLDER / "examples/secrets.yaml")}


def of_kind(kind: str) -> dict[str, Manifest]:
    """All manifests of a kind by name."""
    return {one["metadata"]["name"]: one for one in MANIFESTS if one["kind"] == kind}


@dataclass(frozen=True)
class Pod:
    """What a Deployment or Job runs; each has one container."""

    component: str
    template: Manifest

    @property
    def spec(self) -> Manifest:
        """The pod's."""
        found: Manifest = self.template["spec"]
        return found

    @property
    def container(self) -> Manifest:
        """Its one container."""
        (found,) = self.spec["containers"]
        assert isinstance(found, dict)
        return found

    @property
    def labels(self) -> Mapping[str, str]:
        """What policies, services and budgets find it by."""
        found: dict[str, str] = self.template["metadata"]["labels"]
        return found

    @property
    def plain(self) -> dict[str, str]:
        """Its environment, as far as no Secret is in it."""
        maps = of_kind("ConfigMap")
        found: dict[str, str] = {}
        for source in self.container["envFrom"]:
            found |= maps[source["configMapRef"]["name"]]["data"]
        return found | {one["name"]: one["value"] for one in self.container.get("env", []) if "value" in one}

    @property
    def secret_variables(self) -> dict[str, tuple[str, str]]:
        """The variables that come from a Secret: its name and key."""
        found = {}
        for one in self.container.get("env", []):
            if "valueFrom" in one:
                (reference,) = one["valueFrom"].values()
                found[one["name"]] = reference["name"], reference["key"]
        return found

    @property
    def secret_files(self) -> dict[str, tuple[str, str]]:
        """The files of its folder of secrets: the Secret's name and key of each."""
        found = {}
        for volume in self.spec.get("volumes", []):
            for source in volume["projected"]["sources"]:
                for item in source["secret"]["items"]:
                    found[item["path"]] = source["secret"]["name"], item["key"]
        return found

    @property
    def secrets(self) -> set[tuple[str, str]]:
        """Every key of a Secret that it can read."""
        return {*self.secret_variables.values(), *self.secret_files.values()}


PODS = {
    pod.component: pod
    for one in MANIFESTS
    if one["kind"] in ("Deployment", "Job")
    for template in [one["spec"]["template"]]
    for pod in [Pod(template["metadata"]["labels"]["app.kubernetes.io/component"], template)]
}
WORKERS = {name: PODS[name] for name in ("custodian", "client")}


def selects(selector: Manifest, labels: Mapping[str, str]) -> bool:
    """Whether a selector finds these labels; it knows no operator but In."""
    wanted = [(name, [value]) for name, value in selector.get("matchLabels", {}).items()]
    for one in selector.get("matchExpressions", []):
        assert one["operator"] == "In", one
        wanted.append((one["key"], one["values"]))
    return all(labels.get(name) in values for name, values in wanted)
