"""Our own services of docker-compose.yml run as the file has them, in production and in the sandbox."""

import shlex
from contextlib import AsyncExitStack
from pathlib import Path
from secrets import token_hex

import pytest

from custody import keys
from device.identity import keygen
from tests.deploy.composing import FOLDER, read, secrets_of, variables
from tests.deploy.machine import Machine
from tests.harness.codecs import as_setting, new_key

pytestmark = pytest.mark.deploy

PRODUCTION = read(variables(FOLDER / "example.env"))
SANDBOX = read(variables(FOLDER / "sandbox.env"))


def made_now(folder: Path) -> dict[str, str]:
    """Every secret that the file names."""
    keygen(folder / "identity")
    keys.make_key(folder / "receipts.pem")
    return {name: token_hex(16) for name in PRODUCTION["secrets"]} | {
        "eject_codec_keys": as_setting({"2030-01": new_key()}),
        "eject_client_identity": (folder / "identity").read_text(),
        "eject_receipt_key": (folder / "receipts.pem").read_text(),
    }


async def test_production_serves_with_the_settings_of_the_file(tmp_path: Path) -> None:
    """The namespace is made, then both roles and the codec server are healthy; no secret is logged."""
    secrets = made_now(tmp_path)
    async with AsyncExitStack() as stack:
        machine = Machine(PRODUCTION, tmp_path, stack, secrets)
        for name in ("custodian", "client", "codec"):
            assert PRODUCTION["services"][name]["environment"]["EJECT_PRODUCTION"] == "true"
            await machine.start(name)
        assert machine.started == ["namespace", "register", "custodian", "client", "codec"]
        logs = machine.logs()
        for role, other in (("custodian", "eject_client_identity"), ("client", "eject_custodian_api_key")):
            # Of the other role's secrets, one is enough to be refused.
            env = machine.environment(role)
            (Path(env["EJECT_SECRETS_DIR"]) / other).write_text(secrets[other])
            code, told = await machine.ended(*machine.command(role), env=env)
            assert code == 2
            assert other.upper() in told
            logs += told
    assert logs.count("worker.serving") == 2
    assert _told(secrets, logs) == []


def test_from_files_hands_on_what_the_vault_needs() -> None:
    """What reads no secret from a file has it in capitals: the store's credentials of each role."""
    for name in ("custodian", "client", "starter"):
        capitals = {t: s for t, s in secrets_of(PRODUCTION, name).items() if t.isupper()}
        assert capitals == {
            "AWS_ACCESS_KEY_ID": f"{name}_aws_access_key_id",
            "AWS_SECRET_ACCESS_KEY": f"{name}_aws_secret_access_key",
        }
        assert PRODUCTION["services"][name]["entrypoint"][:2] == ["sh", "/scripts/from-files.sh"]


async def test_the_profile_plays_an_eject_to_its_end(tmp_path: Path) -> None:
    """`up demo`: keys, sandbox, namespace, both roles, the owner, the receipt."""
    async with AsyncExitStack() as stack:
        machine = Machine(SANDBOX, tmp_path, stack, {})
        await machine.start("demo")
    assert set(machine.started) - {"demo"} == {
        name for name in machine.services if name.startswith("sandbox")
    }
    told = machine.said["demo"]
    assert '"end": "ejected"' in told
    assert "Verified: its signature, its proofs, the chain (head 1:" in told
    made = {path.name: path.read_text() for path in (machine.volume / "keys").glob("eject_*")}
    made.pop("eject_client_recipient")
    assert len(made) == 3
    assert _told(made, machine.logs()) == []


def _told(secrets: dict[str, str], text: str) -> list[str]:
    """The names of secrets of which a line stands in a text."""
    lines = [
        (name, line)
        for name, secret in secrets.items()
        for line in secret.splitlines()
        if line and "-----" not in line and not line.startswith("#")
    ]
    return [name for name, line in lines if line in text]


def test_the_sandbox_shares_its_network_with_who_calls_it() -> None:
    """It serves loopback only: the workers and the demo are in its network, and nobody else is."""
    services = SANDBOX["services"]
    callers = {name for name, one in services.items() if one.get("network_mode") == "service:sandbox"}
    assert callers == {"sandbox-custodian", "sandbox-client", "demo"}
    assert not any("networks" in services[name] or "ports" in services[name] for name in callers)
    ours = {name for name in services if name == "demo" or name.startswith("sandbox")}
    assert {name for name in services if services[name].get("profiles") == ["sandbox"]} == ours
    assert shlex.split(services["sandbox"]["command"][0])[-2:] == ["--port", "8900"]
