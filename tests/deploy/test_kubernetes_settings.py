"""What the pods are given: each role its own secrets, and settings with which our own programs serve."""

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from contracts.names import TaskQueue
from custody.keys import make_key
from device.identity import Identity
from runtime.development import ROOT
from runtime.fitting import fit
from runtime.settings import Settings, SettingsError, WorkerRole, load_settings
from serving.budgets import rates_of
from serving.steps import activities_of, hosts_of
from tests.deploy.manifests import FOLDER, PODS, SECRETS, WORKERS, Pod, of_kind, read
from tests.harness.codecs import TOKEN, as_setting, new_key

pytestmark = pytest.mark.deploy

SECRET_FIELDS = {f"eject_{name}" for name, field in Settings.model_fields.items() if "Secret" in str(field)}
each_pod = pytest.mark.parametrize("pod", PODS.values(), ids=PODS)
each_worker = pytest.mark.parametrize("role", WORKERS)


def test_each_pod_is_somebody_of_its_own() -> None:
    """A service account each, so that the bucket's policies can tell the roles apart."""
    accounts = [pod.spec["serviceAccountName"] for pod in PODS.values()]
    assert sorted(accounts) == sorted(of_kind("ServiceAccount"))
    assert len(set(accounts)) == len(accounts)
    assert not any(one["automountServiceAccountToken"] for one in of_kind("ServiceAccount").values())


def test_no_two_pods_share_a_secret_but_the_codecs() -> None:
    """A role can read what is its own and the keys of the codec, and of the codec only who needs them."""
    shared = {
        key
        for name, pod in PODS.items()
        for other, another in PODS.items()
        if name != other
        for key in pod.secrets & another.secrets
    }
    assert shared == {("eject-codec", "eject_codec_keys")}
    keys = {name: {key for _, key in pod.secrets} for name, pod in PODS.items()}
    assert not keys["client"] & {"eject_custodian_api_key", "eject_receipt_key", "eject_notify_secret"}
    assert not keys["custodian"] & {"eject_client_identity"}
    assert keys["register"] == {"temporal_api_key"}
    for pod in PODS.values():
        own = {f"eject-{pod.component}", "eject-codec"}
        assert {secret for secret, _ in pod.secrets} <= own


def test_every_secret_is_asked_for_by_name_and_key() -> None:
    """The example names each once, and no value stands anywhere."""
    asked = {key for pod in PODS.values() for key in pod.secrets}
    assert {(name, key) for name, data in SECRETS.items() for key in data} == asked
    assert {value for data in SECRETS.values() for value in data.values()} == {""}
    assert not of_kind("Secret")


def test_the_page_makes_the_secrets_that_are_asked_for() -> None:
    """Its commands make each key that no other word of the page leaves to choice."""
    page = (ROOT / "docs/kubernetes.md").read_text()
    made = {
        (name, key)
        for name, keys in re.findall(r"create secret generic (\S+)((?: --from-file=\S+)+)", page)
        for key in keys.replace("--from-file=", "").split()
    }
    assert made == {key for pod in PODS.values() for key in pod.secret_files.values()}
    chosen = {key for pod in PODS.values() for _, key in pod.secret_variables.values()}
    assert all(f"`{key}`" in page for key in chosen)


@each_pod
def test_settings_are_named_as_the_programs_read_them(pod: Pod) -> None:
    """A misspelt one would be ignored; one that is secret comes from a Secret, as a file."""
    known = {f"eject_{name}" for name in Settings.model_fields}
    plain = {name.lower() for name in pod.plain if name.startswith("EJECT_")} - {"eject_secrets_dir"}
    assert plain <= known - SECRET_FIELDS
    assert set(pod.secret_files) <= SECRET_FIELDS
    others = {name for name in pod.plain if not name.startswith("EJECT_")} | set(pod.secret_variables)
    assert others <= {"TEMPORAL_ADDRESS", "TEMPORAL_NAMESPACE", "AWS_REGION", "TEMPORAL_API_KEY"} | {
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
    }
    if pod.secret_files:
        assert pod.plain["EJECT_SECRETS_DIR"] == pod.container["volumeMounts"][0]["mountPath"]


@pytest.fixture
def values(tmp_path: Path) -> dict[str, str]:
    """A right value of every secret setting."""
    signing = tmp_path / "receipts.pem"
    make_key(signing)
    identity = tmp_path / "identity"
    Identity.generate().save(identity)
    return {
        "eject_custodian_api_key": "made for this test",
        "eject_receipt_key": signing.read_text(),
        "eject_client_identity": identity.read_text(),
        "eject_codec_keys": as_setting({"a": new_key()}),
        "eject_codec_token": TOKEN,
    }


def settings_in(
    pod: Pod, values: Mapping[str, str], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> Settings:
    """What a program in the pod reads: its variables and its files."""
    folder.mkdir()
    for name, (_, key) in pod.secret_files.items():
        (folder / name).write_text(values[key])
    for name, value in (pod.plain | {"EJECT_SECRETS_DIR": str(folder)}).items():
        monkeypatch.setenv(name, value)
    return load_settings()


@each_worker
async def test_a_role_serves_with_what_its_pod_has(
    role: str, values: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In production, as far as it goes without a Temporal; with the other role's files it would not."""
    pod = WORKERS[role]
    assert pod.container["args"] == ["worker.py", "--role", role]
    settings = settings_in(pod, values, tmp_path / "secrets", monkeypatch)
    assert settings.production
    async with hosts_of(settings) as hosts:
        assert activities_of(WorkerRole(role), settings, hosts)
    (other,) = set(WORKERS) - {role}
    with pytest.raises(SettingsError):
        fit(WorkerRole(other), settings)


def test_the_codec_server_has_what_it_asks_for(
    values: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keys, token, the origins of a UI; and nothing of Temporal, which it never asks."""
    pod = PODS["codec-server"]
    settings = settings_in(pod, values, tmp_path / "secrets", monkeypatch)
    settings.require("codec_keys", "codec_token")
    assert settings.codec_origins
    assert not any(name.startswith("TEMPORAL_") for name in pod.plain)


def test_register_needs_only_temporal(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It writes nothing that is encrypted, and gets no key."""
    pod = PODS["register"]
    assert pod.container["args"] == ["starter.py", "register"]
    assert not settings_in(pod, {}, tmp_path / "secrets", monkeypatch).production


async def test_the_example_of_scaling_names_our_queues(
    values: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A role grows with what waits for workers, not with what waits for Portal's budgets."""
    (one,) = read(FOLDER / "examples/keda.yaml")
    target = of_kind("Deployment")[one["spec"]["scaleTargetRef"]["name"]]
    assert one["spec"]["minReplicaCount"] == target["spec"]["replicas"]
    role = WorkerRole(target["metadata"]["labels"]["app.kubernetes.io/component"])
    with monkeypatch.context() as patched:
        settings = settings_in(WORKERS[role], values, tmp_path / role, patched)
    async with hosts_of(settings) as hosts:
        served = activities_of(role, settings, hosts)
    unlimited = {queue for queue, steps in served.items() if steps} - rates_of(role, settings).keys()
    (trigger,) = one["spec"]["triggers"]
    metadata, own = trigger["metadata"], WORKERS[role].plain
    assert {metadata["taskQueue"]} == unlimited == {TaskQueue.EJECT}
    assert metadata["queueTypes"] == "workflow,activity"
    where = metadata["endpoint"], metadata["namespace"]
    assert where == (own["TEMPORAL_ADDRESS"], own["TEMPORAL_NAMESPACE"])
