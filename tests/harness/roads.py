"""Roads that pass every step of an eject, walked by a service and an owner who repeat what gets no answer."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

from temporalio.service import RPCError
from temporalio.testing import TimeSkipper

import starter
from contracts.approvals import Approve
from contracts.commands import Cancel
from contracts.owner import Claim, ClaimAnswer, Prove
from contracts.receipt import Receipt
from contracts.stages import End, Stage
from device.backups import OwnersBackup
from ejects.approvers import sign
from tests.harness.own_backup import AS_CLIENT, backed_up_before
from tests.harness.portal import Customer
from tests.harness.world import World

T = TypeVar("T")

# The call whose faults keep an eject in a stage until they are cleared; in the others it waits by itself.
HELD_BY = {
    Stage.CHECKING: "read_client",
    Stage.BACKING_UP: "back_up",
    Stage.CONFIRMING_BACKUP: "confirm_backup",
    Stage.ENABLING: "enable_eject",
    Stage.FETCHING_SHARES: "fetch_shares",
    Stage.COMPLETING: "complete_client",
}

# Longer than everything that a batch does, its kill included; only a hang ever reaches it.
WAITS = 300
DAY = timedelta(days=1)


class Road(StrEnum):
    """How an eject goes."""

    STRAIGHT = "straight"
    APPROVED = "approved"
    EXTENDED = "extended"
    CANCELLED = "cancelled"
    EXISTING = "existing"


# Every other step lies on the straight road.
_OF_STEP = {
    "verify_approval": Road.APPROVED,
    "restore_backup": Road.EXTENDED,
    "shrink_window": Road.CANCELLED,
    "fetch_shares_as_client": Road.EXISTING,
    "read_cipher_texts": Road.EXISTING,
}
_TOLD = {
    Road.STRAIGHT: ["shares_ready", "ejected"],
    Road.APPROVED: ["approval_needed", "shares_ready", "ejected"],
    Road.EXTENDED: ["shares_ready", "window_closing", "unresolved", "shares_ready", "ejected"],
    Road.CANCELLED: ["shares_ready", "cancelled"],
    Road.EXISTING: ["shares_ready", "ejected"],
}
# These may stand for some seconds only: whoever drives them waits before this until all others stand.
_GATES = {"send_notice": "start", "verify": "prove", "verify_approval": "approve"}


def road_of(step: str) -> Road:
    """The road that passes a step."""
    return _OF_STEP.get(step, Road.STRAIGHT)


async def patiently(ask: Callable[[], Awaitable[T]]) -> T:
    """Ask until there is an answer, as a service does that keeps its command's id."""
    last: Exception | None = None
    try:
        async with asyncio.timeout(WAITS):
            while True:
                try:
                    return await ask()
                except (RPCError, starter.NoAnswerError, TimeoutError) as error:
                    last = error
                await asyncio.sleep(0.2)
    except TimeoutError:
        raise AssertionError(f"no answer: {last}") from last


class Walker:
    """One eject on its road; `step` is the one at which somebody will die."""

    def __init__(self, world: World, customer: Customer, step: str, approver: Path) -> None:
        self.world, self.customer = world, customer
        self.road = road_of(step)
        self.told = _TOLD[self.road]
        self.end = End.CANCELLED if self.road is Road.CANCELLED else End.EJECTED
        self.handle = starter.handle_of(world.client, customer.client_id)
        self.at_gate = asyncio.Event()
        self.gate = asyncio.Event()
        self._gate = _GATES.get(step)
        self._approver = approver
        self._asked: dict[str, object] = {"approvals": int(self.road is Road.APPROVED)}
        self._means = OwnersBackup()
        if self.road is Road.EXISTING:
            self._means = backed_up_before(world, customer)
            self._asked |= AS_CLIENT

    @property
    def waits_for_the_others(self) -> bool:
        """Whether it waits at its gate until all others stand."""
        return self._gate is not None

    async def walk(self) -> Receipt:
        """The whole road."""
        world, customer = self.world, self.customer
        await self._pass("start")
        self.handle = await world.start(customer, **self._asked)
        if self.road is Road.APPROVED:
            await self._reach(Stage.AWAITING_APPROVAL)
            await self._approve()
        await self._reach(Stage.AWAITING_CLAIM)
        if self.road is Road.CANCELLED:
            command, update = Cancel(by="ops", why="asked to"), str(uuid4())
            await patiently(
                lambda: starter.cancel(world.client, customer.client_id, command, update_id=update)
            )
            return await self._conclude()
        answer = await self._claim()
        if self.road is Road.EXTENDED:
            assert await TimeSkipper(world.client).fast_forward(self.handle, DAY + timedelta(minutes=1))
            await self._reach(Stage.UNRESOLVED)
            with suppress(RPCError, starter.EjectError):  # taken, but its answer may be lost
                await world.extend(customer, DAY)
            await self._reach(Stage.AWAITING_CLAIM, times=2)
            answer = await self._claim()
        await self._prove(world.proofs(answer, self._means))
        return await self._conclude()

    async def _pass(self, gate: str) -> None:
        if self._gate == gate:
            self.at_gate.set()
            await self.gate.wait()

    async def _reach(self, stage: Stage | End, times: int = 1) -> None:
        await patiently(lambda: self._follow(stage, times))

    async def _follow(self, stage: Stage | End, times: int) -> None:
        seen: list[Stage | End] = []
        async for entered in starter.stages(self.handle):
            seen.append(entered)
            if entered is Stage.PARKED:
                park = (await self.world.told(self.customer)).park
                raise AssertionError(f"parked: {park.step}: {park.reason}" if park else "parked for a moment")
            if seen.count(stage) == times:
                return
        raise AssertionError(f"never reached {stage}: {seen}")

    async def _approve(self) -> None:
        told = await patiently(lambda: self.world.told(self.customer))
        signature = sign(self._approver, told, told.request_digest, "grace")
        command = Approve(by="grace", why="known", digest=told.request_digest, signature=signature)
        await self._pass("approve")
        await self._until_taken(
            lambda update: starter.approve(self.world.client, self.customer.client_id, command),
            already="has approved already",
        )

    async def _claim(self) -> ClaimAnswer:
        command, update = Claim(claimed_by="ada"), str(uuid4())
        client, client_id = self.world.client, self.customer.client_id
        return await patiently(lambda: starter.claim(client, client_id, command, update_id=update))

    async def _prove(self, proofs: Prove) -> None:
        await self._pass("prove")
        client, client_id = self.world.client, self.customer.client_id
        await self._until_taken(
            lambda update: starter.prove(client, client_id, proofs, update_id=update),
            already="is proven already",
        )

    async def _until_taken(self, give: Callable[[str], Awaitable[object]], already: str) -> None:
        """Give what is verified again where its verification was lost, as the refusal says."""
        for _ in range(5):
            update = str(uuid4())
            try:
                await patiently(lambda update=update: give(update))  # type: ignore[misc]
            except starter.EjectError as refused:
                if already in str(refused):
                    return
                if "could not be verified in time" not in str(refused):
                    raise
            else:
                return
        raise AssertionError("it could never be verified")

    async def _conclude(self) -> Receipt:
        skipping = asyncio.create_task(TimeSkipper(self.world.client).fast_forward(self.handle))
        try:
            await self._reach(self.end)
            return await patiently(self.handle.result)
        finally:
            skipping.cancel()
            await asyncio.gather(skipping, return_exceptions=True)  # it may have met the end, or no server
