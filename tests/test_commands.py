"""Commands: each does what it says, and withdraws everything that is ours."""

from datetime import UTC, datetime, timedelta

import pytest

import starter
from contracts.owner import Prove
from contracts.stages import End, Stage
from tests.harness.portal import Customer
from tests.harness.world import World

DAY = timedelta(days=1)


async def awaiting_claim(world: World) -> tuple[Customer, starter.EjectHandle]:
    """An eject whose window is open for a day."""
    customer = world.sandbox.seed()
    handle = await world.start(customer)
    await world.reach(handle, Stage.AWAITING_CLAIM)
    return customer, handle


async def unresolved(world: World) -> tuple[Customer, starter.EjectHandle, Prove]:
    """An eject that was claimed and whose window has closed, and the proofs that its owner could give."""
    customer, handle = await awaiting_claim(world)
    proofs = world.proofs(await world.claim(customer))
    assert await world.forward(handle, DAY + timedelta(minutes=1))
    await world.reach(handle, Stage.UNRESOLVED)
    return customer, handle, proofs


def withdrawn(world: World, customer: Customer) -> None:
    """Nothing of ours is left but the deposit and receipts, and Portal's window is about to close."""
    assert not [name for name in world.left_in_vault() if name.startswith(("held/", "released/"))]
    assert all(
        closes - datetime.now(UTC) < timedelta(seconds=100) for closes in world.portal_closes(customer)
    )
    assert world.completions(customer) == 0


async def test_cancel_before_the_claim_withdraws_everything(world: World) -> None:
    """The eject ends `cancelled`; the receipt names who cancelled and why, as asserted."""
    customer, handle = await awaiting_claim(world)
    answer = await world.cancel(customer)
    assert answer.stage is Stage.CLOSING
    receipt = await world.end(handle)
    assert receipt.end is End.CANCELLED
    assert [(c.command, c.by, c.why) for c in receipt.commands] == [("cancel", "ops", "asked to")]
    withdrawn(world, customer)


async def test_after_a_claim_only_resolve_close_ends_it(world: World) -> None:
    """Cancel is refused with the way out; `resolve close` ends `closed`."""
    customer, handle = await awaiting_claim(world)
    with pytest.raises(starter.EjectError, match="was not claimed: end the eject with `cancel`"):
        await world.resolve(customer)
    await world.claim(customer)
    with pytest.raises(starter.EjectError, match="end it with `resolve close`"):
        await world.cancel(customer)
    await world.resolve(customer)
    assert (await world.end(handle)).end is End.CLOSED
    withdrawn(world, customer)


async def test_a_native_cancellation_is_cancel(world: World) -> None:
    """The UI's button before a claim: everything is withdrawn, the receipt is written."""
    customer, handle = await awaiting_claim(world)
    await handle.cancel()
    receipt = await world.end(handle)
    assert receipt.end is End.CANCELLED
    assert [c.command for c in receipt.commands] == ["native cancel"]
    withdrawn(world, customer)


async def test_a_native_cancellation_after_the_claim_is_ignored(world: World) -> None:
    """It is recorded, and the eject goes on to its end."""
    customer, handle = await awaiting_claim(world)
    proofs = world.proofs(await world.claim(customer))
    await handle.cancel()
    await world.prove(customer, proofs)
    receipt = await world.end(handle)
    assert receipt.end is End.EJECTED
    assert [c.command for c in receipt.commands] == ["native cancel ignored"]
    assert "`resolve close`" in receipt.commands[0].why


async def test_extend_moves_the_close(world: World) -> None:
    """Portal's window and ours are longer; an extension that would shorten it is refused."""
    customer, handle = await awaiting_claim(world)
    before = (await world.told(customer)).window_closes
    assert before
    with pytest.raises(starter.EjectError, match="closes later than that already"):
        await world.extend(customer, timedelta(hours=1))
    answer = await world.extend(customer, timedelta(days=3))
    assert answer.window_closes
    assert timedelta(days=1, hours=23) < answer.window_closes - before < timedelta(days=2, minutes=1)
    assert set(world.portal_closes(customer)) == {answer.window_closes}
    assert await world.forward(handle, timedelta(days=2))
    assert (await world.told(customer)).stage is Stage.AWAITING_CLAIM
    receipt = await world.end(handle)
    assert receipt.end is End.EXPIRED
    assert receipt.times.window_closes == answer.window_closes


async def test_extend_after_the_close_brings_both_halves_back(world: World) -> None:
    """A new claim works, its bundle is new, and a challenge of the first claim stays valid."""
    customer, handle, old = await unresolved(world)
    answer = await world.extend(customer, DAY)
    assert answer.window_closes
    await world.reach(handle, Stage.AWAITING_CLAIM, times=2)
    claimed = await world.claim(customer)
    fresh = world.proofs(claimed)
    assert fresh.proofs[0].bundle != old.proofs[0].bundle
    await world.prove(customer, Prove(proofs=old.proofs[:1]))
    await world.prove(customer, Prove(proofs=fresh.proofs[1:]))
    receipt = await world.end(handle)
    assert receipt.end is End.EJECTED
    assert world.completions(customer) == 1
    assert len(world.sandbox.journal(client_id=customer.client_id, effect="pair_made")) == 1


async def test_resolve_close_frees_an_unresolved_client(world: World) -> None:
    """After `closed` a new start works and is a new eject."""
    customer, handle, _ = await unresolved(world)
    with pytest.raises(starter.EjectError, match="running with another window"):
        await world.start(customer, window=timedelta(hours=2))
    await world.resolve(customer)
    first = await world.end(handle)
    assert first.end is End.CLOSED
    # The sandbox's clock has moved a day ahead of the new eject's.
    _, second = await world.leave(customer, window=timedelta(days=3))
    assert second.end is End.EJECTED
    assert second.eject_id != first.eject_id
