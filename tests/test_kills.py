"""Any process may die at any moment: the eject goes on from where it was, and nothing happens twice."""

import sys
from contextlib import AsyncExitStack

import pytest

import starter
from contracts.stages import End, Stage
from runtime.development import line_of, process
from tests.harness.processes import environment
from tests.harness.world import World

ODD_WORKER = ("-m", "tests.harness.odd_worker")


@pytest.mark.parametrize(
    ("point", "stage", "effect"),
    [
        ("after_the_enclave_answered", Stage.BACKING_UP, "pair_made"),
        ("after_the_vault_was_written", Stage.FETCHING_SHARES, "shares_released"),
        ("after_portals_204", Stage.COMPLETING, "completed"),
    ],
)
async def test_a_worker_killed_at_the_worst_moment(
    workerless: World, point: str, stage: Stage, effect: str
) -> None:
    """SIGKILL right after the effect and before anybody was told; another worker ends it right."""
    world, customer = workerless, workerless.sandbox.seed()
    env = environment(**world.environment())
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(process(sys.executable, *ODD_WORKER, point, env=env))
        handle = await world.start(customer)
        if stage is Stage.COMPLETING:
            await world.reach(handle, Stage.AWAITING_CLAIM)
            await world.prove(customer, world.proofs(await world.claim(customer)))
        assert await line_of(first) == "here"
        assert world.sandbox.journal(client_id=customer.client_id, effect=effect) != []
        first.kill()
        await first.wait()
        await stack.enter_async_context(process(sys.executable, "worker.py", "--role", "all", env=env))
        if stage is not Stage.COMPLETING:
            await world.reach(handle, Stage.AWAITING_CLAIM)
            await world.prove(customer, world.proofs(await world.claim(customer)))
        receipt = await world.end(handle)
    assert receipt.end is End.EJECTED
    assert world.completions(customer) == 1
    assert world.audit() == []
    assert world.left_in_vault() == [f"receipts/{customer.client_id}/{receipt.eject_id}.json"]
    kept = {file.pair for file in receipt.files}
    confirmed = world.sandbox.client(customer.client_id)["wallets"]
    completed = {
        pair["id"]
        for wallet in confirmed
        for pair in wallet["backupSharePairs"]
        if pair["status"] == "completed"
    }
    assert completed == kept, "only the pairs that were kept are confirmed and used"
    assert starter.handle_of(world.client, customer.client_id).id == handle.id
