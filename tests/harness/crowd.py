"""Ejects of every kind, each brought to its stage, left there, and taken to its right end."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

from temporalio.testing import TimeSkipper

import starter
from contracts.approvals import Approve
from contracts.owner import Prove
from contracts.receipt import Receipt
from contracts.stages import End, Stage
from ejects.approvers import sign
from tests.harness.portal import Customer
from tests.harness.roads import HELD_BY, Walker, patiently
from tests.harness.world import World

DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)

_HELD_BY: Mapping[Stage, str] = HELD_BY | {Stage.CLOSING: "enable_eject"}
# So many at a time: more would only wait for the processors.
_AT_ONCE = 24
T = TypeVar("T")
_CLAIMED = (Stage.AWAITING_PROOF, Stage.UNRESOLVED, Stage.COMPLETING)


class Guest(Walker):
    """One eject that stands in a stage for a while."""

    proofs: Prove

    def __init__(self, world: World, customer: Customer, kind: "Kind", approver: Path) -> None:
        super().__init__(world, customer, "", approver)
        self.kind, self.end = kind, kind.end

    @property
    def held(self) -> bool:
        """Whether a fault of Portal's keeps it where it is."""
        return self.kind.stage in _HELD_BY

    async def stand(self) -> None:
        """Start, and come to the stage."""
        world, customer, stage = self.world, self.customer, self.kind.stage
        await world.deposit_api_key(customer)
        if stage is not Stage.PARKED:
            await world.deposit(customer)
        if self.held and stage is not Stage.CLOSING:
            self._hold(_HELD_BY[stage])
        request = world.request(
            customer,
            window=DAY if stage is Stage.UNRESOLVED else 10 * DAY,
            approvals=int(stage is Stage.AWAITING_APPROVAL),
            cooling_off=2 * DAY if stage is Stage.COOLING_OFF else timedelta(0),
        )
        self.handle = await patiently(lambda: starter.start(world.client, request))
        if stage in (*_CLAIMED, Stage.CLOSING):
            await self._reach(Stage.AWAITING_CLAIM)
        if stage is Stage.CLOSING:
            self._hold(_HELD_BY[stage])
            await self.cancel()
        if stage in _CLAIMED:
            self.proofs = world.proofs(await self._claim())
        if stage is Stage.COMPLETING:
            await self._prove(self.proofs)
        if stage is Stage.UNRESOLVED:
            await self.wait(DAY + MINUTE)
        await self._reach(stage)

    def _hold(self, call: str) -> None:
        client_id = self.customer.client_id
        self.world.sandbox.fault(call, "status", times=100_000, status=503, client_id=client_id)

    async def leave(self) -> Receipt:
        """Go on from the stage to the right end."""
        nudging = asyncio.create_task(self._nudge())
        try:
            await self.kind.way(self)
        finally:
            nudging.cancel()
            await asyncio.gather(nudging, return_exceptions=True)
        return await self._conclude()

    async def _nudge(self) -> None:
        """Have a step that was held be tried again now; it may meet a Portal that is away, and wait anew."""
        while self.held:
            await self.wait(2 * MINUTE)
            await asyncio.sleep(1)

    async def wait(self, time: timedelta) -> None:
        """Let time pass for this eject; it may be more, where nobody heard that it has."""
        await patiently(lambda: TimeSkipper(self.world.client).fast_forward(self.handle, time))

    async def claim_and_prove(self, times: int = 1) -> None:
        """The owner's part."""
        await self._reach(Stage.AWAITING_CLAIM, times=times)
        await self._prove(self.world.proofs(await self._claim()))

    async def prove_after_a_forgery(self) -> None:
        """The owner's part, after somebody whose proofs are by no key of the wallets; those are refused."""
        await self._reach(Stage.AWAITING_CLAIM)
        proofs = self.world.proofs(await self._claim())
        forged = tuple(proof.model_copy(update={"signature": "0" * 130}) for proof in proofs.proofs)
        with suppress(starter.EjectError):
            raise AssertionError(await self.world.prove(self.customer, Prove(proofs=forged)))
        await self._prove(proofs)

    async def approve(self) -> None:
        """A signed approval."""
        told = await patiently(lambda: self.world.told(self.customer))
        signature = sign(self._approver, told, told.request_digest, "grace")
        command = Approve(by="grace", why="known", digest=told.request_digest, signature=signature)
        await self._given(
            lambda: starter.approve(self.world.client, self.customer.client_id, command),
            "has approved already",
            "No approval is awaited",
        )

    async def prove(self) -> None:
        """The proofs of the claim that was made before."""
        await self._prove(self.proofs)

    async def cancel(self) -> None:
        """An operator cancels."""
        await self._given(lambda: self.world.cancel(self.customer), "closing", "No eject")

    async def close(self) -> None:
        """An operator decides."""
        await self._given(lambda: self.world.resolve(self.customer), "closing", "No eject")

    async def extend(self) -> None:
        """An operator opens the window once more."""
        await self._given(
            lambda: self.world.extend(self.customer, DAY),
            "Another extension",
            "closes later than that already",
        )

    async def deposit_and_retry(self) -> None:
        """An operator mends what was parked."""
        await self.world.deposit(self.customer)
        await self._given(lambda: self.world.retry(self.customer, 1), "does not stand any more")

    async def _given(self, give: Callable[[], Awaitable[object]], *already: str) -> None:
        """Give a command until it is taken, or refused in words that say that it was."""

        async def once() -> None:
            try:
                await give()
            except starter.NoAnswerError:
                raise
            except starter.EjectError as refused:
                if "could not be verified in time" in str(refused):  # the worker died over it
                    raise TimeoutError from refused
                if not any(words in str(refused) for words in already):
                    raise

        await patiently(once)

    async def _prove(self, proofs: Prove) -> None:
        await self._given(
            lambda: self.world.prove(self.customer, proofs),
            *("is proven already", "No proof is awaited", "No eject"),
        )

    async def _follow(self, stage: Stage | End, times: int) -> None:
        if self.kind.stage is not Stage.PARKED:
            await super()._follow(stage, times)
            return
        async for entered in starter.stages(self.handle):
            times -= entered is stage
            if not times:
                return
        raise AssertionError(f"never reached {stage}")

    async def _conclude(self) -> Receipt:
        """The end, all time skipped that it still waits for, also where nobody heard so at first."""

        async def skipped() -> None:
            await patiently(lambda: TimeSkipper(self.world.client).fast_forward(self.handle))

        skipping = asyncio.create_task(skipped())
        try:
            return await patiently(self.handle.result)
        finally:
            skipping.cancel()
            await asyncio.gather(skipping, return_exceptions=True)


Way = Callable[[Guest], Awaitable[None]]


@dataclass(frozen=True)
class Kind:
    """Where ejects stand, and what takes them from there to which end."""

    stage: Stage
    end: End
    way: Way

    def __str__(self) -> str:
        return f"{self.stage} to {self.end}"


async def all_of(work: Sequence[Callable[[], Awaitable[T]]]) -> list[T]:
    """Everything to its end, some at a time; what each ended in, where one failed."""
    places = asyncio.Semaphore(_AT_ONCE)

    async def one(do: Callable[[], Awaitable[T]]) -> T:
        async with places:
            return await do()

    done = await asyncio.gather(*(one(do) for do in work), return_exceptions=True)
    if failed := [outcome for outcome in done if isinstance(outcome, Exception)]:
        raise ExceptionGroup("ejects went otherwise", failed)
    return [outcome for outcome in done if not isinstance(outcome, BaseException)]
