"""docker-compose.yml: every guard is there, and each that is taken away is missed; validators read it too."""

import copy
import os
import re
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from serving.budgets import PER_EJECT
from tests.deploy.composing import (
    FILE,
    FOLDER,
    TOOLS,
    Compose,
    UnsetError,
    call,
    named,
    plugin,
    read,
    variables,
)
from tests.deploy.guards import complaints

pytestmark = pytest.mark.deploy

EXAMPLE = variables(FOLDER / "example.env")
COMPOSE = read(EXAMPLE)
PUBLISHED = {"ui", "codec", "grafana"}


def test_the_file_has_every_guard() -> None:
    """Confined containers, pinned images, secrets as files of their holders, an order, nothing open."""
    assert complaints(COMPOSE) == []
    assert {name for name, service in COMPOSE["services"].items() if service.get("ports")} == PUBLISHED


def test_networks_lead_nowhere_but_two() -> None:
    """Only what people open is published, only what calls Portal and the vault gets out."""
    networks = COMPOSE["networks"]
    assert {name for name, network in networks.items() if not (network or {}).get("internal")} == {
        "published",
        "outside",
    }
    members = {
        network: {name for name, s in COMPOSE["services"].items() if network in s.get("networks", [])}
        for network in networks
    }
    assert members["published"] == PUBLISHED
    assert members["outside"] == {"custodian", "client", "starter"}
    assert members["database"] == {"postgres", "database", "schema", "temporal"}
    # Temporal listens on all of its networks, and asks nobody who they are.
    assert members["metrics"] == {"temporal", "custodian", "client", "prometheus"}
    assert members["figures"] == {"prometheus", "grafana"}
    assert "codec" not in members["temporal"], "it reads nothing of Temporal"


def service(name: str, **changes: Any) -> Callable[[Compose], None]:
    """A change of one service."""
    return lambda compose: compose["services"][name].update(changes)


def taken(name: str, *keys_of: str) -> Callable[[Compose], None]:
    """A service without something."""

    def change(compose: Compose) -> None:
        place = compose["services"][name]
        for key in keys_of[:-1]:
            place = place[key]
        del place[keys_of[-1]]

    return change


def set_in(name: str, variable: str, value: str) -> Callable[[Compose], None]:
    """A service with another environment."""
    return lambda compose: compose["services"][name]["environment"].update({variable: value})


BREAKS: list[tuple[str, Callable[[Compose], None]]] = [
    ("ui: its image has no version", service("ui", image="temporalio/ui:latest")),
    ("ui: its image has no version", service("ui", image="temporalio/ui")),
    ("custodian: it runs as root", taken("custodian", "user")),
    ("postgres: it runs as root", service("postgres", user="0:0")),
    ("grafana: its file system can be written", taken("grafana", "read_only")),
    ("temporal: its file system can be written", taken("temporal", "tmpfs")),
    ("client: it has capabilities", taken("client", "cap_drop")),
    ("client: it has capabilities", service("client", cap_add=["SYS_PTRACE"])),
    ("codec: it can gain privileges", taken("codec", "security_opt")),
    ("prometheus: it may take all memory", taken("prometheus", "mem_limit")),
    ("schema: its log fills the disk", taken("schema", "logging")),
    ("custodian: nobody asks how it is", taken("custodian", "healthcheck")),
    ("schema: nobody asks how it is", taken("schema", "x-no-healthcheck")),
    ("ui: 8080:8080 is open to the world", service("ui", ports=["8080:8080"])),
    ("temporal: an internal network publishes nothing", service("temporal", ports=["127.0.0.1:7233:7233"])),
    ("schema: it is in the network of everybody", taken("schema", "networks")),
    ("postgres: data:/var is no volume", service("postgres", volumes=["data:/var"])),
    (
        "is not there, or would be made as an empty folder",
        lambda c: c["services"]["schema"]["volumes"][0].update(source="./deploy/compose/gone.sh"),
    ),
    ("can be written", lambda c: c["services"]["schema"]["volumes"][0].update(read_only=False)),
    (
        "custodian: it does not wait until register is ready",
        service("custodian", depends_on={"register": {"condition": "service_started"}}),
    ),
    ("temporal: POSTGRES_PWD is a secret in the environment", set_in("temporal", "POSTGRES_PWD", "hunter2")),
    ("client: EJECT_VAULTURL is no setting", set_in("client", "EJECT_VAULTURL", "s3://bucket")),
    ("client has eject_custodian_api_key", service("client", secrets=["eject_custodian_api_key"])),
    ("custodian has eject_client_identity", service("custodian", secrets=["eject_client_identity"])),
    ("custodian lacks eject_receipt_key", taken("custodian", "secrets")),
    (
        "codec has custodian_aws_secret_access_key",
        service("codec", secrets=["custodian_aws_secret_access_key"]),
    ),
    ("nobody is known to need another", lambda c: c["secrets"].update(another={"file": "./x"})),
    ("the image's own number of shards", taken("temporal", "environment", "NUM_HISTORY_SHARDS")),
    ("dynamic configuration", taken("temporal", "environment", "DYNAMIC_CONFIG_FILE_PATH")),
    ("the server cannot be reached", taken("temporal", "environment", "BIND_ON_IP")),
    ("POSTGRES_PWD only", service("temporal", secrets=["temporal_database_password"])),
    ("start-dev is for development", service("temporal", command=["server", "start-dev"])),
    ("schema is of another version", service("schema", image="temporalio/admin-tools:1.31.2")),
    ("PostgreSQL may change", service("postgres", image="postgres:16.15")),
    ("while it makes the volume", service("postgres", healthcheck={"test": ["CMD", "pg_isready"]})),
    ("more connections", service("postgres", command=["postgres", "-c", "max_connections=100"])),
]


@pytest.mark.parametrize(("told", "breaking"), BREAKS, ids=[f"{n}-{b[0][:40]}" for n, b in enumerate(BREAKS)])
def test_a_guard_that_is_taken_away_is_missed(told: str, breaking: Callable[[Compose], None]) -> None:
    """Each rule can fail: the file with this one break is complained of."""
    broken = copy.deepcopy(COMPOSE)
    breaking(broken)
    assert any(told in complaint for complaint in complaints(broken)), complaints(broken)


def test_the_vault_must_be_named() -> None:
    """Nothing starts with a vault that nobody chose."""
    with pytest.raises(UnsetError, match="EJECT_VAULT_URL"):
        read({})


def test_the_example_names_everything_that_can_be_set() -> None:
    """Every variable of the file is in example.env, set or as a comment, and nothing else is."""
    told = set(re.findall(r"(?m)^(?:# )?([A-Z_]+)=", (FOLDER / "example.env").read_text()))
    assert told == named() | {"COMPOSE_PROJECT_NAME"}, "or it is Compose's own"
    assert set(variables(FOLDER / "sandbox.env")) <= told


def _run(*command: str) -> None:
    env = dict(os.environ) | EXAMPLE
    code, out, err = call(*command, env=env)
    assert code == 0, out + err


def test_compose_itself_accepts_the_file() -> None:
    """`docker compose config` reads it with each profile, and refuses it where no vault is named."""
    command = plugin()
    if command is None:
        pytest.skip("Compose v2 is not installed: .ci/compose fetches it")
    _run(*command, "--env-file", str(FOLDER / "example.env"), "--profile", "*", "config", "--quiet")
    _run(*command, "--env-file", str(FOLDER / "sandbox.env"), "--profile", "sandbox", "config", "--quiet")
    cloud = ["-f", str(FILE), "-f", str(FOLDER / "cloud.yml"), "--env-file", str(FOLDER / "example.env")]
    _run(*command, *cloud, "config", "--quiet")
    bare = {k: v for k, v in os.environ.items() if not k.startswith("EJECT_")}
    code, _, err = call(*command, "config", "--quiet", env=bare)
    assert "EJECT_VAULT_URL" in err
    assert code != 0


def test_the_file_is_of_the_compose_specification() -> None:
    """The specification's schema, offline."""
    _run(str(TOOLS / "check-jsonschema"), "--builtin-schema", "vendor.compose-spec", str(FILE))


def test_yaml_and_shell_are_clean() -> None:
    """yamllint and shellcheck have nothing to say."""
    _run(
        str(TOOLS / "yamllint"),
        "--strict",
        "-c",
        "tests/deploy/yamllint.yml",
        "docker-compose.yml",
        "deploy/compose",
        "deploy/observability/prometheus.yml",
    )
    _run(str(TOOLS / "shellcheck"), *map(str, sorted(FOLDER.glob("*.sh"))), ".ci/compose", ".ci/run")


def test_each_queue_with_a_rate_has_one_partition() -> None:
    """Temporal's dynamic configuration names them all, for reads and for writes."""
    given = yaml.safe_load((FOLDER / "dynamic-config.yaml").read_text())
    for kind in ("Read", "Write"):
        values = given[f"matching.numTaskqueue{kind}Partitions"]
        assert {one["constraints"]["taskQueueName"] for one in values if one["value"] == 1} == set(PER_EJECT)
