"""A Node program with the official SDK, and none of our code, starts an eject and reads its receipt."""

import asyncio
import json
import shutil
from asyncio.subprocess import PIPE, Process
from pathlib import Path

import pytest
import pytest_asyncio

import starter
from contracts.receipt import Receipt
from contracts.request import EjectRequest
from contracts.stages import End, Stage
from runtime.development import ROOT, line_of, process
from tests.harness.processes import environment
from tests.harness.world import PATIENCE, World

PROGRAM = ROOT / "tests/node"
INSTALLS_WITHIN = 180

pytestmark = [
    pytest.mark.node,
    pytest.mark.skipif(
        shutil.which("node") is None or shutil.which("npm") is None, reason="node or npm is not installed"
    ),
]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the program with what its lock file names by hash; nothing that is fetched runs a script."""
    copy = tmp_path_factory.mktemp("node")
    for path in PROGRAM.glob("*.*"):
        shutil.copy(path, copy)
    npm = await asyncio.create_subprocess_exec(
        "npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts", cwd=copy, stdout=PIPE, stderr=PIPE
    )
    try:
        _, error = await asyncio.wait_for(npm.communicate(), INSTALLS_WITHIN)
    finally:
        if npm.returncode is None:
            npm.kill()
    assert npm.returncode == 0, error.decode()
    return copy / "start.mjs"


def environment_of(world: World) -> dict[str, str]:
    """What the program is told: where Temporal is, and nothing of ours."""
    settings = world.environment()
    return environment(**{name: settings[name] for name in ("TEMPORAL_ADDRESS", "TEMPORAL_NAMESPACE")})


async def ran(world: World, program: Path, request: EjectRequest, **changes: str) -> tuple[int | None, str]:
    """Run the program to its end: its exit code and what it says on standard error."""
    given = json.dumps(request.model_dump(mode="json") | changes)
    running: Process = await asyncio.create_subprocess_exec(
        "node", str(program), given, env=environment_of(world), stdout=PIPE, stderr=PIPE
    )
    _, error = await asyncio.wait_for(running.communicate(), PATIENCE)
    return running.returncode, error.decode().strip()


async def test_a_node_program_starts_an_eject_and_reads_its_receipt(world: World, program: Path) -> None:
    """Plain JSON goes in and comes out; what runs already is not started again."""
    customer = world.sandbox.seed()
    await world.deposit(customer)
    request = world.request(customer)
    async with process("node", str(program), request.model_dump_json(), env=environment_of(world)) as running:
        assert json.loads(await line_of(running)) == {"started": f"eject-{customer.client_id}"}
        handle = starter.handle_of(world.client, customer.client_id)
        await world.reach(handle, Stage.AWAITING_CLAIM)
        code, told = await ran(world, program, request)
        assert (code, told) == (1, "Workflow execution already started")
        await world.prove(customer, world.proofs(await world.claim(customer)))
        receipt = await world.end(handle)
        told = json.loads(await line_of(running))["receipt"]
        assert Receipt.model_validate(told) == receipt
        assert receipt.end is End.EJECTED
        assert await asyncio.wait_for(running.wait(), PATIENCE) == 0


async def test_a_node_program_is_told_what_is_wrong(world: World, program: Path) -> None:
    """A malformed request fails at once, with the field and without its value."""
    code, told = await ran(world, program, world.request(world.sandbox.seed()), window="PT1M")
    assert code == 1
    assert "window" in told
    assert "10 minutes (PT10M)" in told
    assert "PT1M" not in told
