"""No share, cipher text, token or key outside sealed files; and the search finds one that is put there."""

import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from contracts.names import released_prefix
from contracts.stages import End, Stage
from runtime.development import process
from tests.harness.odd_worker import ODDITIES
from tests.harness.processes import environment
from tests.harness.secrets import decoded, leaks, outside_sealed, secrets_of
from tests.harness.world import World

LEAKS = {
    "leaks_into_the_log": "the worker's log",
    "leaks_into_a_failure": "the history",
    "leaks_into_the_vault": "the vault",
}


async def found_in_a_whole_eject(world: World, folder: Path, *worker: str) -> list[str]:
    """Eject a client with trouble on the way, its worker logging at debug level; what leaked where."""
    customer = world.sandbox.seed()
    log = folder / "worker.log"
    for call in ("back_up", "fetch_shares", "confirm_backup", "complete_client"):
        body = {"error": "no", "echo": world.sandbox.custodian_key.get_secret_value()}
        world.sandbox.fault(call, "status", status=500, body=body)
    env = environment(**world.environment(), EJECT_LOG_LEVEL="DEBUG")
    vault_before: list[str] = []
    async with process(sys.executable, *worker, env=env, log=log):
        handle = await world.start(customer)
        await world.reach(handle, Stage.AWAITING_CLAIM)
        vault_before += outside_sealed(world.vault_folder)
        answer = await world.claim(customer)
        files = folder / "files"
        shutil.copytree(world.vault_folder / released_prefix(answer.eject_id), files)
        vault_before += outside_sealed(world.vault_folder)
        await world.prove(customer, world.proofs(answer))
        receipt = await world.end(handle)
    assert receipt.end is End.EJECTED
    texts = {path: path.read_text() for path in [log]}
    assert "worker.serving" in texts[log], "the log was written"
    channels: dict[str, Iterable[str]] = {
        "the history": list(decoded(await world.history(handle))),
        "the worker's log": texts.values(),
        "the vault": [*vault_before, *outside_sealed(world.vault_folder)],
    }
    secrets = secrets_of(world, customer, sorted(files.rglob("*.json")))
    assert len(secrets) > 20, "there is something to search for"
    return leaks(channels, secrets)


async def test_a_whole_eject_leaks_nothing(workerless: World, tmp_path: Path) -> None:
    """History (JSON and every payload), debug log, vault outside sealed files: no secret in any form."""
    assert await found_in_a_whole_eject(workerless, tmp_path, "worker.py", "--role", "all") == []


@pytest.mark.parametrize(("oddity", "channel"), LEAKS.items())
async def test_a_leak_is_found(workerless: World, tmp_path: Path, oddity: str, channel: str) -> None:
    """The search can fail: a share that is put into a channel is found in that channel."""
    assert oddity in ODDITIES
    found = await found_in_a_whole_eject(workerless, tmp_path, "-m", "tests.harness.odd_worker", oddity)
    assert any("share" in leak and leak.endswith(f"in {channel}") for leak in found), found
