"""The two workers of docker-compose.yml start with what production demands, and nothing of each other."""

from pathlib import Path
from secrets import token_hex

import pytest

from custody import keys
from device.identity import keygen
from runtime.development import ROOT
from tests.deploy.composing import FOLDER, TOOLS, call, read, secrets_of, variables
from tests.harness.codecs import as_setting, new_key
from tests.harness.processes import environment

pytestmark = pytest.mark.deploy

COMPOSE = read(variables(FOLDER / "example.env"))

# What a container's program does first, with the container's own settings and secrets.
FITS = """
import os, sys
from custody.vault import Vault
from runtime.settings import WorkerRole, load_settings
settings = load_settings()
assert settings.production
settings.fit(WorkerRole(sys.argv[1]))
settings.codec()
Vault(settings.vault_url)
print(os.environ["AWS_SECRET_ACCESS_KEY"])
"""


def secret_files(folder: Path, service_name: str) -> None:
    """The secrets of a service as they are mounted, each made now."""
    keygen(folder.parent / "identity")
    keys.make_key(folder.parent / "receipts.pem")
    values = {
        "eject_codec_keys": as_setting({"2030-01": new_key()}),
        "eject_client_identity": (folder.parent / "identity").read_text(),
        "eject_receipt_key": (folder.parent / "receipts.pem").read_text(),
    }
    for target, source in secrets_of(COMPOSE, service_name).items():
        (folder / target).write_text(values.get(source, token_hex(16)) + "\n")


@pytest.mark.parametrize("role", ["custodian", "client"])
def test_production_takes_each_role_as_the_file_has_it(tmp_path: Path, role: str) -> None:
    """The role's settings and secrets, through the file's own entrypoint, pass what production demands."""
    folder = tmp_path / "secrets"
    folder.mkdir()
    secret_files(folder, role)
    defined = COMPOSE["services"][role]
    assert defined["command"] == ["worker.py", "--role", role]
    sh, script, program = defined["entrypoint"]
    mounted = {mount["target"]: ROOT / mount["source"] for mount in defined["volumes"]}
    env = environment(
        **defined["environment"] | {"EJECT_SECRETS_DIR": str(folder), "SECRETS_FOLDER": str(folder)}
    )
    env["PATH"] = f"{TOOLS}:{env['PATH']}"
    command = [sh, str(mounted[script]), program, "-c", FITS, role]
    code, out, err = call(*command, env=env)
    assert (code, err) == (0, "")
    assert out.strip() == (folder / "AWS_SECRET_ACCESS_KEY").read_text().strip()
    # Of the other role's, one is enough to be refused.
    theirs = "eject_client_identity" if role == "custodian" else "eject_custodian_api_key"
    (folder / theirs).write_text((tmp_path / "identity").read_text())
    code, _, err = call(*command, env=env)
    assert theirs.upper() in err
    assert code == 1
