"""Completion wallet by wallet: only after the last proof, and as often as it takes to see Portal's mark."""

import pytest

from contracts.failures import Failure, StepError
from contracts.owner import Prove
from contracts.stages import End, Stage
from portal.client import ClientApi
from tests.harness.own_backup import by_wallet
from tests.harness.portal import Customer
from tests.harness.world import World, serving

CALL = "complete_wallet"


def completed(world: World, customer: Customer) -> list[str]:
    """The wallets whose completion took effect, in order."""
    lines = world.sandbox.journal(client_id=customer.client_id, effect="wallet_completed")
    return [line["wallet_id"] for line in lines]


@pytest.mark.parametrize("one_by_one", [False, True], ids=["the first marks", "the last marks"])
async def test_no_wallet_is_completed_before_the_last_proof(workerless: World, one_by_one: bool) -> None:
    """One wallet's completion may mark the client, so none is made while a proof is missing."""
    world, customer = by_wallet(workerless), workerless.sandbox.seed()
    world.sandbox.switch(complete_one_by_one=one_by_one)
    async with serving(world):
        handle = await world.start(customer)
        await world.reach(handle, Stage.AWAITING_CLAIM)
        first, second = world.proofs(await world.claim(customer)).proofs
        await world.prove(customer, Prove(proofs=(first,)))
        assert world.sandbox.journal(client_id=customer.client_id, call=CALL) == []
        await world.prove(customer, Prove(proofs=(second,)))
        receipt = await world.end(handle)
    assert receipt.end is End.EJECTED
    assert set(completed(world, customer)) == {first.wallet, second.wallet}
    assert world.completions(customer) == 1
    assert world.sandbox.journal(client_id=customer.client_id, call="complete_client") == []


@pytest.mark.parametrize("one_by_one", [False, True], ids=["the first marks", "the last marks"])
@pytest.mark.parametrize("lost", [1, 2])
async def test_a_lost_reply_is_made_good_where_a_repeat_is_taken(
    workerless: World, one_by_one: bool, lost: int
) -> None:
    """Nobody heard that a wallet was completed: the client is read, and what is not marked is repeated."""
    world, customer = by_wallet(workerless), workerless.sandbox.seed()
    world.sandbox.switch(complete_one_by_one=one_by_one, repeat_completion_ok=True)
    world.sandbox.fault(CALL, "drop", times=lost)
    async with serving(world):
        _, receipt = await world.leave(customer)
    assert receipt.end is End.EJECTED
    assert world.completions(customer) == 1


async def test_a_repeat_that_portal_refuses_parks(workerless: World) -> None:
    """A 400 to the repeat, and no mark on the client: only a person can find out what holds."""
    world, customer = by_wallet(workerless), workerless.sandbox.seed()
    world.sandbox.switch(complete_one_by_one=True)
    world.sandbox.fault(CALL, "drop")
    async with serving(world):
        handle = await world.start(customer)
        await world.reach(handle, Stage.AWAITING_CLAIM)
        await world.prove(customer, world.proofs(await world.claim(customer)))
        await world.reach(handle, Stage.PARKED)
        park = (await world.told(customer)).park
        assert park
        assert (park.step, park.failure) == ("complete", Failure.PORTAL_REFUSED)
        assert world.completions(customer) == 0
        world.sandbox.switch(repeat_completion_ok=True)
        await world.retry(customer, park.number)
        assert (await world.end(handle)).end is End.EJECTED
    assert world.completions(customer) == 1


@pytest.mark.parametrize("one_by_one", [False, True], ids=["the first marks", "the last marks"])
async def test_once_the_client_is_marked_a_refusal_of_another_wallet_ends_nothing(
    workerless: World, monkeypatch: pytest.MonkeyPatch, one_by_one: bool
) -> None:
    """Tatum's guide: one wallet's completion marks the client. Where it does not, the refusal parks."""
    world, customer = by_wallet(workerless), workerless.sandbox.seed()
    world.sandbox.switch(complete_one_by_one=one_by_one)
    complete = ClientApi.complete_wallet
    taken: list[str] = []

    async def only_the_first(self: ClientApi, wallet_id: str) -> None:
        if taken:
            raise StepError(Failure.PORTAL_REFUSED, "Portal answered 400")
        taken.append(wallet_id)
        await complete(self, wallet_id)

    monkeypatch.setattr(ClientApi, "complete_wallet", only_the_first)
    async with serving(world):
        handle = await world.start(customer)
        await world.reach(handle, Stage.AWAITING_CLAIM)
        await world.prove(customer, world.proofs(await world.claim(customer)))
        if one_by_one:
            await world.reach(handle, Stage.PARKED)
            monkeypatch.undo()
            world.sandbox.switch(repeat_completion_ok=True)
            await world.retry(customer, 1)
        assert (await world.end(handle)).end is End.EJECTED
    assert world.completions(customer) == 1
    assert len(completed(world, customer)) == (2 if one_by_one else 1)
