"""A mass exit to be recorded: several runs, a client whose eject runs already, another one, every command."""

import asyncio
from datetime import timedelta
from pathlib import Path

from temporalio.client import Client, WorkflowHistory

import starter
from contracts.commands import Command
from contracts.names import mass_exit_id
from ejects.mass_exit import (
    cancel_mass_exit,
    mass_handle_of,
    mass_status,
    pause_mass_exit,
    resume_mass_exit,
    start_mass_exit,
)
from tests.harness.portal import running_sandbox
from tests.harness.world import PATIENCE, World, make_world, serving

NAME = "recorded"
FOLDER = "mass-exit"
_OPS = Command(by="ops", why="to be recorded")


async def leaving(client: Client, folder: Path) -> dict[str, WorkflowHistory]:
    """The histories of its runs, by the names of their files."""
    with running_sandbox(folder / "portal.sqlite") as sandbox:
        world = make_world(client, sandbox, folder)
        async with serving(world):
            return await _histories(world)


async def _histories(world: World) -> dict[str, WorkflowHistory]:
    customers = [world.sandbox.seed() for _ in range(4)]
    requests = [world.request(customer) for customer in customers]
    await starter.start(world.client, requests[2])
    await starter.start(world.client, world.request(customers[3], window=timedelta(days=2)))
    often = timedelta(seconds=1)
    await start_mass_exit(world.client, world.vault, NAME, requests, look_every=often, starts_in_a_run=2)
    async with asyncio.timeout(PATIENCE):
        while True:
            if (await mass_status(world.client, NAME)).not_started == 0:
                break
            await asyncio.sleep(0.1)
        await pause_mass_exit(world.client, NAME, _OPS)
        await resume_mass_exit(world.client, NAME, _OPS)
        await cancel_mass_exit(world.client, NAME, _OPS)
        await mass_handle_of(world.client, NAME).result()
    runs: list[WorkflowHistory] = []
    run_id: str | None = None
    while run_id != "":
        handle = world.client.get_workflow_handle(mass_exit_id(NAME), run_id=run_id)
        runs.insert(0, await handle.fetch_history())
        run_id = runs[0].events[0].workflow_execution_started_event_attributes.continued_execution_run_id
    return {f"{FOLDER}/run-{number}": run for number, run in enumerate(runs, 1)}
