"""What a careful company looks for in docker-compose.yml: every rule, and what breaks it in one sentence."""

import re
from typing import Any

from runtime.development import ROOT
from runtime.settings import Settings
from tests.deploy.composing import Compose, secrets_of

SCRATCH = "/tmp:size=64m"  # noqa: S108 (the containers', in memory)

# Who may have which of our secrets; nobody else may have any.
HOLDERS = {
    "eject_codec_keys": {"custodian", "client", "codec", "starter"},
    "eject_codec_token": {"codec"},
    "eject_custodian_api_key": {"custodian"},
    "eject_receipt_key": {"custodian"},
    "eject_client_identity": {"client"},
    "postgres_password": {"postgres", "database"},
    "temporal_database_password": {"database", "schema", "temporal"},
    "grafana_admin_password": {"grafana"},
} | {
    f"{role}_aws_{part}": {role}
    for role in ("custodian", "client", "starter")
    for part in ("access_key_id", "secret_access_key")
}


def complaints(compose: Compose) -> list[str]:
    """All that is wrong with it."""
    services = compose["services"]
    wrong = [f"{name}: {what}" for name, service in services.items() for what in _confined(service)]
    wrong += [f"{name}: {what}" for name, service in services.items() for what in _linked(service, compose)]
    for secret, holders in HOLDERS.items():
        have = {name for name in services if secret in secrets_of(compose, name).values()}
        wrong += [f"{name} has {secret}" for name in have - holders]
        wrong += [f"{name} lacks {secret}" for name in holders - have]
    wrong += [f"{name} is no secret of the file" for name in HOLDERS if name not in compose["secrets"]]
    wrong += [f"nobody is known to need {name}" for name in compose["secrets"] if name not in HOLDERS]
    return wrong + _temporal(services)


def _confined(service: dict[str, Any]) -> list[str]:
    """What lets a container do more than it needs."""
    wrong = []
    image, _, tag = service.get("image", "").rpartition(":")
    if not image or not re.fullmatch(r"v?\d+\.\d+(\.\d+)?(-[a-z]+)?", tag):
        wrong.append("its image has no version")
    if not re.fullmatch(r"[1-9]\d*:\d+", service.get("user", "")):
        wrong.append("it runs as root, or as nobody knows whom")
    if service.get("read_only") is not True or SCRATCH not in service.get("tmpfs", []):
        wrong.append("its file system can be written")
    if service.get("cap_drop") != ["ALL"] or service.get("cap_add") or service.get("privileged"):
        wrong.append("it has capabilities")
    if service.get("security_opt") != ["no-new-privileges:true"]:
        wrong.append("it can gain privileges")
    if not service.get("mem_limit") or not service.get("pids_limit"):
        wrong.append("it may take all memory or all processes")
    if service.get("logging", {}).get("options", {}).keys() != {"max-size", "max-file"}:
        wrong.append("its log fills the disk")
    if not service.get("healthcheck") and not service.get("x-no-healthcheck"):
        wrong.append("nobody asks how it is")
    return wrong


def _linked(service: dict[str, Any], compose: Compose) -> list[str]:
    """What it takes from outside that is not there, and what it shows that should be hidden."""
    wrong = [f"{port} is open to the world" for port in service.get("ports", []) if port[:10] != "127.0.0.1:"]
    if "network_mode" not in service and not service.get("networks"):
        wrong.append("it is in the network of everybody")
    if service.get("ports") and "published" not in service.get("networks", []):
        wrong.append("an internal network publishes nothing")
    for mount in service.get("volumes", []):
        if isinstance(mount, str):
            if mount.partition(":")[0] not in compose["volumes"]:
                wrong.append(f"{mount} is no volume")
        elif not (ROOT / mount["source"]).exists() or mount["bind"] != {"create_host_path": False}:
            wrong.append(f"{mount['source']} is not there, or would be made as an empty folder")
        elif not mount["read_only"]:
            wrong.append(f"{mount['source']} can be written")
    for name, on in service.get("depends_on", {}).items():
        other = compose["services"][name]
        asked = "service_healthy" if other.get("healthcheck") else "service_completed_successfully"
        if on["condition"] != asked:
            wrong.append(f"it does not wait until {name} is ready")
    return wrong + _environment(service["environment"])


def _environment(given: dict[str, str]) -> list[str]:
    """A secret where `docker inspect` shows it, and settings that nobody reads."""
    ours = [name for name in given if name.startswith("EJECT_") and name != "EJECT_SECRETS_DIR"]
    unknown = [name for name in ours if name.removeprefix("EJECT_").lower() not in Settings.model_fields]
    secret = [
        name for name in given if name.endswith(("PASSWORD", "PWD", "TOKEN", "KEY", "IDENTITY", "SECRET"))
    ]
    return [f"{name} is no setting" for name in unknown] + [
        f"{name} is a secret in the environment" for name in secret
    ]


def _temporal(services: dict[str, Any]) -> list[str]:
    """What is known to go wrong with Temporal's images."""
    server, wrong = services["temporal"], []
    given = server["environment"]
    mounted = {mount["target"] for mount in server["volumes"]}
    if given.get("NUM_HISTORY_SHARDS") != "512":
        wrong.append("the image's own number of shards is 4, for ever")
    if given.get("DYNAMIC_CONFIG_FILE_PATH") not in mounted:
        wrong.append("the server does not start without its dynamic configuration")
    if given.get("BIND_ON_IP") != "0.0.0.0":  # noqa: S104
        wrong.append("the server cannot be reached")
    if "POSTGRES_PWD" not in secrets_of({"services": services}, "temporal"):
        wrong.append("the server reads its password from POSTGRES_PWD only")
    for word in ("auto-setup", "start-dev", "AUTO_SETUP", "temporalio/temporal:"):
        if word in str(services):
            wrong.append(f"{word} is for development")
    images = {name: service["image"] for name, service in services.items()}
    for tools in ("schema", "namespace", "cli"):
        if images[tools].rpartition(":")[2] != images["temporal"].rpartition(":")[2]:
            wrong.append(f"{tools} is of another version than the server")
    if images["database"] != images["postgres"] or "-bookworm" not in images["postgres"]:
        wrong.append("PostgreSQL may change its release, or the system that sorts its text")
    if "--host=127.0.0.1" not in services["postgres"]["healthcheck"]["test"]:
        wrong.append("PostgreSQL says that it is ready while it makes the volume")
    connections = next(word for word in services["postgres"]["command"] if "max_connections" in word)
    if int(connections.partition("=")[2]) < 4 * (20 + 10) + 20:
        wrong.append("Temporal's services take more connections than there are")
    return wrong
