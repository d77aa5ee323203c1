"""Every stage has a way out, and every command is done or refused in each as the rules say."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

import starter
from contracts.approvals import Approve
from contracts.failures import Failure, StepError
from contracts.stages import End, Stage
from custody.vault import Vault
from tests.harness.portal import Customer
from tests.harness.roads import HELD_BY
from tests.harness.world import World

DAY = timedelta(days=1)


class Held:
    """An eject that stays in one stage until `let_go`."""

    def __init__(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        self.world, self.monkeypatch = world, monkeypatch
        self.customer: Customer = world.sandbox.seed()
        self.handle: starter.EjectHandle
        self._vault_is_down = False
        original = Vault.remove_all

        async def remove_all(vault: Vault, prefix: str) -> int:
            if self._vault_is_down:
                raise StepError(Failure.VAULT_UNAVAILABLE, "The vault is down")
            return await original(vault, prefix)

        monkeypatch.setattr(Vault, "remove_all", remove_all)

    async def at(self, stage: Stage) -> "Held":
        """Bring an eject to a stage and hold it there."""
        world, sandbox = self.world, self.world.sandbox
        if stage in HELD_BY:
            sandbox.fault(HELD_BY[stage], "status", times=10_000, status=503)
        if stage is Stage.PARKED:
            self.handle = await starter.start(world.client, world.request(self.customer))
        else:
            asked: dict[Stage, dict[str, Any]] = {
                Stage.AWAITING_APPROVAL: {"approvals": 1},
                Stage.COOLING_OFF: {"cooling_off": DAY},
            }
            self.handle = await world.start(self.customer, **asked.get(stage, {}))
        if stage in (Stage.AWAITING_PROOF, Stage.UNRESOLVED, Stage.COMPLETING, Stage.CLOSING):
            await world.reach(self.handle, Stage.AWAITING_CLAIM)
        if stage is Stage.CLOSING:
            self._vault_is_down = True
            await world.cancel(self.customer)
        if stage in (Stage.AWAITING_PROOF, Stage.UNRESOLVED, Stage.COMPLETING):
            self.proofs = world.proofs(await world.claim(self.customer))
        if stage is Stage.COMPLETING:
            await world.prove(self.customer, self.proofs)
        if stage is Stage.UNRESOLVED:
            assert await world.forward(self.handle, DAY + timedelta(minutes=1))
        await world.reach(self.handle, stage)
        return self

    def let_go(self) -> None:
        """Nothing holds the eject any more."""
        self.world.sandbox.clear_faults()
        self._vault_is_down = False

    async def end(self) -> End:
        """How it ended; nothing of ours is left, and Portal's window is about to close or was never open."""
        self.let_go()
        receipt = await self.world.end(self.handle)
        assert self.world.audit() == []
        left = self.world.left_in_vault()
        assert not [name for name in left if name.startswith(("held/", "released/"))]
        deposits = [name for name in left if name.startswith("deposits/")]
        assert (deposits == []) == (receipt.end is End.EJECTED or self.never_deposited)
        assert self.world.completions(self.customer) == (1 if receipt.end is End.EJECTED else 0)
        if receipt.end in (End.CANCELLED, End.CLOSED):
            for closes in self.world.portal_closes(self.customer):
                assert closes - self.world.sandbox.now() < timedelta(seconds=100)
        return receipt.end

    never_deposited = False


# What `cancel` comes to in each stage: the end it leads to, or words of its refusal.
CANCEL: dict[Stage, End | str] = {
    Stage.CHECKING: End.CANCELLED,
    Stage.AWAITING_APPROVAL: End.CANCELLED,
    Stage.COOLING_OFF: End.CANCELLED,
    Stage.BACKING_UP: End.CANCELLED,
    Stage.CONFIRMING_BACKUP: End.CANCELLED,
    Stage.ENABLING: End.CANCELLED,
    Stage.FETCHING_SHARES: End.CANCELLED,
    Stage.AWAITING_CLAIM: End.CANCELLED,
    Stage.AWAITING_PROOF: "resolve close",
    Stage.UNRESOLVED: "resolve close",
    Stage.COMPLETING: "completion is owed",
    Stage.CLOSING: "is closing",
    Stage.PARKED: End.CANCELLED,
}


@pytest.fixture
def held(world: World, monkeypatch: pytest.MonkeyPatch) -> Held:
    """An eject to be held in some stage."""
    return Held(world, monkeypatch)


@pytest.mark.parametrize("stage", list(Stage))
async def test_cancel_in_every_stage(held: Held, stage: Stage) -> None:
    """Done or refused as the rules say; what remains is what the rules say."""
    held.never_deposited = stage is Stage.PARKED
    await held.at(stage)
    expected = CANCEL[stage]
    if isinstance(expected, End):
        await held.world.cancel(held.customer)
        assert await held.end() is expected
        return
    with pytest.raises(starter.EjectError, match=expected):
        await held.world.cancel(held.customer)
    await finish(held, stage)


@pytest.mark.parametrize("stage", list(Stage))
async def test_native_cancellation_in_every_stage(held: Held, stage: Stage) -> None:
    """The same as the update; where that is refused, it is recorded and ignored."""
    held.never_deposited = stage is Stage.PARKED
    await held.at(stage)
    await held.handle.cancel()
    if isinstance(CANCEL[stage], End):
        assert await held.end() is CANCEL[stage]
        return
    await finish(held, stage)
    receipt = await held.handle.result()
    assert "native cancel ignored" in [c.command for c in receipt.commands]


async def finish(held: Held, stage: Stage) -> None:
    """The way out of the stages in which cancel is refused."""
    if stage in (Stage.AWAITING_PROOF, Stage.UNRESOLVED):
        await held.world.prove(held.customer, held.proofs)
    assert await held.end() is (End.CANCELLED if stage is Stage.CLOSING else End.EJECTED)


async def cancelled(held: Held) -> None:
    """`starter.py cancel`."""
    await held.world.cancel(held.customer)


async def approved(held: Held) -> None:
    """`starter.py approve`, then the window closes."""
    digest = (await held.world.told(held.customer)).request_digest
    command = Approve(digest=digest, by="grace", why="agreed")
    await starter.approve(held.world.client, held.customer.client_id, command)
    await held.world.reach(held.handle, Stage.AWAITING_CLAIM)


async def closed(held: Held) -> None:
    """`starter.py resolve close`."""
    await held.world.resolve(held.customer)


async def waited(held: Held) -> None:
    """Nothing: mend the cause and wait."""


async def expired(held: Held) -> None:
    """Nothing: let the window close."""
    assert await held.world.forward(held.handle, DAY - timedelta(minutes=1))


async def proven(held: Held) -> None:
    """`starter.py prove`."""
    await held.world.prove(held.customer, held.proofs)


async def extended_and_claimed(held: Held) -> None:
    """`starter.py extend`, `claim`, `prove`."""
    await held.world.extend(held.customer, DAY)
    await held.world.reach(held.handle, Stage.AWAITING_CLAIM, times=2)
    await held.world.prove(held.customer, held.world.proofs(await held.world.claim(held.customer)))


async def deposited_and_retried(held: Held) -> None:
    """`starter.py deposit`, `retry`, then the window closes."""
    await held.world.deposit(held.customer)
    await held.world.retry(held.customer, 1)
    await held.world.reach(held.handle, Stage.AWAITING_CLAIM)


WAYS_OUT: list[tuple[Stage, Callable[[Held], Awaitable[None]], End]] = [
    (Stage.CHECKING, cancelled, End.CANCELLED),
    (Stage.AWAITING_APPROVAL, cancelled, End.CANCELLED),
    (Stage.AWAITING_APPROVAL, approved, End.EXPIRED),
    (Stage.COOLING_OFF, cancelled, End.CANCELLED),
    (Stage.COOLING_OFF, waited, End.EXPIRED),
    (Stage.BACKING_UP, cancelled, End.CANCELLED),
    (Stage.CONFIRMING_BACKUP, cancelled, End.CANCELLED),
    (Stage.ENABLING, cancelled, End.CANCELLED),
    (Stage.FETCHING_SHARES, cancelled, End.CANCELLED),
    (Stage.AWAITING_CLAIM, cancelled, End.CANCELLED),
    (Stage.AWAITING_CLAIM, expired, End.EXPIRED),
    (Stage.AWAITING_PROOF, closed, End.CLOSED),
    (Stage.AWAITING_PROOF, proven, End.EJECTED),
    (Stage.COMPLETING, waited, End.EJECTED),
    (Stage.UNRESOLVED, closed, End.CLOSED),
    (Stage.UNRESOLVED, proven, End.EJECTED),
    (Stage.UNRESOLVED, extended_and_claimed, End.EJECTED),
    (Stage.PARKED, cancelled, End.CANCELLED),
    (Stage.PARKED, deposited_and_retried, End.EXPIRED),
    (Stage.CLOSING, waited, End.CANCELLED),
]


@pytest.mark.parametrize(("stage", "way", "end"), WAYS_OUT)
async def test_every_stage_has_a_way_out(
    held: Held, stage: Stage, way: Callable[[Held], Awaitable[None]], end: End
) -> None:
    """From each stage documented commands lead to an end."""
    held.never_deposited = stage is Stage.PARKED and way is cancelled
    await held.at(stage)
    await way(held)
    assert await held.end() is end


def test_no_stage_is_left_out() -> None:
    """A new stage without a row makes this red."""
    assert set(CANCEL) == set(Stage)
    assert {stage for stage, _, _ in WAYS_OUT} == set(Stage)
