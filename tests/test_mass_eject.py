"""Hundreds of ejects at once, two workers, and a Portal that keeps its published budgets."""

import asyncio
import sys
from collections import deque
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from typing import Any

import pytest
from temporalio.client import Client

import starter
from contracts.names import Attribute
from contracts.stages import End, Stage
from runtime.development import process
from sandbox.routes import ROUTES
from serving.budgets import Budget
from tests.harness.portal import Customer
from tests.harness.world import World
from tests.test_worker_process import settings_of

PUBLISHED = {Budget.CUSTODIAN: 200, Budget.CLIENT: 200, Budget.ENCLAVE: 50}
SPENT_BY = {route.call: Budget(route.surface.budget) for route in ROUTES}
MINUTE = timedelta(minutes=1)

# This Portal's minute is five of our seconds. A queue may be a second ahead of its rate: in 60 seconds of
# ours it begins 61 seconds' worth, in this minute 6. So the workers' budgets are 61/6 of what is published.
FAST = 12
BY = 61 / (60 / FAST + 1)
AT_ONCE = 500
TO_THE_END = 20
UNLIMITED = 100
# Only a hang reaches it.
WITHIN = 900


def fullest_minutes(journal: list[dict[str, Any]]) -> dict[Budget, int]:
    """The most calls that any minute of the journal holds, by budget."""
    fullest = dict.fromkeys(Budget, 0)
    minutes: dict[Budget, deque[datetime]] = {budget: deque() for budget in Budget}
    for line in journal:
        budget, at = SPENT_BY[line["call"]], datetime.fromisoformat(line["at"])
        minute = minutes[budget]
        minute.append(at)
        while at - minute[0] >= MINUTE:
            minute.popleft()
        fullest[budget] = max(fullest[budget], len(minute))
    return fullest


async def start(world: World, count: int) -> list[Customer]:
    """Deposit for so many clients, then ask for all of their ejects."""
    customers = [world.sandbox.seed() for _ in range(count)]
    for customer in customers:
        await world.deposit(customer)
        await world.deposit_api_key(customer)
    await asyncio.gather(*(starter.start(world.client, world.request(customer)) for customer in customers))
    return customers


async def all_are(client: Client, stage: Stage, count: int) -> None:
    """Wait until so many ejects are in a stage."""
    query = f"{Attribute.STAGE} = '{stage}' AND ExecutionStatus = 'Running'"
    async with asyncio.timeout(WITHIN):
        while True:
            if (await client.count_workflows(query)).count >= count:
                return
            await asyncio.sleep(0.5)


def budgets(by: float) -> dict[str, str]:
    """The settings of a worker for so many times the published budgets."""
    return {f"EJECT_BUDGET_{budget.upper()}": str(int(calls * by)) for budget, calls in PUBLISHED.items()}


async def serve(stack: AsyncExitStack, world: World, **settings: str) -> None:
    """Two worker processes; what they say goes to files, because nobody reads their pipes here."""
    env = settings_of(world, EJECT_CLIENT_CREDENTIAL="strict", EJECT_LOG_LEVEL="WARNING", **settings)
    command = (sys.executable, "worker.py", "--role", "all")
    for number in range(2):
        log = world.vault_folder.parent / f"worker-{number}.log"
        await stack.enter_async_context(process(*command, env=env, log=log))


@pytest.mark.mass
async def test_no_minute_holds_more_calls_than_portals_budgets(workerless: World) -> None:
    """500 ejects are started at once; Portal, which refuses what is more, refuses nothing."""
    world = workerless
    world.sandbox.budget(**{budget.value: calls for budget, calls in PUBLISHED.items()})
    world.sandbox.run_clock(FAST)
    async with AsyncExitStack() as stack:
        await serve(stack, world, **budgets(BY))
        customers = await start(world, AT_ONCE)
        await all_are(world.client, Stage.AWAITING_CLAIM, AT_ONCE)
        for customer in customers[:TO_THE_END]:
            await world.prove(customer, world.proofs(await world.claim(customer)))
        for customer in customers[:TO_THE_END]:
            receipt = await starter.handle_of(world.client, customer.client_id).result()
            assert receipt.end is End.EJECTED
    journal = world.sandbox.journal()
    assert [line for line in journal if line["status"] == 429] == []
    fullest = fullest_minutes(journal)
    assert all(fullest[budget] <= calls for budget, calls in PUBLISHED.items()), fullest
    assert fullest[Budget.CLIENT] > PUBLISHED[Budget.CLIENT] / 2, "the machine is too busy to show anything"


@pytest.mark.mass
async def test_without_rates_the_same_budgets_are_overrun(workerless: World) -> None:
    """The control: far fewer ejects are enough, and by our own clock."""
    world = workerless
    async with AsyncExitStack() as stack:
        await serve(stack, world)
        await start(world, UNLIMITED)
        await all_are(world.client, Stage.AWAITING_CLAIM, UNLIMITED)
    fullest = fullest_minutes(world.sandbox.journal())
    assert all(fullest[budget] > calls for budget, calls in PUBLISHED.items()), fullest
