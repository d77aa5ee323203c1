"""Every way in which an eject ends."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

import starter
from contracts.failures import Failure
from contracts.stages import End, Stage
from tests.planted.scenario import scenario
from tests.planted.scene import DAY, Scene

CLOSED = DAY + timedelta(minutes=1)


@scenario()
async def ejected(scene: Scene) -> None:
    """The whole road without trouble."""
    await scene.claimable()
    await scene.leave()


@scenario()
async def expired(scene: Scene) -> None:
    """Nobody claims."""
    await scene.claimable()
    await scene.ends(End.EXPIRED)


@scenario()
async def cancelled(scene: Scene) -> None:
    """An operator cancels before the claim."""
    await scene.claimable()
    await scene.cancelled()


@scenario(quick=True)
async def cancelled_natively_while_fetching(scene: Scene) -> None:
    """The button of the UI, while Portal answers with an echo and a half of the shares may be on its way."""
    scene.fault("fetch_shares", 503, times=100)
    await scene.start()
    await scene.troubled("fetch_shares")
    await scene.handle.cancel()
    await scene.ends(End.CANCELLED)


@scenario()
async def cancelled_in_approval(scene: Scene) -> None:
    """Before anything was done."""
    await scene.start(approvals=1)
    await scene.reach(Stage.AWAITING_APPROVAL)
    await scene.cancelled()


@scenario()
async def closed_by_decision(scene: Scene) -> None:
    """Claimed, and no proof will come."""
    await scene.claimable()
    await scene.claim()
    await scene.world.resolve(scene.customer)
    await scene.ends(End.CLOSED)


@scenario()
async def unresolved_and_closed(scene: Scene) -> None:
    """Claimed, the window closes, an operator decides."""
    await scene.claimable()
    await scene.claim()
    await scene.forward(CLOSED)
    await scene.reach(Stage.UNRESOLVED)
    await scene.world.resolve(scene.customer)
    await scene.ends(End.CLOSED)


@scenario()
async def proven_late(scene: Scene) -> None:
    """The proof comes when our copies are gone."""
    await scene.claimable()
    proofs = await scene.claim()
    await scene.forward(CLOSED)
    await scene.reach(Stage.UNRESOLVED)
    await scene.world.prove(scene.customer, proofs)
    await scene.ends(End.EJECTED)


@scenario(quick=True)
async def extended_after_a_purge(scene: Scene) -> None:
    """Both halves come back, the client's from Portal's cipher text, and are claimed once more."""
    await scene.claimable()
    await scene.claim()
    await scene.forward(CLOSED)
    await scene.reach(Stage.UNRESOLVED)
    scene.fault("read_cipher_text", 500)
    await scene.world.extend(scene.customer, DAY)
    await scene.reach(Stage.AWAITING_CLAIM, times=2)
    await scene.leave()


@scenario()
async def extended_in_the_window(scene: Scene) -> None:
    """More time before the close, though Portal first echoes."""
    await scene.claimable()
    scene.fault("enable_eject", 500)
    await scene.world.extend(scene.customer, 2 * DAY)
    await scene.leave()


@scenario()
async def proven_one_by_one(scene: Scene) -> None:
    """Two messages, one for each wallet."""
    await scene.claimable()
    proofs = await scene.claim()
    for proof in proofs.proofs:
        await scene.world.prove(scene.customer, proofs.model_copy(update={"proofs": (proof,)}))
    await scene.ends(End.EJECTED)


@scenario()
async def proven_twice_at_once(scene: Scene) -> None:
    """Two messages that meet."""
    await scene.claimable()
    proofs = await scene.claim()
    both = [scene.world.prove(scene.customer, proofs) for _ in range(2)]
    await asyncio.gather(*both, return_exceptions=True)
    await scene.ends(End.EJECTED)


@scenario()
async def already_ejected(scene: Scene) -> None:
    """Portal has its mark already."""
    at = datetime(2026, 1, 2, tzinfo=UTC).isoformat()
    scene.world.sandbox.change(scene.customer.client_id, ejected_at=at)
    await scene.start()
    await scene.ends(End.ALREADY_EJECTED)


@scenario()
async def refused_as_unknown(scene: Scene) -> None:
    """Portal does not know the client, and says so with an echo."""
    scene.fault("read_client", 404)
    await scene.start()
    await scene.ends(End.REFUSED)


@scenario(quick=True)
async def refused_for_several_reasons(scene: Scene) -> None:
    """Unfit in every way at once."""
    who = scene.customer.client_id
    scene.world.sandbox.back_up(scene.customer)
    scene.world.sandbox.change(who, backup_with_portal_enabled=False, is_multi_backup_enabled=False)
    scene.world.sandbox.change(who, add_wallet="ED25519")
    await scene.start()
    receipt = await scene.ends(End.REFUSED)
    assert len(receipt.reasons) == 3


@scenario()
async def refused_without_a_key(scene: Scene) -> None:
    """No wallet shows a public key."""
    hidden = {wallet: {"public_key": "null"} for wallet in scene.wallets}
    scene.world.sandbox.change(scene.customer.client_id, wallets=hidden)
    await scene.start()
    await scene.ends(End.REFUSED)


@scenario()
async def started_twice_with_another_request(scene: Scene) -> None:
    """The second start is refused and names what differs."""
    await scene.claimable()
    other = scene.world.request(scene.customer, window=2 * DAY)
    with pytest.raises(starter.EjectError, match="another window"):
        await starter.start(scene.world.client, other)
    await scene.cancelled()


@scenario()
async def left_again_after_a_refusal(scene: Scene) -> None:
    """The same client starts anew, over the pairs of the first eject."""
    scene.fault("back_up", 400)
    await scene.start()
    await scene.parked(Failure.PORTAL_REFUSED)
    await scene.cancelled()
    await scene.claimable()
    await scene.leave()
