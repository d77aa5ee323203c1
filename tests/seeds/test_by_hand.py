"""A program of documented calls only ejects clients of the sandbox, at Portal and through Tatum's gateway."""

import ast
import json
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.seeds.service import Service

PROGRAM = Path(__file__).with_name("by_hand.py")
WALK = [
    "create_client",
    "mint_session",
    "generate",
    "back_up",
    *["store_cipher_text", "read_cipher_text"] * 2,
]
WALK += ["confirm_backup", "read_client", *["enable_eject"] * 2]
CUSTODIANS = {"create_client", "mint_session", "read_client", "enable_eject", "fetch_shares"}


def test_the_program_knows_nothing_of_ours() -> None:
    """It imports httpx and the standard library."""
    tops = set()
    for node in ast.walk(ast.parse(PROGRAM.read_text())):
        if isinstance(node, ast.Import):
            tops |= {alias.name.partition(".")[0] for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            tops.add((node.module or "").partition(".")[0])
    assert tops - set(sys.stdlib_module_names) == {"httpx"}


@pytest.mark.parametrize(("provider", "one_by_one"), [("portal", True), ("tatum", False)])
def test_whole_lifecycle(service: Service, tmp_path: Path, provider: str, one_by_one: bool) -> None:
    """Both clients end ejected, with the calls expected and no other, and the right surface for each."""
    service.sandbox.switch(complete_one_by_one=one_by_one, wrap_client_fetch=one_by_one)
    environment = {"PORTAL_API": f"{service.sandbox.url}/api/v3", "ENCLAVE": service.sandbox.url}
    if provider == "tatum":
        key = service.sandbox.gateway_key.get_secret_value()
        environment |= {"GATEWAY": service.sandbox.url, "TATUM_KEY": key}
    else:
        environment["CUSTODIAN_KEY"] = service.custodian_key
    # In a folder of its own and isolated (-I), so that nothing of ours could be imported.
    ran = subprocess.run(
        [sys.executable, "-I", str(PROGRAM), provider],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    seen = json.loads(ran.stdout)
    ends = {
        "custodian": [*["fetch_shares"] * 2, "read_client_as_itself", "complete_client"],
        "client": [*["fetch_shares_as_client"] * 2, "read_client_as_itself", *["complete_wallet"] * 2],
    }
    for who, walked in seen.items():
        assert walked["fetched"] == walked["pairs"]
        assert walked["before"] is None
        assert walked["ejectedAt"] == service.read(walked["id"])["ejectedAt"] is not None
        ahead = datetime.fromisoformat(walked["until"]["ED25519"]) - service.sandbox.now()
        assert timedelta(days=6) < ahead <= timedelta(days=7)
        lines = service.sandbox.journal(client_id=walked["id"])[:-1]  # the last is this test's own read
        assert [line["call"] for line in lines] == [*WALK, *ends[who], "read_client_as_itself"]
        via = "gateway" if provider == "tatum" else "portal"
        assert {line["via"] for line in lines if line["call"] in CUSTODIANS} == {via}
        assert {line["via"] for line in lines if line["call"] not in CUSTODIANS} == {"portal"}
        assert len(service.sandbox.journal(client_id=walked["id"], effect="completed")) == 1
