"""Whole ejects whose calls meet faults: two roads that together make every call, and how they are walked."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import timedelta

from temporalio.service import RPCError

import starter
from contracts.failures import RULES
from contracts.parks import Park
from contracts.receipt import Receipt, Status
from contracts.stages import Stage
from portal import calls
from tests.faults.table import FAULTS
from tests.harness.own_backup import AS_CLIENT, backed_up_before
from tests.harness.portal import Customer
from tests.harness.world import World

DAY = timedelta(days=1)
# By call: the faults that it meets, one each time that it is made.
Plan = Mapping[str, tuple[str, ...]]


class Walk:
    """One eject on the longest road with a fresh backup: claimed, closed, extended, claimed again, proven.

    `CALLS` has the calls of its road in the order in which it first makes them.
    """

    CALLS = tuple(
        call.name
        for call in (
            calls.READ_CLIENT,
            calls.MINT_SESSION,
            calls.READ_CLIENT_AS_ITSELF,
            calls.BACK_UP,
            calls.STORE_CIPHER_TEXT,
            calls.CONFIRM_BACKUP,
            calls.ENABLE_EJECT,
            calls.FETCH_SHARES,
            calls.READ_CIPHER_TEXT,
            calls.COMPLETE,
        )
    )

    def __init__(self, world: World) -> None:
        self.world = world
        self.customer: Customer = world.sandbox.seed()
        self.handle = starter.handle_of(world.client, self.customer.client_id)
        self.parks: list[Park] = []

    async def to_its_end(self) -> Receipt:
        """Walk it; whatever parks is retried, because each fault is gone by then."""
        world, customer = self.world, self.customer
        self.handle = await world.start(customer)
        await self.until(lambda told: told.stage is Stage.AWAITING_CLAIM)
        await world.claim(customer)
        await world.until_close(customer, self.handle, -timedelta(minutes=1))
        await self.until(lambda told: told.stage is Stage.UNRESOLVED)
        await world.extend(customer, DAY)
        await self.until(lambda told: told.stage is Stage.AWAITING_CLAIM)
        await world.prove(customer, world.proofs(await world.claim(customer)))
        await self.until(lambda _: False)
        return await self.handle.result()

    async def until(self, reached: Callable[[Status], bool]) -> None:
        """Retry what parks, and skip the waits between attempts, until then or the end."""
        for _ in range(100):
            told = await starter.status(self.world.client, self.customer.client_id)
            if isinstance(told, Receipt) or reached(told):
                return
            if told.park is not None:
                self.parks.append(told.park)
                # It answers once the step is done, whose pauses are waits like any other.
                retrying = asyncio.create_task(self.world.retry(self.customer, told.park.number))
                while not retrying.done():
                    await self._skip()
                await retrying
            else:
                await self._skip()
        raise AssertionError(f"it does not go on: {told}")

    async def _skip(self) -> None:
        with suppress(RPCError):  # it may just have ended
            await self.world.forward(self.handle, timedelta(seconds=5))

    def parked_as(self, plan: Plan) -> None:
        """It parked at each of these faults that does not pass by itself, in order, and at nothing else."""
        expected = [(call, name, FAULTS[name].parked(call)) for call in plan for name in plan[call]]
        parked = [(call, name, failure) for call, name, failure in expected if failure]
        assert [park.failure for park in self.parks] == [failure for _, _, failure in parked]
        for park, (call, name, failure) in zip(self.parks, parked, strict=True):
            assert f"'{call}'" in park.reason or not FAULTS[name].reported(call)
            assert park.mend == RULES[failure].mend


class OwnWalk(Walk):
    """One with a backup from before, fetched by the client itself and completed wallet by wallet."""

    CALLS = tuple(
        call.name
        for call in (
            calls.READ_CLIENT,
            calls.ENABLE_EJECT,
            calls.MINT_SESSION,
            calls.FETCH_SHARES_AS_CLIENT,
            calls.READ_CIPHER_TEXT,
            calls.READ_CLIENT_AS_ITSELF,
            calls.COMPLETE_WALLET,
        )
    )

    async def to_its_end(self) -> Receipt:
        """Walk it likewise."""
        world, customer = self.world, self.customer
        owners = backed_up_before(world, customer)
        self.handle = await world.start(customer, **AS_CLIENT)
        await self.until(lambda told: told.stage is Stage.AWAITING_CLAIM)
        await world.prove(customer, world.proofs(await world.claim(customer), owners))
        await self.until(lambda _: False)
        return await self.handle.result()
