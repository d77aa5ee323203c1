"""What retrying cannot mend parks; a person mends it and retries that step."""

import re

import pytest

import starter
from contracts.failures import Failure
from contracts.parks import Park, Retry, RetryOutcome
from contracts.receipt import Status
from contracts.stages import End, Stage
from tests.harness.world import World


async def parked(world: World, client_id: str) -> Park:
    """The park that `status` shows."""
    told = await starter.status(world.client, client_id)
    assert isinstance(told, Status)
    assert told.stage is Stage.PARKED
    assert told.park is not None
    return told.park


async def test_a_missing_deposit_parks_until_it_is_made(world: World) -> None:
    """The park names the step, the reason and what mends it; the retry answers what became of it."""
    customer = world.sandbox.seed()
    handle = await starter.start(world.client, world.request(customer))
    await world.reach(handle, Stage.PARKED)
    park = await parked(world, customer.client_id)
    assert (park.number, park.stage, park.step) == (1, Stage.BACKING_UP, "back_up")
    assert park.failure is Failure.DEPOSIT_MISSING
    assert park.reason == f"No signing shares were deposited for client {customer.client_id}"
    assert "starter.py deposit" in park.mend
    again = await starter.retry(world.client, customer.client_id, Retry(park=1, by="ops", why="asked"))
    assert again.outcome is RetryOutcome.PARKED
    assert again.park is not None
    assert again.park.number == 2
    with pytest.raises(starter.EjectError, match=re.escape("Park 1 does not stand any more")):
        await starter.retry(world.client, customer.client_id, Retry(park=1, by="ops", why="too late"))
    await world.deposit(customer)
    mended = await starter.retry(world.client, customer.client_id, Retry(park=2, by="ops", why="deposited"))
    assert mended.outcome is RetryOutcome.DONE
    await world.reach(handle, Stage.AWAITING_CLAIM)
    await world.prove(customer, world.proofs(await world.claim(customer)))
    assert (await world.end(handle)).end is End.EJECTED


async def test_a_retry_of_nothing_is_refused(world: World) -> None:
    """Where nothing is parked, the refusal says so."""
    customer = world.sandbox.seed()
    handle = await world.start(customer)
    await world.reach(handle, Stage.AWAITING_CLAIM)
    with pytest.raises(starter.EjectError, match="parked now is nothing"):
        await starter.retry(world.client, customer.client_id, Retry(park=1, by="ops", why="to see"))
    await world.prove(customer, world.proofs(await world.claim(customer)))
    await world.end(handle)


@pytest.mark.parametrize(
    ("fetch", "failure", "words"),
    [
        ("other_pair", Failure.PAIR_MISMATCH, "not of the pair that was backed up"),
        ("garbage", Failure.SHARE_UNREADABLE, "does not parse"),
        ("other_cipher_text", Failure.CIPHER_TEXT_CHANGED, "not the one that this eject stored"),
        ("no_cipher_text", Failure.CIPHER_TEXT_CHANGED, "not the one that this eject stored"),
    ],
)
async def test_a_wrong_share_parks_before_anything_irreversible(
    world: World, fetch: str, failure: Failure, words: str
) -> None:
    """A custodian half that does not fit is never sealed; retried, the right one is."""
    customer = world.sandbox.seed()
    wallet = world.sandbox.client(customer.client_id)["wallets"][0]["id"]
    world.sandbox.change(customer.client_id, wallets={wallet: {"next_fetch": fetch}})
    handle = await world.start(customer)
    await world.reach(handle, Stage.PARKED)
    park = await parked(world, customer.client_id)
    assert (park.step, park.failure) == ("fetch_shares", failure)
    assert words in park.reason
    assert not [name for name in world.left_in_vault() if f"custodian/{wallet}" in name]
    answer = await starter.retry(world.client, customer.client_id, Retry(park=1, by="ops", why="mended"))
    assert answer.outcome is RetryOutcome.DONE
    await world.reach(handle, Stage.AWAITING_CLAIM)
    await world.prove(customer, world.proofs(await world.claim(customer)))
    assert (await world.end(handle)).end is End.EJECTED


async def test_a_wallet_added_after_the_proof_parks_the_completion(world: World) -> None:
    """Complete only what is proven: the wallets are read again just before the call."""
    customer = world.sandbox.seed()
    handle = await world.start(customer)
    await world.reach(handle, Stage.AWAITING_CLAIM)
    proofs = world.proofs(await world.claim(customer))
    world.sandbox.change(customer.client_id, add_wallet="SECP256K1")
    await world.prove(customer, proofs)
    await world.reach(handle, Stage.PARKED)
    park = await parked(world, customer.client_id)
    assert (park.step, park.failure) == ("complete", Failure.WALLETS_CHANGED)
    assert "is new" in park.reason
    assert world.completions(customer) == 0
    known = {proof.wallet for proof in proofs.proofs}
    (added,) = [w["id"] for w in world.sandbox.client(customer.client_id)["wallets"] if w["id"] not in known]
    world.sandbox.change(customer.client_id, remove_wallet=added)
    await starter.retry(world.client, customer.client_id, Retry(park=1, by="ops", why="wallet removed"))
    assert (await world.end(handle)).end is End.EJECTED
    assert world.completions(customer) == 1


async def test_a_window_that_closes_over_a_parked_fetch_expires(world: World) -> None:
    """Nobody mends the fetch in time: our copies go, the eject ends."""
    customer = world.sandbox.seed()
    wallet = world.sandbox.client(customer.client_id)["wallets"][0]["id"]
    world.sandbox.change(customer.client_id, wallets={wallet: {"next_fetch": "garbage"}})
    handle = await world.start(customer)
    await world.reach(handle, Stage.PARKED)
    receipt = await world.end(handle)
    assert receipt.end is End.EXPIRED
    assert not [name for name in world.left_in_vault() if name.startswith(("held/", "released/"))]
