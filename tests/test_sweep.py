"""What ejects leave behind: sweep finds it and takes nothing that is needed; a client may start anew."""

import asyncio
import os
from asyncio.subprocess import DEVNULL
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

import starter
from contracts.receipt import Receipt
from contracts.stages import End, Stage
from runtime.development import temporal_cli
from tests.harness.portal import Customer
from tests.harness.processes import environment, run
from tests.harness.world import PATIENCE, World

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


async def awaiting_claim(world: World) -> tuple[Customer, starter.EjectHandle]:
    """An eject that has files in the vault."""
    customer = world.sandbox.seed()
    handle = await world.start(customer)
    await world.reach(handle, Stage.AWAITING_CLAIM)
    return customer, handle


async def eject_id(handle: starter.EjectHandle) -> str:
    """The eject id as history has it."""
    async for event in handle.fetch_history_events(page_size=1):
        return event.workflow_execution_started_event_attributes.first_execution_run_id
    raise AssertionError("no history")


async def listed(world: World, handle: starter.EjectHandle) -> None:
    """Wait until Temporal's listing shows a workflow; it lags behind."""
    async with asyncio.timeout(PATIENCE):
        while not [found async for found in world.client.list_workflows(f"WorkflowId = '{handle.id}'")]:
            pass


async def reset(world: World, handle: starter.EjectHandle) -> starter.EjectHandle:
    """Reset an eject by command line, as an operator does; the new run."""
    what = ["--workflow-id", handle.id, "--type", "LastWorkflowTask", "--reason", "the test's"]
    own = world.environment()
    env = environment(**{name: own[name] for name in ("TEMPORAL_ADDRESS", "TEMPORAL_NAMESPACE")})
    resetting = await asyncio.create_subprocess_exec(
        *(temporal_cli(), "workflow", "reset", *what), env=env, stdout=DEVNULL, stderr=DEVNULL
    )
    assert await resetting.wait() == 0
    return starter.handle_of(world.client, handle.id.removeprefix("eject-"))


def files_of(world: World, eject: str) -> list[str]:
    """What lies in the vault of one eject but its receipt."""
    prefixes = (f"held/{eject}/", f"released/{eject}/")
    return [name for name in world.left_in_vault() if name.startswith(prefixes)]


def age(world: World, names: Iterable[str], by: timedelta) -> None:
    """Have files last changed so long ago."""
    then = (datetime.now(UTC) - by).timestamp()
    for name in names:
        os.utime(world.vault_folder / name, (then, then))


async def sweep(world: World, *, remove: bool, after: timedelta) -> starter.Swept:
    """Sweep when so much time will have passed."""
    return await starter.sweep(world.client, world.vault, remove=remove, now=datetime.now(UTC) + after)


@pytest.mark.parametrize("was_reset", [False, True], ids=["as it started", "reset"])
async def test_only_what_no_eject_needs_is_removed(world: World, was_reset: bool) -> None:
    """A terminated eject's files go; receipts and deposits stay, and a running eject goes on to its end."""
    _, before = await world.leave(world.sandbox.seed())
    customer, terminated = await awaiting_claim(world)
    await world.claim(customer)
    other, running = await awaiting_claim(world)
    gone, runs = await eject_id(terminated), await eject_id(running)
    await terminated.terminate("the test's")
    await listed(world, running)
    if was_reset:
        running = await reset(world, running)
        assert (await running.describe()).run_id != runs
    left, kept = files_of(world, gone), files_of(world, runs)
    assert {name.split("/")[0] for name in left} == {"held", "released"}
    assert len(kept) == 3
    everything = world.left_in_vault()

    looked = await sweep(world, remove=False, after=2 * HOUR)
    assert looked == starter.Swept(left_behind=tuple(left), old_deposits=())
    assert world.left_in_vault() == everything
    assert await sweep(world, remove=True, after=2 * HOUR) == looked
    assert world.left_in_vault() == sorted(set(everything) - set(left))
    assert before.eject_id in " ".join(world.left_in_vault())
    assert (await sweep(world, remove=True, after=2 * HOUR)).left_behind == ()
    await world.prove(other, world.proofs(await world.claim(other)))
    receipt = await world.end(running)
    assert (receipt.end, receipt.eject_id) == (End.EJECTED, runs)


async def test_young_files_are_left_alone(world: World) -> None:
    """Nothing goes within an hour of an eject's last write, however old its other files are."""
    _, terminated = await awaiting_claim(world)
    gone = await eject_id(terminated)
    await terminated.terminate("the test's")
    files = files_of(world, gone)
    age(world, files[1:], DAY)
    assert (await sweep(world, remove=True, after=59 * MINUTE)).left_behind == ()
    assert files_of(world, gone) == files
    assert (await sweep(world, remove=True, after=61 * MINUTE)).left_behind == tuple(files)
    assert files_of(world, gone) == []


async def test_what_temporal_no_longer_knows_is_removed(world: World) -> None:
    """An eject past Temporal's retention has no workflow any more; its files are found all the same."""
    name = f"held/{uuid4()}/client/backup.json"
    await world.vault.create(name, b"sealed")
    assert (await sweep(world, remove=True, after=2 * HOUR)).left_behind == (name,)
    assert world.left_in_vault() == []


async def test_old_deposits_are_listed_and_stay(world: World) -> None:
    """More than 30 days: another eject may need them, so a person decides."""
    old, young = world.sandbox.seed(), world.sandbox.seed()
    for customer in (old, young):
        await world.deposit(customer)
    await world.deposit_api_key(old)
    age(world, (name for name in world.left_in_vault() if old.client_id in name), HOUR)
    everything = world.left_in_vault()
    found = await sweep(world, remove=True, after=30 * DAY - MINUTE)
    names = (f"deposits/{old.client_id}/api-key.json", f"deposits/{old.client_id}/signing-shares.json")
    assert found == starter.Swept(left_behind=(), old_deposits=names)
    assert world.left_in_vault() == everything


async def test_sweep_by_command_line(world: World) -> None:
    """With `--dry-run` it says what was left behind, without it what it removed; a running eject's stays."""
    customer, running = await awaiting_claim(world)
    await listed(world, running)
    vanished = [f"{folder}/{uuid4()}/client/wallet.json" for folder in ("held", "released")]
    for name in vanished:
        await world.vault.create(name, b"sealed")
    age(world, world.left_in_vault(), 31 * DAY)
    old = f"old deposit\tdeposits/{customer.client_id}/signing-shares.json\n"
    own = world.environment()
    names = ("TEMPORAL_ADDRESS", "TEMPORAL_NAMESPACE", "EJECT_VAULT_URL")
    env = environment(**{name: own[name] for name in names})
    everything = world.left_in_vault()
    told = "".join(f"left behind\t{name}\n" for name in vanished) + old
    assert await run("starter.py", "sweep", "--dry-run", env=env) == (0, told, "")
    assert world.left_in_vault() == everything
    assert await run("starter.py", "sweep", env=env) == (0, told.replace("left behind", "removed"), "")
    assert world.left_in_vault() == sorted(set(everything) - set(vanished))
    assert await run("starter.py", "sweep", env=env) == (0, old, "")
    await running.terminate("the test has seen what it wanted")


async def expire(world: World, _: Customer, handle: starter.EjectHandle) -> Receipt:
    """Nobody claims."""
    return await world.end(handle)


async def cancel(world: World, customer: Customer, handle: starter.EjectHandle) -> Receipt:
    """An operator cancels before the claim."""
    await world.cancel(customer)
    return await world.end(handle)


async def close(world: World, customer: Customer, handle: starter.EjectHandle) -> Receipt:
    """An operator closes after the claim."""
    await world.claim(customer)
    await world.resolve(customer)
    return await world.end(handle)


@pytest.mark.parametrize(
    ("way", "end"), [(expire, End.EXPIRED), (cancel, End.CANCELLED), (close, End.CLOSED)]
)
async def test_a_client_starts_anew(
    world: World, way: Callable[[World, Customer, starter.EjectHandle], Awaitable[Receipt]], end: End
) -> None:
    """While an eject runs a start joins it or is refused by its fields; after its end it is a new eject."""
    customer, handle = await awaiting_claim(world)
    run_id = (await handle.describe()).run_id
    joined = await world.start(customer)
    assert (await joined.describe()).run_id == run_id
    with pytest.raises(starter.EjectError, match="is running with another window, reason: start with the"):
        await world.start(customer, window=2 * DAY, reason="another")
    first = await way(world, customer, handle)
    assert (first.end, first.eject_id) == (end, run_id)
    again, second = await world.leave(customer, window=2 * DAY, reason="another")
    assert second.end is End.EJECTED
    assert second.eject_id != first.eject_id
    assert second.eject_id == (await again.describe()).run_id
    assert world.completions(customer) == 1
    receipts = [f"receipts/{customer.client_id}/{each.eject_id}.json" for each in (first, second)]
    assert world.left_in_vault() == sorted(receipts)
