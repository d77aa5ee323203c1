"""Our copies are destroyed at the end; once more where an attempt may still write, and only there."""

import pytest
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest

import starter
from contracts.names import custodian_half_name
from contracts.stages import End, Stage
from custody.vault import Vault
from tests.harness.world import World


async def purges(world: World, handle: starter.EjectHandle) -> int:
    """How many times our copies were looked for."""
    events = (await world.history(handle)).events
    return [e.activity_task_scheduled_event_attributes.activity_type.name for e in events].count("purge")


async def test_an_eject_without_trouble_looks_once(world: World) -> None:
    """Each step that writes had one attempt, which has answered: nothing can be written any more."""
    handle, receipt = await world.leave(world.sandbox.seed())
    assert receipt.end is End.EJECTED
    assert await purges(world, handle) == 1


@pytest.mark.parametrize("call", ["back_up", "fetch_shares"])
async def test_a_late_write_of_an_earlier_attempt_is_destroyed(
    world: World, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """Where a step was tried again, an attempt that was given up may write after the first look."""
    customer = world.sandbox.seed()
    world.sandbox.fault(call, "status", status=503, client_id=customer.client_id)
    removed: list[str] = []

    async def remove_all(vault: Vault, prefix: str) -> int:
        found = await original(vault, prefix)
        if not removed:
            await vault.create(custodian_half_name(prefix.split("/")[1], "late"), b"{}")
        removed.append(prefix)
        return found

    original = Vault.remove_all
    monkeypatch.setattr(Vault, "remove_all", remove_all)
    handle, _ = await world.leave(customer)
    assert await purges(world, handle) == 2
    assert removed[0].startswith("held/")
    assert not any(name.startswith("held/") for name in world.left_in_vault())


async def test_a_reset_eject_looks_twice(world: World) -> None:
    """What the run before it had begun may still write."""
    customer = world.sandbox.seed()
    handle = await world.start(customer)
    await world.reach(handle, Stage.AWAITING_CLAIM)
    events = (await world.history(handle)).events
    last = [e.event_id for e in events if e.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED][-1]
    await world.client.workflow_service.reset_workflow_execution(
        ResetWorkflowExecutionRequest(
            namespace=world.client.namespace,
            workflow_execution=WorkflowExecution(workflow_id=handle.id),
            reason="a test",
            workflow_task_finish_event_id=last,
            request_id="again",
        )
    )
    handle = starter.handle_of(world.client, customer.client_id)
    await world.reach(handle, Stage.AWAITING_CLAIM)
    await world.prove(customer, world.proofs(await world.claim(customer)))
    assert (await world.end(handle)).end is End.EJECTED
    assert await purges(world, handle) == 2
