"""Nexus: callers in another namespace, with none of our code, start, watch and cancel ejects."""

import asyncio
import re
import uuid
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ApplicationError, NexusOperationError
from temporalio.service import RPCError
from temporalio.worker import Worker

import starter
from contracts.owner import ClaimAnswer
from contracts.request import EjectRequest
from contracts.stages import End, Stage
from runtime.codec import EjectCodec
from runtime.development import ROOT, temporal_cli
from tests.harness.caller import Asking, Leaving
from tests.harness.codecs import new_key, with_keys
from tests.harness.portal import Customer
from tests.harness.processes import environment
from tests.harness.temporal import ELSEWHERE, connected
from tests.harness.world import PATIENCE, World, serving

PAGE = ROOT / "docs/integrating.md"
Caller = WorkflowHandle[Any, dict[str, Any]]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def endpoint(temporal: Client) -> None:
    """The endpoint, made by the command in the docs."""
    (command,) = re.findall(r"^ {4}temporal (operator nexus .*)$", PAGE.read_text(), re.M)
    address = temporal.service_client.config.target_host
    making = await asyncio.create_subprocess_exec(
        temporal_cli(),
        # The docs name the usual namespace and the one endpoint; each process of tests has its own.
        *command.replace("default", temporal.namespace).split(),
        env=environment(TEMPORAL_ADDRESS=address),
        stdout=PIPE,
        stderr=PIPE,
    )
    _, error = await making.communicate()
    assert making.returncode == 0, error.decode()


@pytest_asyncio.fixture(loop_scope="session")
async def elsewhere(world: World, endpoint: None) -> AsyncIterator[Client]:
    """A client of the other namespace, whose own worker runs beside; both know only JSON."""
    client = await stranger(world)
    async with Worker(client, task_queue="callers", workflows=[Leaving, Asking]):
        yield client


async def leaving(elsewhere: Client, request: EjectRequest) -> Caller:
    """A caller who starts an eject."""
    given = request.model_dump(mode="json")
    return await elsewhere.start_workflow(Leaving.run, given, id=str(uuid.uuid4()), task_queue="callers")


async def asked(elsewhere: Client, operation: str, **given: Any) -> dict[str, Any]:
    """One operation's answer; the text of a refusal is an `ApplicationError`."""
    asking = elsewhere.execute_workflow(
        Asking.run, args=[operation, given], id=str(uuid.uuid4()), task_queue="callers"
    )
    try:
        return await asyncio.wait_for(asking, PATIENCE)
    except WorkflowFailureError as failed:
        assert isinstance(failed.cause, NexusOperationError)
        assert failed.cause.cause is not None
        raise failed.cause.cause from None


async def awaits_claim(caller: Caller) -> None:
    """Wait until the caller itself has seen it."""
    await asyncio.wait_for(caller.execute_update(Leaving.awaits_claim), PATIENCE)


async def test_a_caller_in_another_namespace_gets_its_receipt(world: World, elsewhere: Client) -> None:
    """It starts the eject, sees it wait for the owner, hands in claim and proofs, and reads the receipt."""
    customer = world.sandbox.seed()
    await world.deposit(customer)
    caller = await leaving(elsewhere, world.request(customer))
    await awaits_claim(caller)
    whose = customer.client_id
    claimed = await asked(elsewhere, "claim", client_id=whose, claimed_by="ada")
    proofs = world.proofs(ClaimAnswer.model_validate(claimed)).model_dump(mode="json")
    proven = await asked(elsewhere, "prove", client_id=whose, **proofs)
    assert proven["awaited"] == []
    ended = await world.end(starter.handle_of(world.client, whose))
    receipt = await asyncio.wait_for(caller.result(), PATIENCE)
    assert (receipt["end"], receipt["eject_id"]) == ("ejected", ended.eject_id)
    assert receipt["ejected_at"]
    assert world.completions(customer) == 1
    assert await asked(elsewhere, "status", client_id=whose) == receipt


async def test_cancelling_the_operation_cancels_the_eject(world: World, elsewhere: Client) -> None:
    """Before the claim it ends `cancelled`, and the caller has that receipt; everything is withdrawn."""
    customer = world.sandbox.seed()
    await world.deposit(customer)
    caller = await leaving(elsewhere, world.request(customer))
    await awaits_claim(caller)
    handle = starter.handle_of(world.client, customer.client_id)
    await caller.cancel()
    await world.reach(handle, Stage.CLOSING)
    receipt = await world.end(handle)
    assert receipt.end is End.CANCELLED
    assert [command.command for command in receipt.commands] == ["native cancel"]
    assert (await asyncio.wait_for(caller.result(), PATIENCE))["end"] == "cancelled"


async def test_cancelling_the_operation_after_the_claim_is_ignored(world: World, elsewhere: Client) -> None:
    """The owner may hold the keys by then: the eject goes on, and the caller still gets its receipt."""
    customer = world.sandbox.seed()
    await world.deposit(customer)
    caller = await leaving(elsewhere, world.request(customer))
    await awaits_claim(caller)
    answer = await world.claim(customer)
    handle = starter.handle_of(world.client, customer.client_id)
    await caller.cancel()
    async with asyncio.timeout(PATIENCE):
        async for event in handle.fetch_history_events(wait_new_event=True):
            if event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCEL_REQUESTED:
                break
    with pytest.raises(ApplicationError, match="resolve close"):
        await asked(elsewhere, "cancel", client_id=customer.client_id, by="ops", why="asked to")
    await world.prove(customer, world.proofs(answer))
    receipt = await world.end(handle)
    assert receipt.end is End.EJECTED
    assert [command.command for command in receipt.commands] == ["native cancel ignored"]
    assert (await asyncio.wait_for(caller.result(), PATIENCE))["end"] == "ejected"


async def test_a_second_caller_joins_only_the_same_request(world: World, elsewhere: Client) -> None:
    """The same request ends with the same receipt, another is refused by the names of what differs."""
    customer = world.sandbox.seed()
    await world.deposit(customer)
    request = world.request(customer)
    callers = [await leaving(elsewhere, request)]
    await awaits_claim(callers[0])
    callers.append(await leaving(elsewhere, request))
    await awaits_claim(callers[1])
    other = world.request(customer, reason="another", window=timedelta(days=2)).model_dump(mode="json")
    with pytest.raises(ApplicationError, match="running with another window, reason: start with the same"):
        await asked(elsewhere, "eject", **other)
    taken = await asked(elsewhere, "cancel", client_id=customer.client_id, by="ops", why="asked to")
    assert taken == {"stage": "closing"}
    ended = await world.end(starter.handle_of(world.client, customer.client_id))
    for caller in callers:
        assert (await asyncio.wait_for(caller.result(), PATIENCE))["eject_id"] == ended.eject_id


@pytest.mark.parametrize("keyed", [True, False], ids=["with the keys", "without"])
async def test_where_payloads_are_encrypted_a_caller_needs_the_keys(
    unserved: World, endpoint: None, keyed: bool
) -> None:
    """With the codec it reads refusals and answers; without it starts the eject, and reads nothing."""
    keys = {"a": new_key()}
    world = await with_keys(unserved, keys)
    caller = await connected(ELSEWHERE, EjectCodec(keys)) if keyed else await stranger(world)
    customer = world.sandbox.seed()
    await world.deposit(customer)
    async with serving(world), Worker(caller, task_queue="callers", workflows=[Leaving, Asking]):
        with pytest.raises(ApplicationError, match="No eject of client" if keyed else "Encoded failure"):
            await asked(caller, "status", client_id=customer.client_id)
        leaves = await leaving(caller, world.request(customer))
        await world.reach(await started(world, customer), Stage.AWAITING_CLAIM)
        if keyed:
            await awaits_claim(leaves)
        else:
            assert "Unknown payload encoding binary/encrypted" in await stuck(leaves)
        await world.cancel(customer)
        await world.end(starter.handle_of(world.client, customer.client_id))
        if keyed:
            assert (await asyncio.wait_for(leaves.result(), PATIENCE))["end"] == "cancelled"
        else:
            await leaves.terminate("it can never read its answer")


async def stranger(world: World) -> Client:
    """A client of the other namespace as the SDK makes it."""
    return await Client.connect(world.client.service_client.config.target_host, namespace=ELSEWHERE)


async def started(world: World, customer: Customer) -> starter.EjectHandle:
    """The eject of a customer, once another has started it."""
    handle = starter.handle_of(world.client, customer.client_id)
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                await handle.describe()
            except RPCError:
                await asyncio.sleep(0.05)
            else:
                return handle


async def stuck(caller: Caller) -> str:
    """Why a caller's workflow task fails."""
    async with asyncio.timeout(PATIENCE):
        async for event in caller.fetch_history_events(wait_new_event=True):
            if event.HasField("workflow_task_failed_event_attributes"):
                return str(event.workflow_task_failed_event_attributes.failure)
    raise AssertionError("it was never stuck")


async def test_wrong_input_is_refused_at_once(world: World, elsewhere: Client) -> None:
    """Nothing is started, nothing is repeated, and no value is shown."""
    customer = world.sandbox.seed()
    wrong = world.request(customer).model_dump(mode="json") | {"recipient": "age1" + "q" * 58}
    with pytest.raises(ApplicationError, match="its checksum is wrong"):
        await asked(elsewhere, "eject", **wrong)
    with pytest.raises(Exception, match="decode") as refused:
        await asked(elsewhere, "claim", client_id=customer.client_id, claimed_by="PLANTED" * 9, more=1)
    assert "PLANTED" not in repr((refused.value, refused.value.__cause__))
    with pytest.raises(ApplicationError, match="No eject of client"):
        await asked(elsewhere, "status", client_id=customer.client_id)
