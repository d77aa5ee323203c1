"""The window is law: what its close ends, and what is owed all the same."""

from datetime import UTC, datetime, timedelta

import pytest

import starter
from contracts.owner import Prove
from contracts.receipt import Status
from contracts.stages import End, Stage
from tests.harness.world import World

DAY = timedelta(days=1)


async def test_an_unclaimed_window_closes_as_expired(world: World) -> None:
    """Nothing is completed, and nothing of ours is left but the receipt and the deposit."""
    customer = world.sandbox.seed()
    handle = await world.start(customer)
    await world.reach(handle, Stage.AWAITING_CLAIM)
    assert await world.forward(handle, DAY - timedelta(minutes=1))
    receipt = await world.end(handle)
    assert receipt.end is End.EXPIRED
    assert world.completions(customer) == 0
    assert world.left_in_vault() == [
        f"deposits/{customer.client_id}/signing-shares.json",
        f"receipts/{customer.client_id}/{receipt.eject_id}.json",
    ]


async def test_a_proof_just_before_the_close_completes_although_the_window_has_closed(world: World) -> None:
    """Completion is owed once proven: Portal refuses for a day after the close, and then it is done."""
    customer = world.sandbox.seed()
    handle = await world.start(customer)
    await world.reach(handle, Stage.AWAITING_CLAIM)
    proofs = world.proofs(await world.claim(customer))
    assert await world.forward(handle, DAY - timedelta(seconds=20))
    world.sandbox.fault("complete_client", "status", times=3, status=503)
    # The wait that Portal asks for reaches past the close.
    world.sandbox.fault("read_client_as_itself", "status", status=429, headers={"Retry-After": "600"})
    await world.prove(customer, proofs)
    receipt = await world.end(handle)
    assert receipt.end is End.EJECTED
    assert receipt.times.proven is not None
    assert receipt.times.window_closes is not None
    assert receipt.times.completed is not None
    assert receipt.times.proven < receipt.times.window_closes < receipt.times.completed
    assert world.completions(customer) == 1


async def test_a_claimed_window_closes_as_unresolved_and_a_late_proof_is_taken(world: World) -> None:
    """Our copies are destroyed at the close; the owner, who has them, may prove months later."""
    customer = world.sandbox.seed()
    handle = await world.start(customer)
    await world.reach(handle, Stage.AWAITING_CLAIM)
    first, second = world.proofs(await world.claim(customer)).proofs
    await world.prove(customer, Prove(proofs=(first,)))
    assert await world.forward(handle, DAY + timedelta(minutes=1))
    await world.reach(handle, Stage.UNRESOLVED)
    assert world.left_in_vault() == [f"deposits/{customer.client_id}/signing-shares.json"]
    assert world.completions(customer) == 0
    assert await world.forward(handle, timedelta(days=90))
    with pytest.raises(starter.EjectError, match="nothing to claim"):
        await world.claim(customer)
    await world.prove(customer, Prove(proofs=(second,)))
    assert (await world.end(handle)).end is End.EJECTED
    assert world.completions(customer) == 1


async def test_a_claim_in_the_last_two_minutes_is_refused(world: World) -> None:
    """Who claims too late could not read the files any more, so the eject ends as expired."""
    customer = world.sandbox.seed()
    handle = await world.start(customer)
    await world.reach(handle, Stage.AWAITING_CLAIM)
    assert await world.forward(handle, DAY - timedelta(seconds=90))
    with pytest.raises(starter.EjectError, match="less than two minutes"):
        await world.claim(customer)
    assert (await world.end(handle)).end is End.EXPIRED


async def test_shares_are_never_fetched_after_the_close(world: World) -> None:
    """While the fetch fails until the window has closed, the eject expires and no share was read."""
    customer = world.sandbox.seed()
    world.sandbox.fault("fetch_shares", "status", times=1000, status=503)
    handle = await world.start(customer, window=timedelta(minutes=10))
    await world.reach(handle, Stage.FETCHING_SHARES)
    receipt = await world.end(handle)
    assert receipt.end is End.EXPIRED
    assert receipt.times.window_closes is not None
    assert receipt.files == tuple(file for file in receipt.files if file.role == "client")
    fetched = world.sandbox.journal(client_id=customer.client_id, call="fetch_shares")
    assert fetched != []
    assert all(call["effect"] is None for call in fetched)


async def test_the_window_is_what_portal_answers(world: World) -> None:
    """The close is Portal's, for every wallet, and it is the one that `status` shows."""
    customer = world.sandbox.seed()
    handle = await world.start(customer, window=timedelta(days=30))
    await world.reach(handle, Stage.AWAITING_CLAIM)
    told = await starter.status(world.client, customer.client_id)
    assert isinstance(told, Status)
    portal = {
        datetime.fromisoformat(wallet["ejectableUntil"])
        for wallet in world.sandbox.client(customer.client_id)["wallets"]
    }
    assert told.window_closes == min(portal)
    assert timedelta(days=29) < min(portal) - datetime.now(UTC) < timedelta(days=30, minutes=1)
    await world.prove(customer, world.proofs(await world.claim(customer)))
    await world.end(handle)
