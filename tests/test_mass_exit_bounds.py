"""However long the list: each run of a mass exit has a bounded history, because none depends on the total."""

import asyncio
import os
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any

import pytest
from temporalio import workflow
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionRequest
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from activities.errors import ActivityBoundary
from activities.mass_exit import MassExitStep
from contracts.names import WORKFLOW, TaskQueue, mass_exit_id
from contracts.request import EjectRequest
from contracts.stages import End, Stage
from ejects.mass_exit import mass_handle_of, mass_status, start_mass_exit
from ejects.mass_look import compare, look
from tests.harness.world import World
from tests.test_mass_exit import told
from workflows import attributes
from workflows.mass_exit import MassExit

# Temporal warns at 10,240 events and ends a run at 51,200.
MOST_EVENTS = 10_000
CLIENTS = int(os.environ.get("CLIENTS", "100000"))
OFTEN = timedelta(seconds=0.1)
Tell = Callable[[str, object], None]


@workflow.defn(name=WORKFLOW)
class Stub:
    """An eject that is no eject: one in ten waits for its owner for ever, the others have left at once."""

    @workflow.run
    async def run(self, request: EjectRequest) -> None:
        waits = request.client_id.endswith("0")
        stage = Stage.AWAITING_CLAIM if waits else End.EJECTED
        workflow.upsert_search_attributes([attributes.STAGE.value_set(stage)])
        if waits:
            await workflow.wait_condition(lambda: False)


def list_of(world: World, count: int) -> list[EjectRequest]:
    """So many clients; nobody at Portal knows them."""
    window = timedelta(days=7)
    first = EjectRequest(
        client_id="client-1",
        recipient=world.owner.identity.recipient,
        window=window,
        requested_by="ada",
        reason="the custodian closes down",
    )
    return [first.model_copy(update={"client_id": f"client-{number}"}) for number in range(1, count + 1)]


async def serving_stubs(stack: AsyncExitStack, world: World) -> None:
    """A worker of the real mass exit and its steps, beside stubs."""
    step = MassExitStep(world.vault, look, compare, per_minute=1000)
    worker = Worker(
        world.client,
        task_queue=TaskQueue.EJECT,
        workflows=[MassExit, Stub],
        activities=[step.look_at_ejects, step.read_requests, step.compare_request],
        workflow_runner=UnsandboxedWorkflowRunner(),
        interceptors=[ActivityBoundary()],
    )
    await stack.enter_async_context(worker)


async def lengths(client: Client, name: str) -> list[int]:
    """The events of each run of a mass exit, the last first."""
    found, run_id = [], ""
    while True:
        at = WorkflowExecution(workflow_id=mass_exit_id(name), run_id=run_id)
        asked = DescribeWorkflowExecutionRequest(namespace=client.namespace, execution=at)
        info = (await client.workflow_service.describe_workflow_execution(asked)).workflow_execution_info
        found.append(info.history_length)
        handle = client.get_workflow_handle(at.workflow_id, run_id=info.execution.run_id)
        async for event in handle.fetch_history_events(page_size=1):
            run_id = event.workflow_execution_started_event_attributes.continued_execution_run_id
            break
        if not run_id:
            return found


async def all_started(world: World, count: int, **pace: Any) -> list[int]:
    """A mass exit of so many stubs until all were started; how many events each of its runs has."""
    async with AsyncExitStack() as stack:
        await serving_stubs(stack, world)
        name = f"stubs-{count}"
        requests = list_of(world, count)
        assert await start_mass_exit(world.client, world.vault, name, requests, look_every=OFTEN, **pace)
        while (status := await mass_status(world.client, name)).not_started:
            assert status.paused is None
            await asyncio.sleep(0.1 if count < 1000 else 5)
        waits = count // 10
        status = await told(world.client, name, lambda told: told.waiting == waits)
        assert (status.started, status.joined, status.in_trouble) == (count, 0, 0)
        assert status.ends == {End.EJECTED: count - waits}
        await mass_handle_of(world.client, name).cancel()
        await mass_handle_of(world.client, name).result()
        for number in range(10, count + 1, 10):
            await world.client.get_workflow_handle(f"eject-client-{number}").terminate("its test has ended")
        return await lengths(world.client, name)


async def test_a_list_of_any_length_has_histories_of_the_same_length(unserved: World) -> None:
    """Twice the list is twice the runs, and none longer."""
    short, long = [await all_started(unserved, count, starts_in_a_run=10) for count in (30, 60)]
    assert len(long) >= len(short) + 3
    assert max(long) < 1.5 * max(short)


@pytest.mark.mass
async def test_a_hundred_thousand_clients(unserved: World, record_property: Tell) -> None:
    """As fast as it goes, the pace that makes the longest histories; CLIENTS=5000 for fewer."""
    began = time.monotonic()
    events = await all_started(unserved, CLIENTS, at_once=500)
    seconds = time.monotonic() - began
    told = f"{CLIENTS} clients in {seconds:.0f} s, {len(events)} runs of at most {max(events)} events"
    print(told)  # noqa: T201 (what `make mass-full` is for)
    record_property("mass exit", told)
    assert max(events) < MOST_EVENTS
    assert len(events) > CLIENTS / 1000
